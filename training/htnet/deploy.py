"""HTNet without what does nothing, and both forms as ONNX.

    python -m training.htnet.deploy WEIGHTS.safetensors --out FOLDER

With one token a block the softmax is one whatever queries and keys say, so attention is the product
of two matrices, which is one matrix. 22 million of the published network's 140 million weights are
dead, and the product saves as many again.
"""

from __future__ import annotations

import argparse
import copy
import io
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from affect_engines.ort import import_onnxruntime
from training.htnet.network import Attention, HTNet

TOLERANCE: Final = 1e-5
"""Of the largest logit, or of one: how far onnxruntime may be off."""


def merged(attention: Attention) -> nn.Conv2d:
    """Return attention over a single token as the one matrix it is, multiplied in float64."""
    into = attention.to_qkv.weight[:, :, 0, 0].chunk(3)[2].double()
    layer = attention.to_out[0]
    assert isinstance(layer, nn.Conv2d)
    out, bias = layer.weight[:, :, 0, 0].double(), layer.bias
    assert bias is not None
    product = nn.Conv2d(into.shape[1], out.shape[0], 1)
    with torch.no_grad():
        product.weight.copy_((out @ into)[:, :, None, None].to(product.weight.dtype))
        product.bias.copy_(bias)  # type: ignore[union-attr]
    return product


def pruned(network: HTNet) -> HTNet:
    """Return an equal network without queries and keys.

    Raises
    ------
    ValueError
        Its blocks have several tokens: there attention does something.
    """
    if network.config.tokens_a_block != 1:
        message = f"{network.config.tokens_a_block} tokens a block: attention is not idle"
        raise ValueError(message)
    small = copy.deepcopy(network)
    for stage, _ in small.layers:  # type: ignore[misc]
        for attention, _perceptron in stage.layers:
            attention.fn = merged(attention.fn)
    return small


def export(network: HTNet) -> bytes:
    """Return the ONNX file (opset 17) of a network of either form, for any number of images.

    Raises
    ------
    RuntimeError
        onnxruntime's answer differs from the network's.
    """
    onnxruntime = import_onnxruntime()

    network = network.eval()
    buffer = io.BytesIO()
    torch.onnx.export(
        network, (_example(network, 2),), buffer, dynamo=False, opset_version=17,
        input_names=["flow"], output_names=["logits"],
        dynamic_axes={"flow": {0: "n"}, "logits": {0: "n"}},
    )  # fmt: skip
    content = buffer.getvalue()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    flow = _example(network, 3)
    with torch.no_grad():
        wanted = network(flow)
    got = torch.from_numpy(session.run(None, {"flow": flow.numpy()})[0])
    worst = float((got - wanted).abs().max() / wanted.abs().max().clamp(min=1))
    if worst > TOLERANCE:
        message = f"onnxruntime differs from the network by {worst:.2g}"
        raise RuntimeError(message)
    return content


def _example(network: HTNet, n: int) -> Tensor:
    side = network.config.image_px
    generator = torch.Generator().manual_seed(n)
    return 255 * torch.rand(n, network.config.channels, side, side, generator=generator)


def main() -> None:
    """Run from the command line."""
    from safetensors.torch import load_file

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, help="safetensors with the official names")
    parser.add_argument("--out", type=Path, required=True, help="folder of both ONNX files")
    options = parser.parse_args()
    network = HTNet()
    network.load_state_dict(load_file(options.weights))
    options.out.mkdir(parents=True, exist_ok=True)
    for name, form in (("htnet", network), ("htnet_pruned", pruned(network))):
        content = export(form)
        (options.out / f"{name}.onnx").write_bytes(content)
        print(f"{name}.onnx: {len(content) / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
