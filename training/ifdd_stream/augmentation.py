"""What cameras and places do to aligned faces: turned, nearer, aside, lighter, partly hidden."""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn

from training.ifdd_stream.mouth import move_mouths

if TYPE_CHECKING:
    from training.ifdd_stream.mouth import Mouths

_TURN: Final = 14 * pi / 180
_SCALE: Final = 0.15
_SHIFT: Final = 0.12
_CONTRAST: Final = 0.3
_BRIGHTNESS: Final = 30.0
_ERASED: Final = 0.4


def augment(
    pictures: Tensor, generator: torch.Generator, together: int = 1, mouths: Mouths | None = None,
    strength: float = 1.0, *, erase: bool = True,
) -> Tensor:  # fmt: skip
    """Flip, turn, scale, shift, light and partly erase (n, 48, 48), 0 to 255.

    Parameters
    ----------
    pictures : Tensor
    generator : torch.Generator
    together : int
        Consecutive pictures that are treated alike: the moments of a sequence.
    mouths : Mouths, optional
        How the mouth of each picture moves.
    strength : float
        Of turning, scaling, shifting and lighting.
    erase : bool
        Whether some are partly hidden.
    """
    n = len(pictures) // together
    flip = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    seen = _see(pictures, generator, flip, strength, together, mouths)
    side = pictures.shape[1]
    hidden = torch.rand(n, generator=generator) < _ERASED * erase
    for i in torch.nonzero(hidden).flatten().tolist():
        y, x, wide = torch.randint(0, 40, (3,), generator=generator).tolist()
        wide = min(6 + wide // 3, side)
        clip = seen[i * together : (i + 1) * together]
        clip[:, y : y + wide, x : x + wide] = clip.mean((1, 2), keepdim=True)
    return seen


def shake(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Move and light (n, 48, 48) a little, as between two moments of a restless camera."""
    return _see(pictures, generator, torch.ones(len(pictures)), 0.3, 1)


def _see(
    pictures: Tensor, generator: torch.Generator, flip: Tensor, strength: float, together: int,
    mouths: Mouths | None = None,
) -> Tensor:  # fmt: skip
    n, side = len(pictures) // together, pictures.shape[1]

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, generator=generator)

    turn, spread, shift = strength * _TURN, strength * _SCALE, strength * _SHIFT
    angle, scale = uniform(-turn, turn), uniform(1 - spread, 1 + spread)
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    matrix = torch.stack([
        torch.stack([flip * cos, -sin, uniform(-shift, shift)], 1),
        torch.stack([flip * sin, cos, uniform(-shift, shift)], 1),
    ], 1).repeat_interleave(together, 0)  # fmt: skip
    shape = [len(pictures), 1, side, side]
    grid = nn.functional.affine_grid(matrix, shape, align_corners=False)
    if mouths is not None:
        grid, inside, light = move_mouths((grid + 1) * (side / 2) - 0.5, mouths)
        grid = (grid + 0.5) * (2 / side) - 1
    seen = nn.functional.grid_sample(
        pictures[:, None], grid, padding_mode="border", align_corners=False
    )[:, 0]
    if mouths is not None:
        around = seen[:, side // 2 :].mean((1, 2), keepdim=True)
        seen = seen + inside * (light * around - seen)
    contrast = uniform(1 - strength * _CONTRAST, 1 + strength * _CONTRAST)
    brightness = uniform(-strength * _BRIGHTNESS, strength * _BRIGHTNESS)
    mean = seen.mean((1, 2), keepdim=True)
    seen = (seen - mean) * contrast.repeat_interleave(together)[:, None, None] + mean
    return (seen + brightness.repeat_interleave(together)[:, None, None]).clamp(0, 255)
