"""HTNet-Live: the hierarchy with attention that attends, its training step and its ONNX."""

import json

import numpy as np
import pytest

from affect_engines.ort import import_onnxruntime

pytest.importorskip("torch", reason="torch is not installed: make training")

import torch

from realtime_affect.names import MICRO_CLASSES
from training.action_units.network import count_parameters
from training.htnet import train as training
from training.htnet import zero_shot
from training.htnet.evaluate import figures, fit_temperature, softmax
from training.htnet.export import export
from training.htnet.flows import Flows
from training.htnet.live import LIVE, LiveHTNet, StretchedHTNet
from training.htnet.loso import Pack
from training.htnet.network import HTNet, HTNetConfig


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return LiveHTNet().eval()


def maps(n=2):
    return 0.02 * torch.randn(n, 56, 56, 3, generator=torch.Generator().manual_seed(n))


def test_it_is_small_and_its_blocks_have_tokens_to_attend_to(network):
    assert LIVE.tokens_a_block >= 4
    assert len(LIVE.blocks) == 3
    assert count_parameters(network) <= 1_000_000
    assert network(maps()).shape == (2, len(MICRO_CLASSES))


def test_queries_and_keys_matter_other_than_in_the_published_size():
    published = HTNetConfig(width=24, blocks=(1, 1, 1))
    for config, matters in ((LIVE, True), (published, False)):
        torch.manual_seed(1)
        small = HTNet(config)
        images = torch.randn(2, 3, small.config.image_px, small.config.image_px)
        with torch.no_grad():
            before = small(images)
            for stage, _ in small.layers:
                for attention, _perceptron in stage.layers:
                    inner = attention.fn.to_qkv.weight.shape[0] // 3
                    attention.fn.to_qkv.weight[: 2 * inner] *= -3.0
                    attention.fn.to_qkv.weight[:inner] += 0.5
            changed = float((small(images) - before).abs().max())
        assert (changed > 1e-3) == matters


def test_a_patch_knows_where_on_the_face_it_is(network):
    inside = torch.zeros(1, 56, 56, 3)
    inside[:, 14:21, 14:21] = 0.05  # neither touches the border, which convolutions would see
    other = inside.roll((14, 14), (1, 2))
    with torch.no_grad():
        network.network.to_patch_embedding.place.normal_(0, 1)
        assert (network(inside) - network(other)).abs().max() > 1e-3


def test_the_sibling_is_its_lower_levels_and_then_its_highest():
    torch.manual_seed(2)
    sibling = StretchedHTNet().eval()
    images = torch.randint(0, 256, (3, 28, 28, 3), dtype=torch.uint8)
    with torch.no_grad():
        below = sibling.below(images)
        assert below.shape == (3, 96, 2, 2)
        plain = torch.nn.functional.interpolate(
            (images.float() / 127.5 - 1).permute(0, 3, 1, 2), (56, 56), mode="bilinear"
        )
        assert torch.allclose(sibling(images), sibling.network(plain), atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_the_onnx_file_says_the_same_of_any_number_of_events(network):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: make training")
    onnxruntime = import_onnxruntime()

    content = export(network)
    graph = onnx.load_from_string(content).graph
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for n in (1, 5):
        with torch.no_grad():
            wanted = network(maps(n)).numpy()
        assert np.abs(session.run(None, {"maps": maps(n).numpy()})[0] - wanted).max() < 1e-4


def some_flows(n=16):
    """Make flows of which each class moves another quarter of the map."""
    rng = np.random.default_rng(3)
    label = np.arange(n) % 4
    values = rng.normal(0, 0.001, (n, 56, 56, 3)).astype(np.float16)
    for i, k in enumerate(label.tolist()):
        y, x = 28 * (k // 2), 28 * (k % 2)
        values[i, y : y + 28, x : x + 28, 1] -= 0.03
    return Flows(
        values, label, np.where(label == 3, 0, -1), np.where(label == 3, 0.0, 0.2),
        np.full(n, 30), np.full(n, 0.2), np.arange(n) // 4,
    )  # fmt: skip


def test_training_goes_on_where_it_stopped(tmp_path):
    flows = some_flows()
    whole = training.train(flows, "live", training.Settings(epochs=2, batch=8), tmp_path)
    stored = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert stored["epoch"] == 2
    again = training.train(flows, "live", training.Settings(epochs=2, batch=8), tmp_path)
    for one, other in zip(whole.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_the_sibling_is_not_taught_non_events():
    flows = some_flows()
    assert set(training.taught(flows, "stretched").label.tolist()) == {0, 1, 2}
    assert len(training.taught(flows, "live")) == len(flows)


def test_lessons_vary_what_they_show_and_keep_strain_true():
    from affect_kernels.flow_features import optical_strain

    shown = some_flows().maps.astype(np.float32)
    lessons = training.live_lesson(shown, np.random.default_rng(0))
    assert lessons.shape == shown.shape
    assert not np.array_equal(lessons[..., :2], shown[..., :2])
    strain = optical_strain(np.ascontiguousarray(lessons[..., :2]))
    assert np.allclose(lessons[..., 2], strain, atol=1e-6)


def test_figures_tell_strengths_cameras_and_what_was_refused():
    flows = some_flows()
    shares = np.eye(4)[flows.label]
    shares[3] = [1, 0, 0, 0]  # a non-event taken for a negative movement
    found = figures(flows, shares)
    assert found["refused"] == {"rest": 0.75}
    assert found["recall"] == {"negative": 1, "positive": 1, "surprise": 1, "none": 0.75}
    assert found["by_strength"] == {"0.2-0.35": {"n": 12, "uar": 1.0, "told_as_none": 0.0}}
    assert found["uar_by_camera_fps"] == {"30": found["uar"]}
    assert found["uf1_interval"][0] <= found["uf1"] <= found["uf1_interval"][1]


def test_the_temperature_makes_sureness_as_great_as_it_deserves_to_be():
    rng = np.random.default_rng(7)
    logits = rng.normal(0, 1, (4000, 4))
    drawn = np.array([rng.choice(4, p=row) for row in softmax(logits, 1.0)])
    assert fit_temperature(2 * logits, drawn) == pytest.approx(2.0, rel=0.15)


def test_every_look_at_the_pack_is_logged(tmp_path):
    torch.manual_seed(3)
    torch.save({"network": StretchedHTNet().state_dict()}, tmp_path / "checkpoint.pt")
    images = np.random.default_rng(8).integers(0, 256, (6, 28, 28, 3)).astype(np.uint8)
    names = np.array(["a", "a", "b", "b", "c", "c"])
    pack = Pack(images, images, np.array([0, 1, 2, 0, 1, 2]), names, names)
    log = tmp_path / "results" / "looks.jsonl"
    for why in ("one", "two"):
        found = zero_shot.look(tmp_path, pack, why, log)
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert [line["why"] for line in lines] == ["one", "two"]
    assert {line["uf1"] for line in lines} == {found["uf1"]}
