"""IFDD rewritten for inference, exactly: fewer and faster operations, the same answer.

    python -m training.ifdd.deploy --weights official.safetensors --onnx ifdd.onnx [--plugins]

- Relative positions are a part of the product of queries and keys: each query is lengthened by its
  dot products with the 8 + 14 + 14 (or fewer) places of a key, each key by a one in each of its
  own. No bias of the size of the logits is built, shifted or added, and no tensor is scattered.
- The class token, which the positions do not touch, has zeros there.
- Depthwise 3x3x3 convolutions run as planes: three 3x3 ones, whose sums are shifted in time.
- The split is a product with hat-shaped weights instead of a sampler.
- The last layer of the lifting scheme is linear, and so are the weighted sum over its tokens: the
  sum is taken first, and one row goes through the layer instead of 196.
- What only training needs, and the tensors nothing uses, are not there.

With ``--plugins`` a second file, ``ifdd.plugins.onnx``, has attention and split as nodes of ours
(:mod:`training.ifdd.nodes`) instead, which only TensorRT with our plugins runs.
"""

from __future__ import annotations

import argparse
import io
from math import prod
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from affect_engines.ort import import_onnxruntime
from affect_engines.trt.plugins import NAMESPACE
from training.ifdd.backbone import HEAD, SIDE, STAGE2_BLOCK, Attention, Block, Grid, Pool
from training.ifdd.lifting import SLOTS, Lifting, attend
from training.ifdd.network import FRAMES, IFDD
from training.ifdd.nodes import adaptive_split, pooled_attention

OPSET: Final = 17
TOLERANCE: Final = 1e-5
FORBIDDEN: Final = frozenset(
    {"Loop", "SequenceAt", "SplitToSequence", "SequenceConstruct", "ScatterND", "GridSample",
     "Einsum", "If", "Scan"}
)  # fmt: skip
"""Operators that TensorRT lacks, or that break its fusion."""


class DeployedPool(nn.Module):
    """A :class:`Pool` on patches of static shape."""

    def __init__(self, pool: Pool, grid: Grid, heads: int) -> None:
        super().__init__()
        self.grid, self.heads = grid, heads
        self.stride = pool.pool.stride[1]
        kernel = pool.pool.weight.detach()
        # Three planes at once: output channel 3 c + j is what slot t gives to slot t + 1 - j.
        self.planes = nn.Parameter(kernel[:, 0].reshape(3 * HEAD, 1, 3, 3))
        self.norm = pool.norm_act[0]

    def forward(self, x: Tensor) -> Tensor:
        """Pool (n, heads, 1 + T*H*W, 96)."""
        t, h, w = self.grid
        token, patches = x[:, :, :1], x[:, :, 1:]
        pictures = patches.reshape(-1, h, w, HEAD).permute(0, 3, 1, 2)
        planes = nn.functional.conv2d(pictures, self.planes, None, self.stride, 1, 1, HEAD)
        rows, columns = h // self.stride, w // self.stride
        parts = planes.reshape(-1, t, HEAD, 3, rows * columns)
        before, now, after = parts[:, :, :, 0], parts[:, :, :, 1], parts[:, :, :, 2]
        zero = torch.zeros_like(now[:, :1])
        pooled = now + torch.cat([zero, before[:, :-1]], 1) + torch.cat([after[:, 1:], zero], 1)
        pooled = pooled.permute(0, 1, 3, 2).reshape(-1, self.heads, t * rows * columns, HEAD)
        return self.norm(torch.cat([token, pooled], 2))  # type: ignore[no-any-return]


class DeployedAttention(nn.Module):
    """An :class:`Attention` whose relative positions are a part of queries and keys.

    With `plugins` all that follows pooling is one node of ours.
    """

    def __init__(self, attention: Attention, *, plugins: bool = False) -> None:
        super().__init__()
        shape = attention.shape
        self.shape = shape
        self.plugins = plugins
        self.qkv, self.project = attention.qkv, attention.project
        self.pool_q, self.pool_k, self.pool_v = (
            DeployedPool(pool, shape.grid, shape.heads)
            for pool in (attention.pool_q, attention.pool_k, attention.pool_v)
        )
        for axis in "thw":
            table = attention.positions(axis).detach().transpose(1, 2).contiguous()
            self.register_buffer(f"position_{axis}", table)  # (queries, 96, keys)
            self.register_buffer(f"table_{axis}", getattr(attention, f"rel_pos_{axis}").detach())
        t, h, w = shape.grid_kv
        places = torch.cartesian_prod(torch.arange(t), torch.arange(h), torch.arange(w))
        ones = torch.cat(
            [torch.eye(size)[places[:, i]] for i, size in enumerate((t, h, w))], 1
        )  # (keys, t + h + w)
        self.register_buffer("own_place", nn.functional.pad(ones, (0, 0, 1, 0)).T.contiguous())
        shortcut = torch.ones(1 + prod(shape.grid_q), 1)
        shortcut[0] = 0
        self.register_buffer("shortcut", shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """As :meth:`Attention.forward`."""
        shape = self.shape
        tokens = 1 + prod(shape.grid)
        parts = self.qkv(x).reshape(-1, tokens, 3, shape.heads, HEAD).permute(2, 0, 3, 1, 4)
        q, k, v = self.pool_q(parts[0]), self.pool_k(parts[1]), self.pool_v(parts[2])
        if self.plugins:
            tables = self.table_t, self.table_h, self.table_w
            out = pooled_attention(q, k, v, tables, shape.grid_q, shape.grid_kv)
            return self.project(out.reshape(-1, out.shape[1], shape.outward))  # type: ignore[no-any-return]
        t, h, w = shape.grid_q
        patches = q[:, :, 1:].reshape(-1, t, h, w, HEAD)
        by_time = patches.reshape(-1, t, h * w, HEAD) @ self.position_t
        by_row = patches.reshape(-1, h, w, HEAD) @ self.position_h
        by_column = patches.transpose(2, 3).reshape(-1, w, h, HEAD) @ self.position_w
        by_column = by_column.reshape(-1, t, w, h, shape.grid_kv[2]).transpose(2, 3)
        places = [
            part.reshape(-1, shape.heads, t * h * w, size)
            for part, size in zip((by_time, by_row, by_column), shape.grid_kv, strict=True)
        ]
        near = nn.functional.pad(torch.cat(places, 3), (0, 0, 1, 0))
        logits = (q * HEAD**-0.5) @ k.transpose(2, 3) + near @ self.own_place
        out = logits.softmax(-1) @ v + q * self.shortcut
        out = out.transpose(1, 2).reshape(-1, 1 + t * h * w, shape.outward)
        return self.project(out)  # type: ignore[no-any-return]


class DeployedBlock(nn.Module):
    """A :class:`Block` without what only training needs."""

    def __init__(self, block: Block, *, plugins: bool = False) -> None:
        super().__init__()
        self.block = block
        self.attention = DeployedAttention(block.attn, plugins=plugins)

    def forward(self, x: Tensor) -> Tensor:
        """Transform tokens of static shape."""
        block, shape = self.block, self.block.shape
        normed = block.norm1(x)
        around = block.project(normed) if shape.inward != shape.outward else x
        if shape.stride_q > 1:
            _, h, w = shape.grid
            pictures = around[:, 1:].reshape(-1, h, w, shape.outward).permute(0, 3, 1, 2)
            pooled = nn.functional.max_pool2d(pictures, 3, 2, 1).flatten(2).transpose(1, 2)
            pooled = pooled.reshape(-1, prod(shape.grid_q), shape.outward)
            around = torch.cat([around[:, :1], pooled], 1)
        y = around + self.attention(normed)
        return y + block.mlp(block.norm2(y))  # type: ignore[no-any-return]


class DeployedLifting(nn.Module):
    """A :class:`Lifting` that samples by a product and compresses before its last layer.

    With `plugins` split and norms are one node of ours.
    """

    def __init__(self, lifting: Lifting, *, plugins: bool = False) -> None:
        super().__init__()
        self.lifting = lifting
        self.plugins = plugins
        self.places = len(lifting.spatial_pos)
        self.register_buffer("slots", torch.arange(SLOTS, dtype=torch.float32))
        for name in ("index_even", "index_odd"):
            self.register_buffer(name, getattr(lifting.adapt_split, name).float())
        self.register_buffer("total", lifting.project_compress.weight.detach().sum().reshape(1))
        # A constant of the file: what is computed from one, other precisions cannot keep in fp32.
        look = lifting.adapt_split.dim_project[0].weight.detach()
        self.register_buffer("look", look.flatten(1).clone())

    def _sample(self, x: Tensor, index: Tensor) -> Tensor:
        place = (index * (SLOTS / (SLOTS - 1)) - 0.5).clamp(0, SLOTS - 1)
        hats = (1 - (place[:, :, None] - self.slots).abs()).clamp(min=0)
        return (hats @ x.flatten(2)).reshape(-1, SLOTS // 2 * x.shape[2], x.shape[3])

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the normed static and dynamic tokens, each (n, 196, 768)."""
        part, split = self.lifting, self.lifting.adapt_split
        if self.plugins:
            look, norms = split.dim_project[0], (part.xa_norm, part.xd_norm)
            bands = adaptive_split(
                x,
                (
                    self.look, look.bias, split.offset_project_approx[0].weight,
                    split.offset_project_detail[0].weight,
                    *(weight for norm in norms for weight in (norm.weight, norm.bias)),
                ),
            )  # fmt: skip
            tokens = SLOTS // 2 * x.shape[2]
            static, dynamic = (band.reshape(-1, tokens, x.shape[3]) for band in bands)
            return static, dynamic
        pictures = x.reshape(-1, self.places, 1, x.shape[3]).permute(0, 3, 1, 2)
        look = split.dim_project(pictures).reshape(-1, SLOTS, 7 * self.places)
        alike = look @ look.transpose(1, 2) / x.shape[3]
        static_offset = split.offset_project_approx(alike.softmax(-1).flatten(1))
        dynamic_offset = split.offset_project_detail((-alike).softmax(-1).flatten(1))
        static = self._sample(x, self.index_even + 2 * static_offset.tanh())
        dynamic = self._sample(x, self.index_odd + 2 * dynamic_offset.tanh())
        return part.xa_norm(static), part.xd_norm(dynamic)

    def forward(self, x: Tensor) -> Tensor:
        """Lift (n, 8, 49, 768) to a feature (n, 768)."""
        part = self.lifting
        static, dynamic = self._split(x)
        static = part.update(static, dynamic)
        dynamic = part.predict(static, dynamic)
        q, k, v = part.qkv(part.out_norm1(dynamic)).chunk(3, -1)
        dynamic = dynamic + part.project(attend(q, k, v))
        hidden = part.mlp[1](part.mlp[0](part.out_norm2(dynamic)))
        row = (part.project_compress.weight @ hidden)[:, 0]
        return row @ part.mlp[3].weight.T + self.total * part.mlp[3].bias  # type: ignore[no-any-return]


class DeployedIFDD(nn.Module):
    """What is exported: a clip (n, 3, 16, 224, 224) in 0 to 1 -> logits (n, 7)."""

    def __init__(self, network: IFDD, *, plugins: bool = False) -> None:
        super().__init__()
        pyramid = network.backbone
        self.grids = pyramid.grids
        self.embed = network.embed
        self.encoding = pyramid.backbone.pos_encoding
        self.blocks = nn.ModuleList(
            DeployedBlock(block, plugins=plugins) for block in pyramid.backbone.blocks
        )
        self.norm = pyramid.backbone.norm
        self.pan, self.cat = pyramid.PANLayer, pyramid.CatConv
        self.lifting = DeployedLifting(pyramid.WaveLifts, plugins=plugins)
        self.head = network.head
        self.eval()

    def forward(self, clip: Tensor) -> Tensor:
        """Read clips."""
        x = self.encoding(self.embed(clip).flatten(2).transpose(1, 2))
        middle = x
        for k, block in enumerate(self.blocks):
            x = block(x)
            if k == STAGE2_BLOCK:
                middle = x
        fine, coarse = _pictures(middle, self.grids[0]), _pictures(self.norm(x), self.grids[1])
        fused = self.cat(torch.cat([self.pan(fine), coarse], 1))
        places = prod(self.grids[1][1:])
        slots = fused.flatten(2).transpose(1, 2).reshape(-1, SLOTS, places, fused.shape[1])
        return self.head(self.lifting(slots))  # type: ignore[no-any-return]


def _pictures(tokens: Tensor, grid: Grid) -> Tensor:
    _, h, w = grid
    return tokens[:, 1:].reshape(-1, h, w, tokens.shape[2]).permute(0, 3, 1, 2)


def example(n: int, seed: int, side: int = SIDE) -> Tensor:
    """Make clips of noise."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.random((n, 3, FRAMES, side, side), dtype=np.float32))


def export(network: IFDD, *, plugins: bool = False) -> bytes:
    """Return the rewritten network as ONNX, with a dynamic batch.

    Parameters
    ----------
    network : IFDD
    plugins : bool
        Write attention and split as nodes of ours. No runtime but TensorRT reads such a file, so
        the module is compared in its place; without, what onnxruntime says is.

    Raises
    ------
    RuntimeError
        The file holds an operator of FORBIDDEN, or the logits differ from the network's.
    """
    import onnx

    onnxruntime = import_onnxruntime()

    network = network.eval()
    deployed = DeployedIFDD(network, plugins=plugins)
    traced = example(2, 0, network.side)
    content = to_onnx(deployed, (traced,), ["clip"], ["logits"], plugins=plugins)
    proto = onnx.load_from_string(content)
    bad = sorted({node.op_type for node in proto.graph.node} & FORBIDDEN)
    if bad:
        message = f"the exported file uses {', '.join(bad)}"
        raise RuntimeError(message)
    clip = example(1, 1, network.side)
    with torch.no_grad():
        wanted = network(clip).numpy()
        if plugins:
            found = deployed(clip).numpy()
        else:
            session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
            found = session.run(None, {"clip": clip.numpy()})[0]
    worst = float(np.abs(found - wanted).max())
    if worst > TOLERANCE:
        message = f"the exported network differs from the network by {worst:.2g}"
        raise RuntimeError(message)
    return content


def to_onnx(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    names: list[str],
    outputs: list[str],
    *,
    plugins: bool,
) -> bytes:
    """Export a module with a dynamic first length; with `plugins`, nodes of ours may be in it."""
    import onnx

    buffer = io.BytesIO()
    torch.onnx.export(
        module, inputs, buffer, dynamo=False, opset_version=OPSET,
        input_names=names, output_names=outputs,
        dynamic_axes={name: {0: "n"} for name in (*names, *outputs)},
        custom_opsets={NAMESPACE: 1} if plugins else None,
    )  # fmt: skip
    content: bytes = onnx.load_from_string(buffer.getvalue()).SerializeToString()
    return content


def main() -> None:
    """Run from the command line."""
    from training.ifdd.convert import load_weights

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True, help="safetensors, official keys")
    parser.add_argument("--onnx", type=Path, required=True)
    parser.add_argument("--plugins", action="store_true", help="also a file for our plugins")
    options = parser.parse_args()
    network = IFDD()
    network.load_state_dict(load_weights(options.weights))
    write_files(network, options.onnx, plugins=options.plugins)


def write_files(network: IFDD, onnx: Path, *, plugins: bool) -> None:
    """Write the plain file, and with `plugins` the other one beside it; say how large they are."""
    forms = [(onnx, False), (onnx.with_suffix(".plugins.onnx"), True)]
    for path, with_plugins in forms[: 1 + plugins]:
        content = export(network, plugins=with_plugins)
        path.write_bytes(content)
        print(f"{path} ({len(content) / 1e6:.0f} MB)")


if __name__ == "__main__":
    main()
