import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

import torch
from torch import nn

from training.checkpoints import NAME, Run, decay_groups, load_weights


def make(rate=0.1):
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    optimiser = torch.optim.AdamW(decay_groups(network.parameters(), 0.05), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, 12)
    return network, optimiser, schedule


def learn(parts, epochs, run):
    network, optimiser, schedule = parts
    network.train()
    while run.epochs < epochs:
        generator = torch.Generator().manual_seed(run.epochs)
        for _ in range(3):
            optimiser.zero_grad()
            network(torch.randn(8, 3, generator=generator)).square().mean().backward()
            optimiser.step()
            schedule.step()
        run.keep()


def test_a_run_that_was_stopped_ends_where_it_would_have(tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "stopped").mkdir()
    whole = make()
    learn(whole, 4, Run(tmp_path / "whole", *whole))
    for epochs in (1, 1, 3, 4):  # every time in a new process
        parts = make()
        learn(parts, epochs, Run(tmp_path / "stopped", *parts))
    for one, other in zip(whole, parts, strict=True):
        assert str(one.state_dict()) == str(other.state_dict())
    read = load_weights(tmp_path / "stopped", make()[0])
    assert not read.training
    for name, value in whole[0].state_dict().items():
        assert torch.equal(read.state_dict()[name], value)


def test_a_checkpoint_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    parts = make()
    run = Run(tmp_path, *parts)
    learn(parts, 1, run)
    written = (tmp_path / NAME).read_bytes()

    def stop(state, path):
        path.write_bytes(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        learn(parts, 2, run)
    assert (tmp_path / NAME).read_bytes() == written


def test_matrices_decay_and_biases_and_scales_do_not():
    network = make()[0]
    decayed, others = decay_groups(network.parameters(), 0.05, lr=0.2)
    assert [p.ndim for p in decayed["params"]] == [2, 2]
    assert [p.ndim for p in others["params"]] == [1, 1, 1, 1]
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.05, 0.0)
    assert decayed["lr"] == others["lr"] == 0.2
