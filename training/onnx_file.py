"""A network of ours -> an ONNX file that answers as it does."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from affect_engines.ort import import_onnxruntime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

TOLERANCE: Final = 1e-4


def export_checked(
    network: nn.Module,
    example: Callable[[int], tuple[Tensor, ...]],
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> bytes:
    """Return the ONNX file (opset 17) of a network, for any number n of faces or events.

    Batch norms are folded away by the exporter.

    Parameters
    ----------
    network : nn.Module
        Put into the state in which it infers.
    example : callable
        Makes inputs for n; the first axis of each input and output is n.
    inputs, outputs : sequence of str
        Their names.

    Raises
    ------
    RuntimeError
        onnxruntime's answer differs from the network's by more than TOLERANCE.
    """
    import onnx

    onnxruntime = import_onnxruntime()

    network = network.eval()
    buffer = io.BytesIO()
    torch.onnx.export(
        network, example(2), buffer, dynamo=False, opset_version=17, input_names=list(inputs),
        output_names=list(outputs), dynamic_axes={name: {0: "n"} for name in (*inputs, *outputs)},
    )  # fmt: skip
    proto = onnx.load_from_string(buffer.getvalue())
    # So that the same network gives the same file.
    proto.ClearField("producer_version")
    proto.doc_string = ""
    content: bytes = proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for n in (1, 3):
        tensors = example(n)
        with torch.no_grad():
            answer = network(*tensors)
        wanted = answer if isinstance(answer, tuple) else (answer,)
        feeds = {name: tensor.numpy() for name, tensor in zip(inputs, tensors, strict=True)}
        worst = max(
            float((torch.from_numpy(got) - want).abs().max())
            for got, want in zip(session.run(None, feeds), wanted, strict=True)
        )
        if not worst <= TOLERANCE:
            message = f"onnxruntime differs from the network by {worst:.2g}"
            raise RuntimeError(message)
    return content


def quantise(
    content: bytes,
    feeds: Iterable[Mapping[str, NDArray[Any]]],
    kinds: Sequence[str] = ("Conv",),
    plain: Sequence[str] = (),
) -> bytes:
    """Return the int8 form of an fp32 file, quantised statically.

    Quantise and dequantise nodes: weights by channel in seven bits, what flows by tensor in eight.
    Seven, because processors with AVX2 and without VNNI add two products of uint8 and int8 in 16
    bits, which saturate: with weights up to 127 a shipped network lost 6.5 points there, without a
    word. 2 * 255 * 64 just fits.

    Parameters
    ----------
    content : bytes
    feeds : iterable of dict
        Inputs by name, on which the ranges are as they will be met.
    kinds : sequence of str
        Kinds of nodes that are quantised.
    plain : sequence of str
        Names of nodes that are not.
    """
    import onnx

    import_onnxruntime()  # its telemetry off before any part of it is loaded
    from onnxruntime.quantization import (  # noqa: TID251
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: TID251

    left = iter(feeds)

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> Any:
            return next(left, None)

    with tempfile.TemporaryDirectory() as folder:
        whole, ready, small = (Path(folder) / name for name in ("a.onnx", "b.onnx", "c.onnx"))
        whole.write_bytes(content)
        quant_pre_process(whole, ready, skip_symbolic_shape=True)
        quantize_static(
            ready, small, Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, reduce_range=True,
            calibrate_method=CalibrationMethod.MinMax, op_types_to_quantize=list(kinds),
            nodes_to_exclude=list(plain),
        )  # fmt: skip
        proto = onnx.load(small)
    proto.ClearField("producer_version")
    proto.doc_string = ""
    return proto.SerializeToString()  # type: ignore[no-any-return]
