import subprocess

import numpy as np
import pytest

from affect_engines.ort import import_onnxruntime

pytest.importorskip("torch", reason="torch is not installed: make training")
pytest.importorskip("onnx", reason="onnx is not installed: make training")

import torch

from training.action_units import begin


def old_file():
    try:
        return begin.read_history()
    except (OSError, RuntimeError) as error:
        pytest.skip(f"no history here: {error}")


def test_what_is_taken_over_answers_as_before_against_the_population():
    content = old_file()
    network = begin.take_over(content).eval()
    rng = np.random.default_rng(0)
    population = network.population.view(1, 468, 3).numpy()
    points = population + rng.normal(0, 2, (3, 468, 3)).astype(np.float32)
    crops = rng.integers(0, 255, (3, 96, 96), dtype=np.uint8)
    angles = rng.normal(0, 0.2, (3, 3)).astype(np.float32)
    session = import_onnxruntime().InferenceSession(content, providers=["CPUExecutionProvider"])
    (before,) = session.run(None, {
        "points": points, "crops": crops, "angles": angles,
        "rest": np.repeat(population, 3, axis=0), "rest_crops": 0 * crops,
        "calibration": np.zeros((3, 1), np.float32),
    })  # fmt: skip
    nothing = torch.zeros(3, network.n_features), torch.zeros(3, 1)
    seen = (torch.from_numpy(points), torch.from_numpy(crops).float(), torch.from_numpy(angles))
    with torch.no_grad():
        now = network(*seen, *nothing).clamp(0, 5).numpy()
    assert np.abs(now - before).max() < 1e-4


def test_another_file_in_the_history_is_refused(monkeypatch):
    answer = subprocess.CompletedProcess([], 0, stdout=b"another")
    monkeypatch.setattr(begin.subprocess, "run", lambda *command, **options: answer)
    with pytest.raises(RuntimeError, match="--onnx OLD"):
        begin.read_history()
