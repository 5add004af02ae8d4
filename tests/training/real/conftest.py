"""Faces whose readings are scripted."""

from __future__ import annotations

import numpy as np
import pytest

from realtime_affect.names import EXPRESSIONS
from training.real.clips import STRIP_FPS, Watched


def _shares(name, share=0.96):
    p = np.full(len(EXPRESSIONS), (1 - share) / (len(EXPRESSIONS) - 1), np.float32)
    p[EXPRESSIONS.index(name)] = share
    return p


def _watched(names, every=2, share=0.96):
    """Return a face that shows `names`, one a frame, decided on every second frame."""
    n = len(names)
    t_ns = np.round(np.arange(n) / STRIP_FPS * 1e9).astype(np.int64)
    decided = np.arange(n) // every * every
    return Watched(
        t_ns=t_ns, intensity=np.zeros((n, 17), np.float32),
        occurrence=np.zeros((n, 18), np.float32), calibration=np.zeros(n, np.float32),
        points=np.zeros((n, 468, 3), np.float32), moment_ns=t_ns[decided],
        probabilities=np.array([_shares(names[i], share) for i in decided]),
        warming_up=np.zeros(n, bool), observed=np.ones(n, bool),
        spikes=np.zeros((0, 2), np.int64),
    )  # fmt: skip


@pytest.fixture
def shares():
    """Probabilities of which one expression has most."""
    return _shares


@pytest.fixture
def watched():
    """A face that shows what it is told to."""
    return _watched
