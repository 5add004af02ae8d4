import subprocess

import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")
pytest.importorskip("onnx", reason="onnx is not installed: make training")

import onnx
import torch
from onnx import numpy_helper

from training.action_units import begin
from training.action_units.network import standardised


def old_file():
    try:
        return begin.read_history()
    except (OSError, RuntimeError) as error:
        pytest.skip(f"no history here: {error}")


@torch.no_grad()
def test_convolutions_answer_as_before_on_the_pictures_that_norms_begin_with():
    content = old_file()
    crops = torch.randint(0, 255, (6, 96, 96), generator=torch.Generator().manual_seed(0)).float()
    network = begin.take_over(content, crops).eval()
    stored = {
        array.name: torch.from_numpy(numpy_helper.to_array(array).copy())
        for array in onnx.load_from_string(content).graph.initializer
    }

    def before(x, name, stride):
        parts = (stored[f"network.looker.{name}.0.{part}"] for part in ("weight", "bias"))
        return torch.relu(torch.nn.functional.conv2d(x, *parts, stride, 1))

    looker = network.looker
    x = standardised(crops[:, None])
    now = looker.stem(x)
    for k in range(3):
        x = before(x, f"stem.{k}", 2)
    assert torch.allclose(now, x, atol=1e-4)
    now, x = looker.narrow(now + looker.middle(now)), before(x + before(x, "middle", 1), "top.0", 2)
    assert torch.allclose(looker.top(now), before(x, "top.1", 1), atol=1e-4)
    assert now.max() > 0.1


def test_another_file_in_the_history_is_refused(monkeypatch):
    answer = subprocess.CompletedProcess([], 0, stdout=b"another")
    monkeypatch.setattr(begin.subprocess, "run", lambda *command, **options: answer)
    with pytest.raises(RuntimeError, match="--onnx OLD"):
        begin.read_history()
