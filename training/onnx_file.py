"""A network of ours -> an ONNX file that answers as it does."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import torch

from affect_engines.ort import import_onnxruntime

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
