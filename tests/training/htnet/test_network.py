"""HTNet against golden data: official names, taps, logits, crops."""

import numpy as np
import pytest

from affect_engines.ort import import_onnxruntime

pytest.importorskip("torch", reason="torch is not installed: make training")

import torch

from training.action_units.network import count_parameters
from training.htnet.compose import FALLBACK, centres, compose
from training.htnet.deploy import export, pruned
from training.htnet.network import HTNet, HTNetConfig, fold, unfold
from training.metrics import confusion, uar, uf1

SMALL = HTNetConfig(width=24, blocks=(1, 1, 2))
CONFIGS = {
    "small28": SMALL,
    "small56_attn": HTNetConfig(image_px=56, width=24, blocks=(1, 2, 1)),
    "full": HTNetConfig(),
}


@pytest.fixture(scope="module")
def folder(shared_golden):
    path = shared_golden / "htnet"
    if not path.is_dir():
        pytest.skip("the golden data of HTNet is not on this machine")
    return path


def read(path):
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}


def recipe(names, shapes):
    """Weights of the official size by golden/README's recipe."""
    weights = {}
    for i, (name, text) in enumerate(sorted(zip(names.tolist(), shapes.tolist(), strict=True))):
        shape = tuple(int(n) for n in text.strip("()[]").split(",") if n.strip())
        z = np.random.RandomState(20260000 + i).standard_normal(shape)
        if name.endswith(".g"):
            z = 1 + 0.1 * z
        elif name.endswith("weight"):
            z = z / np.sqrt(np.prod(shape[1:]))
        elif not name.endswith("pos_emb"):
            z = 0.02 * z
        weights[name] = torch.from_numpy(z.astype(np.float32))
    return weights


def load(golden, name):
    network = HTNet(CONFIGS[name])
    if name == "full":
        weights = recipe(golden["keys"], golden["shapes"])
    else:
        weights = {k[2:]: torch.from_numpy(v) for k, v in golden.items() if k.startswith("w:")}
    network.load_state_dict(weights, strict=True)
    sums = dict(zip(golden["keys"].tolist(), golden["sum_check"].tolist(), strict=True))
    for key, value in network.state_dict().items():
        assert value.double().sum().item() == pytest.approx(sums[key], abs=1e-3)
    return network.eval()


@pytest.fixture(scope="module", params=CONFIGS)
def case(request, folder):
    golden = read(folder / f"golden_{request.param}.npz")
    return golden, load(golden, request.param)


def taps_of(network, images):
    found = {}
    x = network.to_patch_embedding(images)
    found["patch_embed"] = x
    for level, (stage, aggregate) in enumerate(network.layers):
        side = 1 << (len(network.layers) - 1 - level)
        found[f"stage{level}"] = unfold(stage(fold(x, side)), side)
        x = found[f"agg{level}"] = aggregate(found[f"stage{level}"])
    found["head_norm_gap"] = network.mlp_head[1](network.mlp_head[0](x))
    found["logits"] = network.mlp_head[2](found["head_norm_gap"])
    return found


def test_every_intermediate_and_the_logits_are_the_published_ones(case):
    golden, network = case
    with torch.no_grad():
        taps = taps_of(network, torch.from_numpy(golden["input"]))
        logits = network(torch.from_numpy(golden["input"])).numpy()
    for name, value in taps.items():
        wanted = golden[f"tap_{name}"]
        difference = np.abs(value.numpy() - wanted).max()
        assert difference <= 1e-5 * np.abs(wanted).max(), name
    assert np.abs(logits - golden["official_logits"]).max() <= 1e-4


def test_without_what_does_nothing_it_is_the_same(case):
    golden, network = case
    if network.config.tokens_a_block > 1:
        with pytest.raises(ValueError, match="attention is not idle"):
            pruned(network)
        return
    images = torch.from_numpy(golden["input"])
    small = pruned(network)
    assert count_parameters(small) < 0.85 * count_parameters(network)
    with torch.no_grad():
        wanted = network(images)
        assert (small(images) - wanted).abs().max() <= 1e-5 * wanted.abs().max().clamp(min=1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", [lambda network: network, pruned], ids=["whole", "pruned"])
def test_the_onnx_of_both_forms_says_what_the_published_network_does(folder, form):
    pytest.importorskip("onnx", reason="onnx is not installed: make training")
    onnxruntime = import_onnxruntime()

    golden = read(folder / "golden_small28.npz")
    content = export(form(load(golden, "small28")))
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    logits = session.run(None, {"flow": golden["input"]})[0]
    wanted = golden["official_logits"]
    assert np.abs(logits - wanted).max() <= 1e-5 * max(1, np.abs(wanted).max())


def test_the_published_size_has_as_many_parameters():
    with torch.device("meta"):
        network = HTNet()
    assert count_parameters(network) == 139_582_982
    assert len(network.state_dict()) == 171
    assert network.config.tokens_a_block == 1


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", [lambda network: network, pruned], ids=["whole", "pruned"])
def test_both_forms_become_onnx_for_any_number_of_images(form):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: make training")
    torch.manual_seed(0)
    graph = onnx.load_from_string(export(form(HTNet(SMALL)))).graph
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"
    kinds = {node.op_type for node in graph.node}
    assert ("Softmax" in kinds) == (form is not pruned)


def test_blocks_are_folded_row_by_row_and_come_back():
    x = torch.arange(2 * 3 * 4 * 4.0).view(2, 3, 4, 4)
    folded = fold(x, 2)
    assert torch.equal(folded[1], x[0, :, :2, 2:])
    assert torch.equal(unfold(folded, 2), x)


def test_crops_are_composed_as_published(folder):
    golden = read(folder / "golden_compose.npz")
    for landmarks, at, wanted in zip(
        golden["landmarks_xy"], golden["centres_xy"], golden["composed"], strict=True
    ):
        assert np.array_equal(centres(landmarks), at)
        assert np.array_equal(compose(golden["image"], at), wanted)


def test_rows_and_columns_are_swapped_as_published():
    image = np.zeros((28, 28, 1))
    image[20:, :8] = 1  # lower left of the face
    composed = compose(image, centres(np.array(FALLBACK)))
    assert composed[:14, 14:].sum() > 0.8 * composed.sum() > 0


def test_figures_are_the_published_ones(folder):
    golden = read(folder / "golden_metrics.npz")
    counts = confusion(golden["truth"], golden["pred"], 3)
    assert uf1(counts) == pytest.approx(float(golden["uf1"]))
    assert uar(counts) == pytest.approx(float(golden["uar"]))
