"""Flow maps of spotted events -> which class of micro-expression each looks like.

HTNet-Live (card ``htnet_live``) learned from rendered people only. What it tells is the class of a
movement by the composite classes of the micro-expression challenges, never an emotion that someone
hides, and nothing about honesty or intent. Network and training: ``training/htnet``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import softmax

from affect_engines import load_card, open_engine
from affect_engines.base import Closeable
from realtime_affect.names import MICRO_CLASSES

if TYPE_CHECKING:
    from affect_engines import Engine
    from realtime_affect.types import Float32

_CARD = "htnet_live"


class MicroClassifier(Closeable):
    """The classifier of micro-expressions on one thread.

    Parameters
    ----------
    engine : Engine, optional
        The network; None opens it. Closed with the classifier.

    Raises
    ------
    ModelError
        The network's file is missing or damaged.
    """

    def __init__(self, engine: Engine | None = None) -> None:
        card = load_card(_CARD)
        self.cards = (card,)
        decode = card.decode
        self._engine = open_engine(card) if engine is None else engine
        self._columns = [decode["outputs"].index(name) for name in MICRO_CLASSES]
        self._temperature = float(decode["temperature"])

    def classify(self, maps: Float32) -> Float32:
        """Return how likely each class is, for n events at once.

        Parameters
        ----------
        maps : (n, 56, 56, 3) float32
            From ``flow.flow_map``: u, v and optical strain between onset and apex, in inter-ocular
            distances. Not kept.

        Returns
        -------
        (n, 4) float32
            Probabilities in the order of :data:`~realtime_affect.names.MICRO_CLASSES`, sum 1,
            calibrated on rendered people. New. Of a map that is not finite all are NaN.

        Raises
        ------
        UsageError
            Maps of another shape or dtype.
        """
        if not len(maps):
            return np.empty((0, len(MICRO_CLASSES)), np.float32)
        logits = self._engine.infer({"maps": maps})["logits"][:, self._columns]
        shares = softmax(logits / self._temperature, axis=1)
        # A max-pool may swallow a NaN; what cannot be seen must not be told.
        shares[~np.isfinite(maps).all(axis=(1, 2, 3))] = np.nan
        return shares.astype(np.float32)  # type: ignore[no-any-return]

    def close(self) -> None:
        """Free the network. Idempotent."""
        self._engine.close()
