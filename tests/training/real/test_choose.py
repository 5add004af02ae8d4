"""The choice of when an expression is reported."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

from realtime_affect.names import EXPRESSIONS
from training.ifdd_stream.sequences import KINDS, Sequences
from training.real.choose import judge

NEUTRAL, ANGER = EXPRESSIONS.index("neutral"), EXPRESSIONS.index("anger")
MOMENTS = 24


def sequences(kinds, truth):
    n = len(kinds)
    shown = np.eye(len(EXPRESSIONS), dtype=np.float32)[np.array(truth)]
    return Sequences(
        np.zeros((n, MOMENTS, 48, 48), np.uint8), shown, np.zeros((n, MOMENTS), np.float32),
        np.zeros((n, MOMENTS), bool), np.array([KINDS.index(k) for k in kinds]), np.arange(n),
    )  # fmt: skip


def test_what_a_setting_costs_at_rest_and_brings_at_onsets(watched):
    flicker = [NEUTRAL, NEUTRAL, NEUTRAL, ANGER] * (MOMENTS // 4)
    onset = [NEUTRAL] * 12 + [ANGER] * 12
    filmed = sequences(["neutral", "held"], [[NEUTRAL] * MOMENTS, onset])
    seen = np.array([flicker, onset])
    read = 0.1 + 0.5 * np.eye(len(EXPRESSIONS), dtype=np.float32)[seen]
    read /= read.sum(axis=2, keepdims=True)
    strips = {"036": watched(["neutral"] * 60 + ["happiness"] * 46)}
    raw = judge(filmed, read, strips, (0.0, 0.0, 0.0))
    steady = judge(filmed, read, strips, (80.0, 250.0, 0.2))
    assert raw["neutral_changes_a_minute"] > 300
    assert raw["neutral_as_another"] == pytest.approx(0.25)
    assert raw["studio_onset_median_ms"] == 0
    assert steady["neutral_changes_a_minute"] == steady["neutral_as_another"] == 0
    assert steady["studio_onsets_found"] == steady["smiles_found"] == 1
    assert 0 < steady["studio_onset_median_ms"] < 500
