from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

from training.action_units import studios
from training.action_units.network import OUTPUTS


def test_both_trainings_are_alike_but_for_the_studio():
    steps = studios.steps(Path("shared"), Path("work"), Path("run"), 3)
    assert [module for module, _ in steps] == ["dataset"] * 3 + ["train"] * 2
    films = [arguments for module, arguments in steps if module == "dataset"]
    assert all("--relief" in arguments for arguments in films)
    made = {arguments[arguments.index("--out") + 1] for arguments in films}
    painted, relief = (
        dict(zip(arguments[::2], arguments[1::2], strict=True))
        for module, arguments in steps
        if module == "train"
    )
    assert {painted.pop("--studio")} == {painted["--data"]}
    assert {relief.pop("--studio")} == made
    assert painted.pop("--out") != relief.pop("--out")
    assert painted == relief
    assert painted["--start"] == "run"


def test_a_gain_is_nothing_between_equals_and_sure_where_ranks_are_mended(monkeypatch):
    monkeypatch.setattr(studios, "_RESAMPLED", 10)
    rng = np.random.default_rng(3)
    taught = rng.uniform(0, 5, (100, len(OUTPUTS))).astype(np.float32)
    before = taught + rng.normal(0, 3, taught.shape).astype(np.float32)
    after = before.copy()
    after[:, OUTPUTS.index("AU14")] = taught[:, OUTPUTS.index("AU14")]
    found = studios.gains(taught, before, after)
    assert found["AU06"] == pytest.approx([0, 0, 0])
    gain, low, high = found["AU14"]
    assert 0.1 < low < gain < high
    assert "AU09" not in found  # nobody teaches it
