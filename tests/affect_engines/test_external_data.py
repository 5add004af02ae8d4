import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affect_engines.cards import card_of_file, list_cards, load_card
from affect_engines.errors import ModelError
from affect_engines.external_data import has_external_data
from affect_engines.store import read_model

OURS = [name for name in list_cards() if load_card(name).file.endswith(".onnx")]


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number, value):
    """Return one field of a protobuf message; bytes are a message or a text."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


ELSEWHERE = [field(14, 1), field(13, b"\x0a\x08location"), field(14, 0) + field(14, 1)]
# Where a tensor may stand, from the model inwards: fields of onnx.proto.
PLACES = {
    "an initializer": (7, 5),
    "a constant's attribute": (7, 1, 5, 5),
    "a list of tensors": (7, 1, 5, 10),
    "values of a sparse initializer": (7, 15, 1),
    "indices of a sparse initializer": (7, 15, 2),
    "a sparse attribute": (7, 1, 5, 22, 1),
    "a list of sparse tensors": (7, 1, 5, 23, 2),
    "the branch of an If": (7, 1, 5, 6, 5),
    "one of several graphs": (7, 1, 5, 11, 5),
    "a function's node": (25, 7, 5, 5),
    "a function's default": (25, 11, 5),
    "an initialization for training": (20, 1, 5),
    "a training step": (20, 2, 1, 5, 5),
}


def model_with(tensor, place):
    for number in reversed(place):
        tensor = field(99, b"before") + field(number, tensor) + field(98, 1)
    return tensor


@pytest.mark.parametrize("tensor", ELSEWHERE, ids=["location", "names", "last wins"])
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_weights_in_other_files_are_found_wherever_they_stand(place, tensor):
    assert has_external_data(model_with(tensor, place))
    assert not has_external_data(model_with(field(9, b"raw") + field(14, 0), place))


def test_a_network_nested_as_deep_as_it_likes_is_looked_through():
    place = (7, *(1, 5, 6) * 3000, 5)
    assert has_external_data(model_with(ELSEWHERE[0], place))


@given(st.binary(max_size=200))
@pytest.mark.survival(26)
def test_any_bytes_are_a_message_or_a_value_error(content):
    with contextlib.suppress(ValueError):
        assert has_external_data(content) in (True, False)


@pytest.mark.parametrize("name", OURS)
def test_ours_hold_their_weights_in_every_form(name):
    for form in load_card(name).all_forms():
        assert not has_external_data(read_model(form))


@pytest.mark.parametrize("location", ["weights.bin", "../weights.bin", "*/_ORT_MEM_ADDR_/*"])
@pytest.mark.survival(26)
def test_a_network_with_external_data_beside_the_working_directory_is_refused(
    tmp_path, monkeypatch, location
):
    """Runtimes are given bytes, and then look below the working directory: onnxruntime did."""
    onnx = pytest.importorskip("onnx", reason="onnx writes the network of this test")
    weights = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [2], b"\0" * 8, raw=True)
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["x", "w"], ["y"])], "g",
        [value("x", onnx.TensorProto.FLOAT, [2])], [value("y", onnx.TensorProto.FLOAT, [2])],
        [weights],
    )  # fmt: skip
    opset = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    (tmp_path / "mine.onnx").write_bytes(model.SerializeToString())
    (tmp_path / "weights.bin").write_bytes(b"\0\0\x80?" * 2)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"weights in other files.*save_as_external_data=False"):
        read_model(card_of_file(tmp_path / "mine.onnx"))
