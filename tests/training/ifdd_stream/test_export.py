"""ONNX files of IFDD-Stream: the same answers, in fp32 and nearly in int8."""

import numpy as np
import pytest

from affect_engines import load_card
from affect_engines.ort import import_onnxruntime
from affect_engines.store import model_path

pytest.importorskip("torch", reason="torch is not installed: make training")
pytest.importorskip("onnx", reason="onnx is not installed: make training")

import onnx
import torch

from training.ifdd_stream.evaluate import read_clips
from training.ifdd_stream.export import export, play, quantised
from training.ifdd_stream.network import SLOTS, StreamNetwork

onnxruntime = import_onnxruntime()

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def fp32():
    torch.manual_seed(2)
    return export(StreamNetwork().eval())


def session(content):
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def largest_weight(content):
    graph = onnx.load_from_string(content).graph
    stored = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    read = [stored.get(n.input[0]) for n in graph.node if n.op_type == "DequantizeLinear"]
    weights = [values for values in read if values is not None and values.dtype == np.int8]
    return max(abs(values.astype(int)).max() for values in weights)


def test_the_graph_is_plain_and_takes_any_number_of_faces(fp32):
    graph = onnx.load_from_string(fp32).graph
    assert not {"Loop", "Einsum", "GridSample", "ScatterND"} & {node.op_type for node in graph.node}
    assert [i.name for i in graph.input] == ["pictures", "memory", "missing"]
    assert {i.type.tensor_type.shape.dim[0].dim_param for i in graph.input} == {"n"}


def test_playing_a_clip_feeds_what_the_product_feeds(fp32):
    clips = np.random.default_rng(0).integers(0, 256, (2, SLOTS + 2, 48, 48)).astype(np.uint8)
    feeds = list(play(session(fp32), clips))
    assert [int(feed["missing"][0]) for feed in feeds] == [*range(SLOTS - 1, -1, -1), 0, 0]
    assert not feeds[0]["memory"].any()
    assert np.array_equal(feeds[2]["memory"][:, :-1], feeds[1]["memory"][:, 1:])


def test_a_still_clip_says_the_same_all_the_time(fp32):
    pictures = np.random.default_rng(1).integers(0, 256, (3, 48, 48)).astype(np.uint8)
    logits = read_clips(session(fp32), np.repeat(pictures[:, None], SLOTS + 1, 1))
    assert np.abs(logits - logits[:, :1]).max() < 1e-4


def test_int8_is_smaller_and_close(fp32):
    clips = np.random.default_rng(2).integers(0, 256, (8, SLOTS, 48, 48)).astype(np.uint8)
    small = quantised(fp32, clips)
    assert len(small) < 0.5 * len(fp32)
    kinds = {node.op_type for node in onnx.load_from_string(small).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    exact, rough = (read_clips(session(content), clips) for content in (fp32, small))
    assert np.abs(exact - rough).max() < 0.5 * exact.std() + 0.1


def test_no_two_products_of_int8_exceed_sixteen_bits(fp32):
    clips = np.random.default_rng(3).integers(0, 256, (2, SLOTS, 48, 48)).astype(np.uint8)
    assert largest_weight(quantised(fp32, clips)) == 64


def test_the_shipped_form_is_right_on_processors_without_vnni():
    content = model_path(load_card("ifdd_stream").form("int8")).read_bytes()
    assert 2 * 255 * largest_weight(content) < 2**15
