import pickle
import sys

import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")
pytest.importorskip("safetensors", reason="safetensors is not installed: make training")

import torch

from realtime_affect.errors import InputError, InputMissingError
from training.ifdd import convert
from training.ifdd.network import IFDD


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(7)
    return IFDD().state_dict()


@pytest.fixture(autouse=True)
def path_of_the_child(monkeypatch):
    """The child is started by its module's name."""
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))


@pytest.mark.parametrize("wrap", ["plain", "model", "state_dict", "parallel"])
def test_every_form_of_an_official_checkpoint_is_taken(state, tmp_path, wrap):
    content = {
        "plain": state,
        "model": {"start_epoch": 3, "model": state},
        "state_dict": {"state_dict": state},
        "parallel": {"model": {f"module.{key}": value for key, value in state.items()}},
    }[wrap]
    torch.save(content, tmp_path / "best.pth")
    path = convert.convert(tmp_path / "best.pth", tmp_path / "out")
    found = convert.load_weights(path)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["ifdd.safetensors"]


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.survival(27)
def test_a_program_inside_is_not_run(tmp_path):
    with (tmp_path / "evil.pth").open("wb") as file:
        pickle.dump({"model": Evil(str(tmp_path / "ran"))}, file)
    with pytest.raises(InputError, match="not opened"):
        convert.convert(tmp_path / "evil.pth", tmp_path / "out")
    assert not (tmp_path / "ran").exists()
    assert list((tmp_path / "out").iterdir()) == []


def test_another_network_is_refused_by_its_first_differences(state, tmp_path):
    other = {key: value for key, value in state.items() if "class_token" not in key}
    other["head.head.1.bias"] = torch.zeros(11)
    torch.save(other, tmp_path / "mafw.pth")
    with pytest.raises(InputError, match=r"2 differences.*class_token.*\(11,\)"):
        convert.convert(tmp_path / "mafw.pth", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(InputError, match=r"text\.pth"):
        convert.convert(tmp_path / "text.pth", tmp_path / "out")
    with pytest.raises(InputMissingError):
        convert.convert(tmp_path / "missing.pth", tmp_path / "out")
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(InputError, match=r"text\.safetensors"):
        convert.load_weights(tmp_path / "text.safetensors")


def test_a_checkpoint_without_end_is_given_up(state, tmp_path, monkeypatch):
    torch.save({}, tmp_path / "slow.pth")
    monkeypatch.setattr(convert, "LIMIT_S", 0.01)
    with pytest.raises(InputError, match="no answer"):
        convert.convert(tmp_path / "slow.pth", tmp_path / "out")
