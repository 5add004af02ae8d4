"""ClipWindows -> the expression each face displays.

IFDD-Stream (card ``ifdd_stream``) looks at every moment once; the tokens it leaves are kept here,
track by track, and a decision is made of those of the last moments. Which expression is reported
follows from the decisions over time (``reported``). Network and training: ``training/ifdd_stream``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np

from affect_engines import load_card, open_engine
from affect_engines.base import Closeable
from realtime_affect.affect.history import ClipTiming
from realtime_affect.affect.reported import MARGIN, ONSET_MS, RELEASE_MS, ReportedExpression
from realtime_affect.names import EXPRESSIONS
from realtime_affect.types import Expression

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from affect_engines import Engine
    from realtime_affect.types import ClipWindow, Float32

_CARD = "ifdd_stream"


@cache
def clip_timing() -> ClipTiming:
    """Return the timing of clips that the card asks for."""
    decode = load_card(_CARD).decode
    return ClipTiming(decode["slot_hz"], decode["slots"], decode["max_gap_ms"])


@dataclass(slots=True)
class _Memory:
    """The tokens of one track's last moments, and what was decided on them.

    Attributes
    ----------
    t_ns : (k,) int64
        Moments known, at most a clip's.
    tokens : (T - 1, ...) float32
        Of the last T - 1 moments, the newest last; rows before the first one known mean nothing.
    reported : ReportedExpression
        What the moments so far amount to.
    clip : ClipWindow or None
        The last one that was looked at.
    """

    t_ns: NDArray[np.int64]
    tokens: Float32
    reported: ReportedExpression
    clip: ClipWindow | None = None
    shown: Expression | None = None

    def keep(self, t_ns: NDArray[np.int64]) -> None:
        """Forget moments that do not belong to the clip of moments `t_ns` any more."""
        # np.isin takes five times as long for so few.
        self.t_ns = self.t_ns[(self.t_ns[:, None] == t_ns).any(axis=1)]

    def add(self, t_ns: int, tokens: Float32) -> None:
        """Remember a moment."""
        self.t_ns = np.append(self.t_ns, t_ns)[-len(self.tokens) :]
        self.tokens[:-1] = self.tokens[1:]
        self.tokens[-1] = tokens


class ExpressionClassifier(Closeable):
    """The expression network on one thread.

    Parameters
    ----------
    precision, backend : str
        As :func:`affect_engines.open_engine` takes them.
    engine : Engine, optional
        The network; None opens it. Closed with the reader.
    onset_ms, release_ms, margin : float
    own_rest : bool
        When another expression is reported, as :class:`ReportedExpression` takes them.

    Raises
    ------
    ModelError
        The network's file is missing or damaged, or no plan of it fits.
    UsageError
        There is no form of this precision.
    DependencyError, DeviceError
        The backend asked for cannot run here.
    """

    def __init__(  # noqa: PLR0913  (what runs the network, and three settings)
        self, precision: str = "auto", backend: str = "auto", engine: Engine | None = None, *,
        onset_ms: float = ONSET_MS, release_ms: float = RELEASE_MS, margin: float = MARGIN,
        own_rest: bool = True,
    ) -> None:  # fmt: skip
        card = load_card(_CARD)
        self.cards = (card if precision in ("auto", "fp16") else card.form(precision),)
        self._engine = open_engine(card, backend, precision) if engine is None else engine
        self._columns = [card.decode["outputs"].index(name) for name in EXPRESSIONS]
        self._temperature = float(card.decode["temperature"])
        self._tokens_shape = tuple(card.decode["tokens"])
        self._slots = clip_timing().slots
        self._new_report = partial(
            ReportedExpression, onset_ms, release_ms, margin, own_rest=own_rest
        )
        self._memories: dict[int, _Memory] = {}

    @property
    def backend(self) -> str:
        """What runs the network now: another one, once a GPU has failed."""
        return self._engine.backend

    def decide(self, clips: Sequence[ClipWindow]) -> dict[int, Expression]:
        """Return what each of the clips' faces displays at its clip's end.

        A clip that ends where the last one of its track did costs nothing; each new moment costs
        one row of a run of the network, all faces together. Tracks that are not among `clips` are
        kept as long as their moments could still belong to a clip.
        """
        pending = {clip.track_id: self._new_moments(clip) for clip in clips}
        while any(pending.values()):
            due = [clip for clip in clips if pending[clip.track_id]]
            self._run(due, [pending[clip.track_id].pop(0) for clip in due])
        if clips:
            self._forget(max(int(clip.t_ns[-1]) for clip in clips))
        shown = {clip.track_id: self._memories[clip.track_id].shown for clip in clips}
        return {track_id: now for track_id, now in shown.items() if now is not None}

    def reset(self) -> None:
        """Forget every track: the next clips are of another source."""
        self._memories = {}

    def close(self) -> None:
        """Free the network. Idempotent."""
        self._engine.close()

    def _new_moments(self, clip: ClipWindow) -> list[int]:
        """Return the places in the clip that the network has not seen yet."""
        memory = self._memories.get(clip.track_id)
        if memory is None:
            tokens = np.zeros((self._slots - 1, *self._tokens_shape), np.float32)
            memory = _Memory(np.empty(0, np.int64), tokens, self._new_report())
            self._memories[clip.track_id] = memory
        if clip is memory.clip:  # most frames bring no new moment
            return []
        memory.clip = clip
        memory.keep(clip.t_ns)
        if not len(memory.t_ns):  # the clip began anew: what was reported before says nothing
            memory.reported.begin_anew()
        if not len(memory.t_ns):
            return list(range(len(clip.t_ns)))
        return np.flatnonzero(clip.t_ns > memory.t_ns[-1]).tolist()

    def _run(self, clips: Sequence[ClipWindow], places: Sequence[int]) -> None:
        """Show the network one new moment of each clip."""
        memories = [self._memories[clip.track_id] for clip in clips]
        known = [min(len(memory.t_ns), self._slots - 1) for memory in memories]
        outputs = self._engine.infer(
            {
                "pictures": np.stack(
                    [clip.crops[place] for clip, place in zip(clips, places, strict=True)]
                ),
                "memory": np.stack([memory.tokens for memory in memories]),
                "missing": np.array([self._slots - 1 - n for n in known], np.int64),
            }
        )
        logits = outputs["logits"][:, self._columns] / self._temperature
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        for i, (clip, place, memory) in enumerate(zip(clips, places, memories, strict=True)):
            t_ns = int(clip.t_ns[place])
            memory.add(t_ns, outputs["slot"][i])
            name = memory.reported.update(t_ns, shares[i], at_rest=bool(clip.at_rest[place]))
            memory.shown = Expression(t_ns, shares[i].copy(), clip.warming_up, name)

    def _forget(self, now_ns: int) -> None:
        """Drop tracks that have been gone for longer than a clip may pause."""
        oldest_ns = now_ns - clip_timing().max_gap_ms * 1e6
        self._memories = {
            track_id: memory
            for track_id, memory in self._memories.items()
            if len(memory.t_ns) and memory.t_ns[-1] >= oldest_ns
        }
