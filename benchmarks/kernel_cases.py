"""What ``kernels.py`` measures: one case a kernel and size, each with its twins in PyTorch.

A case is made of NumPy arrays alone; torch is imported when a twin is asked for. A twin returns
what the launch writes, so that both are compared before either is timed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from affect_kernels import adaptive_split as splitting
from affect_kernels import face_crops as cropping
from affect_kernels import lifting_attention as attending
from affect_kernels.adaptive_split import cuda as split_cuda
from affect_kernels.face_crops import cuda as crops_cuda
from affect_kernels.flow_features import cuda as flow_cuda
from affect_kernels.lifting import WAVELETS
from affect_kernels.lifting import cuda as lifting_cuda
from affect_kernels.lifting_attention import cuda as attention_cuda
from affect_kernels.pool_norm import cuda as pool_cuda
from affect_kernels.pooled_attention import cuda as pooled_cuda

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from affect_kernels._launch import Launch

    Run = Callable[[Launch], Mapping[str, Any]]

Array = Any


@dataclass(frozen=True)
class Case:
    """One kernel at one size.

    Attributes
    ----------
    name : str
    launch : Launch
    outputs : tuple of str
        What twins return, by the launch's names.
    twins : mapping
        Name -> what makes, on a torch device, a function without arguments. ``eager`` is also
        timed compiled.
    touched_bytes : int
        Unique bytes that must be read or written.
    multiply_adds : int
        Of its matrix products; 0 where memory is the floor.
    aim : str
        What is hoped for on a card.
    tolerance : float
        Largest difference from a twin, of the twin's largest magnitude: both are fp16 as a rule.
    """

    name: str
    launch: Launch
    outputs: tuple[str, ...]
    twins: Mapping[str, Any]
    touched_bytes: int
    multiply_adds: int = 0
    aim: str = ""
    tolerance: float = 2e-2

    def answers(self, run: Run) -> tuple[Any, ...]:
        """Return what the kernel says, by what runs a launch."""
        found = run(self.launch)
        return tuple(found[name] for name in self.outputs)


def cases(
    only: str = "", *, small: bool = False, drawn: bool = True, multiprocessors: int = 132
) -> Iterator[Case]:
    """Make the cases one after the other, so that only one's arrays live at a time.

    Parameters
    ----------
    only : str
        Kernels whose name has this in it.
    small : bool
        Sizes that a CPU does in no time.
    drawn : bool
        Random numbers; else zeros, which cost neither time nor memory: for the plan.
    multiprocessors : int
        Of the card; default: an H100's.
    """
    draw = _drawer() if drawn else np.zeros
    for make, sizes, tiny in (
        (lifting, [((16, 4096, 768),)], ((5, 3, 8),)),
        (adaptive_split, [((1, 8, 49, 768),), ((4, 8, 49, 768),)], ((1, 8, 3, 768),)),
        (lifting_attention, [(196, multiprocessors)], (5, 1)),
        (
            pooled_attention,
            [(1, (8, 56, 56), (8, 7, 7)), (2, (8, 28, 28), (8, 14, 14))],
            (2, (2, 4, 2), (2, 2, 2)),
        ),
        (pool_norm, [((8, 56, 56),)], ((2, 4, 6),)),
        (
            face_crops,
            [(kind, 2160, 3840, 256, 224) for kind in ("bgr", "nv12")],
            ("nv12", 40, 60, 2, 8),
        ),
        (flow_features, [(8192,)], (3,)),
    ):
        if only in make.__name__:
            for size in [tiny] if small else sizes:
                yield make(draw, *size)


def _drawer() -> Callable[..., Array]:
    rng = np.random.default_rng(0)

    def draw(shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        return rng.standard_normal(shape, np.float32).astype(dtype)

    return draw


def lifting(draw: Any, shape: tuple[int, ...]) -> Case:
    """CDF 9/7 forwards, fp16."""
    x = draw(shape, np.float16)
    wavelet = WAVELETS["cdf97"]
    launch = lifting_cuda.analyse(x, wavelet)

    def eager(device: str) -> Any:
        import torch

        signal = torch.from_numpy(x).to(device)

        def run() -> tuple[Any, ...]:
            even, odd = signal[0::2], signal[1::2]
            first = odd[:1]
            for step in wavelet.steps:
                weight = step.weights[0]
                if step.kind == "predict":
                    after = torch.cat([even[1:], even[-1:]])[: len(odd)]
                    odd = odd + weight * (even[: len(odd)] + after)
                else:
                    first = odd[:1]
                    padded = torch.cat([first, odd, odd[-1:]])
                    even = even + weight * (padded[: len(even)] + padded[1 : len(even) + 1])
            return (torch.cat([even * wavelet.approx_scale, odd * wavelet.detail_scale]),)

        return run

    return Case(
        f"lifting cdf97 {shape}", launch, ("bands",), {"eager": eager}, launch.unique_bytes,
        aim=">= 80% of copy bandwidth",
    )  # fmt: skip


def adaptive_split(draw: Any, shape: tuple[int, ...]) -> Case:
    """IFDD's ISSM with its norms, fp16."""
    slots, channels = shape[1], shape[3]
    sizes = {
        "look": (7, channels), "look_bias": (7,), "approx_offsets": (slots // 2, slots**2),
        "detail_offsets": (slots // 2, slots**2), "approx_gain": (channels,),
        "approx_bias": (channels,), "detail_gain": (channels,), "detail_bias": (channels,),
    }  # fmt: skip
    weights = splitting.SplitWeights(
        **{name: (draw(size) * np.float32(0.05)) for name, size in sizes.items()}
    )
    x = draw(shape, np.float16)
    launch = split_cuda.adaptive_split(x, weights)

    def eager(device: str) -> Any:
        import torch

        with torch.no_grad():
            look, bias, *rest = (
                torch.from_numpy(getattr(weights, name)).to(device).half()
                for name in splitting.SplitWeights.__slots__
            )
            offsets, norms = rest[:2], rest[2:]
            anchors = [torch.arange(k, slots, 2, device=device) for k in range(2)]
            clips = torch.from_numpy(x).to(device)

        def run() -> tuple[Any, ...]:
            seen = torch.nn.functional.gelu(clips @ look.T + bias).flatten(2)
            similarity = seen @ seen.transpose(1, 2) / channels
            bands = []
            for k in range(2):
                share = ((1 - 2 * k) * similarity).softmax(-1).flatten(1)
                times = anchors[k] + 2 * torch.tanh(share @ offsets[k].T)
                places = (times * (slots / (slots - 1)) - 0.5).clamp(0, slots - 1)
                slot = torch.arange(slots, device=device)
                hats = (1 - (places[..., None] - slot).abs()).clamp(min=0).to(clips.dtype)
                band = torch.einsum("nkt,ntpc->nkpc", hats, clips)
                gain, shift = norms[2 * k : 2 * k + 2]
                bands.append(torch.nn.functional.layer_norm(band, (channels,), gain, shift, 1e-5))
            return tuple(bands)

        return run

    return Case(
        f"adaptive_split {shape}", launch, ("approx", "detail"), {"eager": eager},
        launch.unique_bytes, prod(shape) * 7, ">= 8 times faster than eager at batch 1", 6e-2,
    )  # fmt: skip


def lifting_attention(draw: Any, tokens: int, multiprocessors: int) -> Case:
    """LADM's update, fp16, batch 1: blocks that wait for each other, one a multiprocessor."""
    c = 768
    sizes = {
        "query": (c, c), "query_bias": (c,), "key_value": (2 * c, c), "key_value_bias": (2 * c,),
        "project": (c, c), "project_bias": (c,),
    }  # fmt: skip
    scale = np.float16(c**-0.5)
    weights = attending.StepWeights(
        **{name: draw(size, np.float16) * scale for name, size in sizes.items()}
    )
    band, other = (draw((1, tokens, c), np.float16) for _ in range(2))
    launch = attention_cuda.step(band, other, weights, 1.0, multiprocessors)

    def eager(device: str) -> Any:
        import torch

        to, look, *matrices = (
            torch.from_numpy(array).to(device)
            for array in (
                band, other, weights.query, weights.query_bias, weights.key_value,
                weights.key_value_bias, weights.project, weights.project_bias,
            )
        )  # fmt: skip
        linear = torch.nn.functional.linear

        def run() -> tuple[Any, ...]:
            heads = (1, tokens, 8, c // 8)
            q = linear(to, *matrices[:2]).view(heads).transpose(1, 2)
            k, v = (
                part.view(heads).transpose(1, 2)
                for part in linear(look, *matrices[2:4]).chunk(2, -1)
            )
            found = (q @ k.transpose(2, 3) * (c // 8) ** -0.5).softmax(-1) @ v + v
            return (to + linear(found.transpose(1, 2).flatten(2), *matrices[4:]),)

        return run

    work = tokens * c * c * 4 + 2 * tokens * tokens * c
    return Case(
        f"lifting_attention (1, {tokens}, {c})", launch, ("out",), {"eager": eager},
        sum(array.nbytes for array in launch.reads.values()) + band.nbytes, work,
        ">= 8 times faster than eager at batch 1",
    )  # fmt: skip


def pooled_attention(
    draw: Any, heads: int, grid_q: tuple[int, int, int], grid_k: tuple[int, int, int]
) -> Case:
    """MViT attention with decomposed relative positions, fp16, batch 1."""
    c = 96
    n_q, n_k = 1 + prod(grid_q), 1 + prod(grid_k)
    q, k, v = (draw((1, heads, n, c), np.float16) for n in (n_q, n_k, n_k))
    t, h, w = (
        draw((2 * max(a, b) - 1, c), np.float16) * np.float16(0.02)
        for a, b in zip(grid_q, grid_k, strict=True)
    )
    launch = pooled_cuda.attend(q, k, v, (t, h, w), grid_q, grid_k)

    def biased(device: str) -> Any:
        """Return what makes q, k, v and the bias of patches, on a device."""
        import torch

        from affect_kernels.pooled_attention.reference import relative_rows

        on = [torch.from_numpy(a).to(device) for a in (q, k, v)]
        axes = [
            torch.from_numpy(np.ascontiguousarray(table[relative_rows(a, b)])).to(device)
            for table, a, b in zip((t, h, w), grid_q, grid_k, strict=True)
        ]

        def bias() -> Any:
            patches = on[0][:, :, 1:].reshape(1, heads, *grid_q, c)
            parts = [
                torch.einsum(f"nathwc,{axis}kc->nathwk", patches, vectors)
                for axis, vectors in zip("thw", axes, strict=True)
            ]
            whole = parts[0][..., :, None, None] + parts[1][..., None, :, None]
            whole = (whole + parts[2][..., None, None, :]).reshape(1, heads, n_q - 1, n_k - 1)
            return torch.nn.functional.pad(whole, (1, 0, 1, 0))

        return on, bias

    def eager(device: str) -> Any:
        (on_q, on_k, on_v), bias = biased(device)

        def run() -> tuple[Any, ...]:
            out = (on_q @ on_k.transpose(2, 3) * c**-0.5 + bias()).softmax(-1) @ on_v
            out[:, :, 1:] += on_q[:, :, 1:]
            return (out.transpose(1, 2).contiguous(),)  # as the projection behind it takes it

        return run

    def fused(device: str) -> Any:
        import torch

        (on_q, on_k, on_v), bias = biased(device)
        mask = bias()  # given: what is timed is the attention alone

        def run() -> tuple[Any, ...]:
            attend = torch.nn.functional.scaled_dot_product_attention
            out = attend(on_q, on_k, on_v, attn_mask=mask)
            out[:, :, 1:] += on_q[:, :, 1:]
            return (out.transpose(1, 2).contiguous(),)  # as the projection behind it takes it

        return run

    return Case(
        f"pooled_attention {heads} heads, {n_q} x {n_k}", launch, ("out",),
        {"eager": eager, "fused": fused}, launch.unique_bytes, 2 * heads * n_q * n_k * c,
        ">= 3 times faster than eager, within 1.5 of fused",
    )  # fmt: skip


def pool_norm(draw: Any, grid: tuple[int, int, int]) -> Case:
    """Pooling of queries at stride 1 and its norm, fp16, one head, batch 1."""
    c = 96
    tokens = 1 + prod(grid)
    projected = draw((1, tokens, 3, 1, c), np.float16)
    kernel = draw((3, 3, 3, c), np.float16) * np.float16(0.2)
    scale, shift = draw((c,), np.float16), draw((c,), np.float16)
    launch = pool_cuda.pool(projected, 0, kernel, scale, shift, grid, 1)

    def eager(device: str) -> Any:
        import torch

        x, gain, bias = (torch.from_numpy(a).to(device) for a in (projected, scale, shift))
        taps = torch.from_numpy(np.ascontiguousarray(kernel.transpose(3, 0, 1, 2)))
        taps = taps[:, None].to(device)

        def run() -> tuple[Any, ...]:
            token, patches = x[:, :, 0].transpose(1, 2).tensor_split((1,), dim=2)
            volume = patches.reshape(1, *grid, c).permute(0, 4, 1, 2, 3)
            pooled = torch.nn.functional.conv3d(volume, taps, padding=1, groups=c)
            rows = torch.cat([token, pooled.flatten(2).transpose(1, 2)[:, None]], 2)
            return (torch.nn.functional.layer_norm(rows, (c,), gain, bias, 1e-6),)

        return run

    item = 2
    return Case(
        f"pool_norm {grid}", launch, ("out",), {"eager": eager},
        2 * tokens * c * item + kernel.nbytes + scale.nbytes + shift.nbytes,
        aim="as near to copy bandwidth as may be",
    )  # fmt: skip


def face_crops(_: Any, kind: str, height: int, width: int, faces: int, side: int) -> Case:
    """Crops of all faces of one frame, fp16."""
    rng = np.random.default_rng(1)
    shape = (height, width, 3) if kind == "bgr" else (height * 3 // 2, width)
    frame = rng.integers(0, 256, shape).astype(np.uint8)
    angle, size = rng.uniform(-0.5, 0.5, faces), rng.uniform(0.5, 1.5, faces)
    cos, sin = size * np.cos(angle), size * np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]]).transpose(2, 0, 1)
    centre = rng.uniform(0.2, 0.8, (faces, 2)) * (width, height)
    moved = centre[..., None] - turn @ np.full((2, 1), side / 2)
    maps = np.concatenate([turn, moved], axis=2).astype(np.float32)
    launch = crops_cuda.crop_faces(frame, maps, side, dtype=np.float16)

    def eager(device: str) -> Any:
        import torch

        picture, places = torch.from_numpy(frame).to(device), torch.from_numpy(maps).to(device)
        step = torch.arange(side, device=device, dtype=torch.float32)
        extent = torch.tensor([width - 1, height - 1], device=device, dtype=torch.float32)

        def run() -> tuple[Any, ...]:
            rgb = _levels(picture, height)
            v, u = torch.meshgrid(step, step, indexing="ij")
            ones = torch.stack([u, v, torch.ones_like(u)], -1)
            at = torch.einsum("nij,vuj->nvui", places, ones) / extent * 2 - 1
            crops = torch.nn.functional.grid_sample(
                rgb.expand(faces, -1, -1, -1), at, padding_mode="border", align_corners=True
            )
            return ((crops / 255).half(),)

        return run

    crops = launch.writes["crops"]
    return Case(
        f"face_crops {kind} {faces} x {side} px of {width} x {height}", launch, ("crops",),
        {"eager": eager},
        prod(crops.shape) * 2 + maps.nbytes + touched(maps, (height, width), side, kind),
        aim=">= 80% of copy bandwidth",
    )  # fmt: skip


def _levels(picture: Any, height: int) -> Any:
    """Return the planes (1, 3, H, W) of R, G, B of a frame on a device, 0 to 255."""
    import torch

    if picture.ndim == 3:
        return picture.flip(2).permute(2, 0, 1)[None].float()
    colour = cropping.COLOURS["bt601"]
    luma = (picture[:height].float() - 16) * colour.luma
    chroma = picture[height:].reshape(height // 2, -1, 2).float() - 128
    u, v = (chroma[..., k].repeat_interleave(2, 0).repeat_interleave(2, 1) for k in range(2))
    planes = (
        luma + colour.red_v * v,
        luma + colour.green_u * u + colour.green_v * v,
        luma + colour.blue_u * u,
    )
    return torch.stack(planes)[None].clamp(0, 255)


def touched(maps: NDArray[Any], size: tuple[int, int], side: int, kind: str) -> int:
    """Return how many bytes of a frame crops look at, each once."""
    seen = np.zeros(size, bool)
    v, u = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    for a in maps:
        x = np.clip(a[0, 0] * u + a[0, 1] * v + a[0, 2], 0, size[1] - 1).astype(int)
        y = np.clip(a[1, 0] * u + a[1, 1] * v + a[1, 2], 0, size[0] - 1).astype(int)
        for down in (0, 1):
            for across in (0, 1):
                seen[np.minimum(y + down, size[0] - 1), np.minimum(x + across, size[1] - 1)] = True
    if kind == "bgr":
        return 3 * int(seen.sum())
    pairs = seen.reshape(size[0] // 2, 2, size[1] // 2, 2).any(axis=(1, 3))
    return int(seen.sum()) + 2 * int(pairs.sum())


def flow_features(draw: Any, n: int) -> Case:
    """Strain of HTNet's flows, fp32."""
    flow = draw((n, 28, 28, 2), np.float32)
    launch = flow_cuda.features(flow)

    def eager(device: str) -> Any:
        import torch

        on = torch.from_numpy(flow).to(device)

        def run() -> tuple[Any, ...]:
            down, right = torch.gradient(on, dim=(1, 2))
            stretch = right[..., 0] ** 2 + down[..., 1] ** 2
            shear = down[..., 0] + right[..., 1]
            strain = torch.sqrt(stretch + 0.5 * shear * shear)
            return (torch.cat([on, strain[..., None]], 3),)

        return run

    return Case(
        f"flow_features ({n}, 28, 28, 2)", launch, ("out",), {"eager": eager}, launch.unique_bytes,
        aim="as near to copy bandwidth as may be",
    )  # fmt: skip
