"""Probabilities over time -> the expression that is reported: steady, and still in time.

The likeliest expression of every moment flickers: when people talk, two or three expressions are
about as likely, and which of them leads changes several times a second. What is reported changes
only when the evidence for another one has added up. Of each other expression k this is the
cumulative sum of Page, "Continuous inspection schemes", Biometrika, 1954:

    S_k <- max(0, S_k + (p_k - p_reported - m_k) * dt)

k is reported as soon as S_k reaches (1 - m_k) * T_k, and all sums begin anew: an expression of
probability 1 takes T_k, one that leads by less takes longer, and one that never leads by m_k is
never reported. Towards an expression, T_k is ``onset_ms`` and m_k ``margin``; back to neutral, T_k
is ``release_ms`` and m_k 0: a face rests unless something speaks for an expression, and one that
was interrupted for a moment goes on. The first report is neutral while no action unit is above a
trace, and the likeliest expression otherwise; that is provisional: neutral replaces it as soon as
it is likelier.

Whose brows are low or whose mouth corners hang is not sad for that. While no action unit is above a
trace, how much likelier than neutral each expression is, is learned for each person over 3 s of
such moments (mean log-odds, at most 2), and taken off from then on. Probabilities stay those of the
moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from realtime_affect.names import EXPRESSIONS

if TYPE_CHECKING:
    from realtime_affect.types import Float32

ONSET_MS: Final = 80.0
RELEASE_MS: Final = 180.0
MARGIN: Final = 0.3
"""Chosen on rendered people and on London persons 036 to 045, by ``training.real.choose``: no smile
is lost, and the median one is reported within 300 ms."""

_REST_MOMENTS: Final = 36  # 3 s of them
_SURE_MOMENTS: Final = 12  # after which what was learned counts fully
_MOST: Final = 2.0  # log-odds: an expression as clear as 0.88 against neutral is never taken off
_LEAST: Final = 1e-6

_NEUTRAL: Final = EXPRESSIONS.index("neutral")


class ReportedExpression:
    """The expression reported of one face; depends on source times alone.

    Parameters
    ----------
    onset_ms : float
        How long an expression of probability 1 must last before it is reported.
    release_ms : float
        How long a face of probability 1 of neutral must last until neutral is reported again.
    margin : float
        Lead in probability, 0 to 1, over what is reported that does not speak for an expression
        yet. With all three 0 and no own rest, the likeliest of every moment is reported.
    own_rest : bool
        Whether a face at rest begins as neutral, and what the person's looks like is taken off.
    """

    def __init__(
        self, onset_ms: float = ONSET_MS, release_ms: float = RELEASE_MS, margin: float = MARGIN,
        *, own_rest: bool = True,
    ) -> None:  # fmt: skip
        self._rest = _OwnRest() if own_rest else None
        self._margins = np.full(len(EXPRESSIONS), margin)
        self._margins[_NEUTRAL] = 0.0
        self._needed_ms = onset_ms * (1.0 - self._margins)
        self._needed_ms[_NEUTRAL] = 0.0
        self._release_ms = release_ms
        self._sums_ms = np.zeros(len(EXPRESSIONS))
        self._reported = -1
        self._t_ns = 0

    def begin_anew(self) -> None:
        """Forget what was reported, not what the person at rest looks like."""
        self._needed_ms[_NEUTRAL] = 0.0
        self._sums_ms[:] = 0.0
        self._reported = -1

    def update(self, t_ns: int, probabilities: Float32, *, at_rest: bool = False) -> str:
        """Take in the next moment and return the name of the reported expression.

        Of the first moment the likeliest one is reported, as there is nothing to be steady
        against, unless the face is at rest.

        Parameters
        ----------
        t_ns : int
            Source time; grows from call to call.
        probabilities : (8,) float32
            In the order of EXPRESSIONS.
        at_rest : bool
            Whether no action unit is above a trace.
        """
        if self._rest is not None:
            given, probabilities = probabilities, self._rest.take_off(probabilities)
            if at_rest:
                self._rest.learn(given)
        if self._reported < 0:
            rests = at_rest and self._rest is not None
            self._reported = _NEUTRAL if rests else int(probabilities.argmax())
        else:
            lead = probabilities - probabilities[self._reported] - self._margins
            self._sums_ms = np.maximum(0.0, self._sums_ms + lead * ((t_ns - self._t_ns) / 1e6))
            self._sums_ms[self._reported] = 0.0
            ready = (self._sums_ms >= self._needed_ms) & (lead > 0)
            if ready.any():
                self._reported = int(np.where(ready, self._sums_ms, -1.0).argmax())
                self._sums_ms[:] = 0.0
                self._needed_ms[_NEUTRAL] = self._release_ms
        self._t_ns = t_ns
        return EXPRESSIONS[self._reported]


class _OwnRest:
    """What the network takes one person's resting face for."""

    def __init__(self) -> None:
        self._sum = np.zeros(len(EXPRESSIONS))
        self._n = 0
        self._weights = np.ones(len(EXPRESSIONS), np.float32)

    def learn(self, probabilities: Float32) -> None:
        """Take in a moment at rest."""
        if self._n == _REST_MOMENTS:
            return
        logs = np.log(np.maximum(probabilities, _LEAST))
        self._sum += logs - logs[_NEUTRAL]
        self._n += 1
        excess = np.clip(self._sum / self._n, 0.0, _MOST) * min(1.0, self._n / _SURE_MOMENTS)
        self._weights = np.exp(-excess).astype(np.float32)

    def take_off(self, probabilities: Float32) -> Float32:
        """Return probabilities without what the face at rest has of each expression."""
        weighted = probabilities * self._weights
        return weighted / weighted.sum()  # type: ignore[no-any-return]
