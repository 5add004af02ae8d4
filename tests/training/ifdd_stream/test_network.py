"""IFDD-Stream: its budgets, its lifting against the kernels, and streaming against whole clips."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

import torch
from torch.utils.flop_counter import FlopCounterMode

from affect_kernels.lifting import WAVELETS, adaptive_split, analyse
from training.action_units.network import count_parameters
from training.ifdd_stream.network import (
    PLACES,
    SLOTS,
    SPLITS,
    WIDTH,
    StreamLifting,
    StreamNetwork,
    classic_split,
    windows,
)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    network = StreamNetwork().eval()
    with torch.no_grad():
        for parameter in network.parameters():  # so that every part matters
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


def clips(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, SLOTS, PLACES, WIDTH, generator=generator)


def macs(run):
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / 2


def test_it_keeps_to_its_budgets(network):
    assert count_parameters(network) <= 3_000_000
    assert macs(lambda: network.slots(torch.zeros(1, 48, 48))) <= 60e6
    assert macs(lambda: network.decide(clips(1))) <= 40e6


def test_the_splits_differ_by_less_than_five_percent_of_the_parameters():
    counts = [count_parameters(StreamLifting(split)) for split in SPLITS]
    assert max(counts) <= 1.05 * min(counts)


@pytest.mark.parametrize("name", ["haar", "cdf53"])
def test_classic_splits_are_the_kernels_wavelets(name):
    x = clips(2).double()
    static, dynamic = classic_split(x, name)
    for i in range(2):
        approx, detail = analyse(x[i].numpy(), WAVELETS[name])
        np.testing.assert_allclose(static[i].numpy(), approx, atol=1e-12)
        np.testing.assert_allclose(dynamic[i].numpy(), detail, atol=1e-12)


def test_the_learned_split_samples_as_the_kernel_does(network):
    split = network.lifting.split
    x = clips(2)
    with torch.no_grad():
        static, dynamic = split(x)
        at_static, at_dynamic = split.times(x)
    assert at_static.std() > 0.5
    for i in range(2):
        wanted = adaptive_split(x[i].numpy(), at_static[i].numpy(), at_dynamic[i].numpy())
        np.testing.assert_allclose(static[i].numpy(), wanted[0], atol=1e-5)
        np.testing.assert_allclose(dynamic[i].numpy(), wanted[1], atol=1e-5)


@pytest.mark.parametrize("split", SPLITS)
def test_order_in_time_matters(split):
    torch.manual_seed(1)
    lifting = StreamLifting(split).eval()
    with torch.no_grad():
        forwards, backwards = (lifting(x)[0] for x in (clips(1), clips(1).flip(1)))
    assert (forwards - backwards).abs().max() > 1e-4


def test_streaming_gives_what_whole_clips_give(network):
    pictures = torch.randint(0, 256, (2, 20, 48, 48), generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        tokens = network.slots(pictures.flatten(0, 1).float()).unflatten(0, (2, 20))
        wanted = network.decide(windows(tokens).flatten(0, 1))[0].unflatten(0, (2, 20))
        memory = torch.zeros(2, SLOTS - 1, PLACES, WIDTH)
        for t in range(20):
            missing = torch.full((2,), max(0, SLOTS - 1 - t))
            logits, slot = network(pictures[:, t].float(), memory, missing)
            memory = torch.cat([memory[:, 1:], slot[:, None]], 1)
            assert (logits - wanted[:, t]).abs().max() <= 1e-5


def test_before_a_clip_is_full_its_oldest_moment_stands_in():
    tokens = torch.arange(3.0).view(1, 3, 1, 1)
    assert windows(tokens)[0, 2, :, 0, 0].tolist() == [0.0] * (SLOTS - 2) + [1.0, 2.0]


def test_the_linear_last_layer_may_be_drawn_before_the_sum(network):
    lifting = network.lifting
    hidden = torch.randn(2, SLOTS // 2 * PLACES, 4 * WIDTH)
    with torch.no_grad():
        plain = lifting.compress @ lifting.narrow(hidden)
        short = (lifting.compress[None] @ hidden)[:, 0] @ lifting.narrow.weight.T
        short = short + lifting.narrow.bias * lifting.compress.sum()
    assert (plain - short).abs().max() < 1e-4
