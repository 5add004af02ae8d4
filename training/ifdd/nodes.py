"""Nodes of ours in an exported file: what TensorRT's plugins, and nothing else, can run.

As modules they do what the node means, by the kernels' plain forms in NumPy, without gradients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from affect_engines.trt.plugins import ADAPTIVE_SPLIT, NAMESPACE, POOLED_ATTENTION, VERSION
from affect_kernels.adaptive_split import SplitWeights
from affect_kernels.adaptive_split import adaptive_split as plain_split
from affect_kernels.pooled_attention import pooled_attention as plain_attention

if TYPE_CHECKING:
    from training.ifdd.backbone import Grid

_ABOUT = {"plugin_version_s": VERSION, "plugin_namespace_s": NAMESPACE}
"""Where TensorRT's parser looks for which plugin is meant."""


class PooledAttention(torch.autograd.Function):
    """``affect_kernels.pooled_attention`` as one node."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:  # noqa: ARG004
        """Attend: (n, heads, tokens, 96) three times, tables, grids -> (n, tokens, heads, 96)."""
        q, k, v, *tables = (part.detach().numpy() for part in arguments[:6])
        return torch.from_numpy(plain_attention(q, k, v, tuple(tables), *arguments[6:]))

    @staticmethod
    def symbolic(g: Any, *arguments: Any) -> Any:
        """Write the node."""
        grid_q, grid_k = arguments[6:]
        q = arguments[0]
        n, heads, tokens, channels = q.type().varyingSizes()
        node = g.op(
            f"{NAMESPACE}::{POOLED_ATTENTION.name}", *arguments[:6],
            grid_q_i=list(grid_q), grid_k_i=list(grid_k), **_ABOUT,
        )  # fmt: skip
        node.setType(q.type().with_sizes([n, tokens, heads, channels]))
        return node


class AdaptiveSplit(torch.autograd.Function):
    """``affect_kernels.adaptive_split`` as one node."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, ...]:  # noqa: ARG004
        """Split (n, T, N, C) by weights in the order of ``SplitWeights``."""
        x, *weights = (part.detach().numpy() for part in arguments)
        return tuple(torch.from_numpy(band) for band in plain_split(x, SplitWeights(*weights)))

    @staticmethod
    def symbolic(g: Any, *arguments: Any) -> Any:
        """Write the node."""
        x = arguments[0]
        n, _, tokens, channels = x.type().varyingSizes()
        nodes = g.op(f"{NAMESPACE}::{ADAPTIVE_SPLIT.name}", *arguments, outputs=3, **_ABOUT)
        # Of the clip's own lengths the exporter may know none; the weights are constants.
        n_approx, n_detail = (part.type().sizes()[0] for part in arguments[3:5])
        for node, sizes in zip(
            nodes,
            (
                [n, n_approx, tokens, channels],
                [n, n_detail, tokens, channels],
                [n, n_approx + n_detail],
            ),
            strict=True,
        ):
            node.setType(x.type().with_sizes(sizes))
        return nodes


def pooled_attention(
    q: Tensor, k: Tensor, v: Tensor, tables: tuple[Tensor, ...], grid_q: Grid, grid_k: Grid
) -> Tensor:
    """Return (n, queries, heads, 96); see ``affect_kernels.pooled_attention``."""
    return PooledAttention.apply(q, k, v, *tables, grid_q, grid_k)  # type: ignore[no-any-return]


def adaptive_split(x: Tensor, weights: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Return both bands; see ``affect_kernels.adaptive_split``."""
    approx, detail, _ = AdaptiveSplit.apply(x, *weights)
    return approx, detail
