"""The published network against golden data, intermediate by intermediate."""

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

import torch

from training.action_units.network import count_parameters
from training.ifdd.backbone import BLOCKS, relative_index
from training.ifdd.network import IFDD

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def folder(shared_golden):
    path = shared_golden / "ifdd"
    if not path.is_dir():
        pytest.skip("the golden data of IFDD is not on this machine")
    return path


@pytest.fixture(scope="module")
def weights(folder):
    """The golden state dict; stored as whole numbers times a power of two."""
    with np.load(folder / "weights_q8.npz") as stored:
        exponents = json.loads(str(stored["__exps__"]))
        return {
            name: torch.from_numpy(
                np.ldexp(stored[name].astype(np.float32), -exponents[name])
                if name in exponents
                else stored[name]
            )
            for name in stored.files
            if name != "__exps__"
        }


@pytest.fixture(scope="module")
def network(weights):
    network = IFDD()
    network.load_state_dict(weights, strict=True)
    return network.eval()


@pytest.fixture(scope="module")
def golden(folder):
    with np.load(folder / "clip0_seed11.npz") as stored:
        return {name: stored[name] for name in stored.files}


@pytest.fixture(scope="module")
def taps(network, golden):
    """Every intermediate of the golden clip, under the golden names."""
    found = {}

    def tap(name, module):
        module.register_forward_hook(lambda _, inputs, output: found.__setitem__(name, output))

    tap("embed", network.embed)
    for k, block in enumerate(network.backbone.backbone.blocks):
        tap(f"block{k}", block)
    tap("stage3_norm", network.backbone.backbone.norm)
    tap("pan0", network.backbone.PANLayer)
    tap("catconv", network.backbone.CatConv)
    lifting = network.backbone.WaveLifts
    tap("split", lifting.adapt_split)
    tap("xa_norm", lifting.xa_norm)
    tap("xd_norm", lifting.xd_norm)
    tap("lifting", lifting)
    clip = golden["input_u8_TCHW"].astype(np.float32) / np.float32(255)
    with torch.no_grad():
        found["logits"] = network(torch.from_numpy(clip.transpose(1, 0, 2, 3).copy())[None])
        x = found["catconv"].flatten(2).transpose(1, 2).unflatten(0, (-1, 8))
        found["issm_sim"] = lifting.adapt_split.similarity(x)
        found["index"] = lifting.adapt_split.indices(found["issm_sim"])
        a, d = lifting.split(x)
        found["a"] = a = lifting.update(a, d)
        found["predicted"] = d = lifting.predict(a, d)
        found["related"] = d = lifting.relate(d)
        found["transformed"] = lifting.transform(d)
    return found


def assert_close(got, want):
    got = got.numpy()
    assert got.shape == want.shape
    assert np.abs(got - want).max() <= TOLERANCE * np.abs(want).max()


def test_it_has_the_published_keys_shapes_and_size(network, weights):
    state = network.state_dict()
    assert {k: tuple(v.shape) for k, v in state.items()} == {
        k: tuple(v.shape) for k, v in weights.items()
    }
    assert count_parameters(network) == 37_577_123


def test_the_logits_are_the_published_ones(taps, golden):
    assert np.abs(taps["logits"].numpy() - golden["logits"]).max() <= TOLERANCE


def test_the_embedding_is_the_published_one(taps, golden):
    embedded = taps["embed"]
    assert_close(embedded[:, :, [0, 3, 7], ::4, ::4], golden["embed_t0_t7_sub"])
    assert_close(embedded.mean((2, 3, 4)), golden["embed_mean_c"])


@pytest.mark.parametrize("k", range(10))
def test_every_block_gives_the_published_tokens(taps, golden, k):
    tokens = taps[f"block{k}"]
    step = max(1, (tokens.shape[1] - 1) // 49)
    assert_close(tokens[:, 0], golden[f"block{k}_cls"])
    assert_close(tokens[:, 1::step][:, :49], golden[f"block{k}_tok_stride"])
    assert_close(tokens.mean(1), golden[f"block{k}_mean_c"])
    assert tokens.abs().max().item() == pytest.approx(float(golden[f"block{k}_absmax"]), rel=1e-5)


def test_pyramid_and_stages_are_the_published_ones(taps, golden):
    assert_close(taps["block7"], golden["stage2_full"])
    assert_close(taps["stage3_norm"], golden["stage3_norm"])
    assert_close(taps["pan0"].flatten()[::7], golden["pan0_sub"])
    assert_close(taps["catconv"], golden["catconv"])


def test_the_split_is_the_published_one(taps, golden):
    assert_close(taps["issm_sim"], golden["issm_sim"])
    assert_close(taps["index"][0], golden["issm_index_approx"])
    assert_close(taps["index"][1], golden["issm_index_detail"])
    static, dynamic = (part.permute(0, 3, 1, 2).flatten()[::7] for part in taps["split"])
    assert_close(static, golden["issm_xa_sub"])
    assert_close(dynamic, golden["issm_xd_sub"])


def test_the_lifting_steps_are_the_published_ones(taps, golden):
    assert_close(taps["xa_norm"].flatten()[::7], golden["xa_norm_sub"])
    assert_close(taps["xd_norm"].flatten()[::7], golden["xd_norm_sub"])
    assert_close(taps["a"], golden["xa_after_updater"])
    assert_close(taps["predicted"], golden["xd_after_predictor"])
    assert_close(taps["related"].flatten()[::7], golden["xd_after_selfattn_sub"])
    assert_close(taps["transformed"], golden["xd_after_mlp"])
    feature, lost = taps["lifting"]
    assert_close(feature, golden["feat"])
    assert_close(lost, golden["pool_a"])


def test_the_grids_are_those_of_the_specification():
    assert [(b.grid_q, b.grid_kv) for b in BLOCKS] == [
        ((8, 56, 56), (8, 7, 7)), ((8, 28, 28), (8, 14, 14)), ((8, 28, 28), (8, 7, 7)),
        ((8, 14, 14), (8, 14, 14)), *[((8, 14, 14), (8, 7, 7))] * 4,
        ((8, 7, 7), (8, 14, 14)), ((8, 7, 7), (8, 7, 7)),
    ]  # fmt: skip


@pytest.mark.parametrize(("queries", "keys"), [(8, 8), (56, 7), (7, 14)])
def test_a_relative_index_uses_its_whole_table(queries, keys):
    index = relative_index(queries, keys)
    assert index.min() == 0
    assert index.max() <= 2 * max(queries, keys) - 2


def test_a_clip_of_another_size_is_refused(network):
    with pytest.raises(ValueError, match="224"):
        network(torch.zeros(1, 3, 16, 112, 112))


def test_a_longer_clip_has_as_many_slots():
    network = IFDD(classes=11, frames=32, side=64).eval()
    with torch.no_grad():
        assert network.embed(torch.rand(1, 3, 32, 64, 64)).shape == (1, 96, 8, 16, 16)
        assert network.head(torch.zeros(1, 768)).shape == (1, 11)


def test_training_gives_logits_and_what_the_losses_need():
    torch.manual_seed(0)
    network = IFDD(side=64).train()
    logits, lost, feature = network(torch.rand(1, 3, 16, 64, 64))
    assert logits.shape == (1, 7)
    assert lost.shape == (1, 2, 2)
    assert feature.shape == (1, 768)
    (logits.sum() + lost.square().sum()).backward()
    unused = {name for name, p in network.named_parameters() if p.grad is None}
    assert {name.rpartition(".")[0].rpartition("WaveLifts")[2] for name in unused} == {
        "", ".adapt_split.time_project.0", ".adapt_split.time_project.2",
    }  # fmt: skip


def test_it_costs_as_many_operations_as_the_published_one():
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):  # shapes without numbers: operations are counted, not done
        network = IFDD().eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 16, 224, 224, device="meta"))
    assert counter.get_total_flops() / 2e9 == pytest.approx(47.857, abs=0.02)
