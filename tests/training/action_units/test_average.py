import json
import sys

import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

import torch

from training.action_units import average
from training.action_units.export import load_network
from training.action_units.network import ActionUnitNetwork
from training.checkpoints import NAME


def test_the_average_lies_between_its_runs(tmp_path, monkeypatch):
    for k in (1, 2):
        folder = tmp_path / str(k)
        folder.mkdir()
        network = ActionUnitNetwork()
        torch.nn.init.constant_(network.usual, float(k))
        torch.save({"network": network.state_dict()}, folder / NAME)
        about = {"seed": k, "picture": True, "people": 3}
        (folder / "about.json").write_text(json.dumps(about), "utf-8")
    runs = [str(tmp_path / "1"), str(tmp_path / "2")]
    monkeypatch.setattr(sys, "argv", ["average", *runs, "--out", str(tmp_path / "mean")])
    average.main()
    assert (load_network(tmp_path / "mean").usual == 1.5).all()
    about = json.loads((tmp_path / "mean" / "about.json").read_text("utf-8"))
    assert about == {"seed": 1, "seeds": [1, 2], "picture": True, "people": 3}
