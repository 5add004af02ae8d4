"""What talking does to a still face: the mouth opens, closes, widens, rounds; nothing else moves.

A face that talks shows what it showed before. So a still warped like this keeps its label, and a
network that learns from it learns that a mouth in motion is not yet an expression.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import torch
from torch import Tensor, nn

from training.ifdd_stream.network import SLOT_HZ

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MOST_OPEN: Final = 0.75  # of half the mouth's width
_MOST_SHUT: Final = 0.6  # of the gap between the lips that is there
_WIDER: Final = (-0.22, 0.14)
_LOWER_SHARE: Final = 0.8  # of the opening that the jaw does; the upper lip does the rest
_DARK: Final = 0.28  # grey of the inside of a mouth, of the grey around it


class Mouths(NamedTuple):
    """Mouths of n faces and how they move.

    Attributes
    ----------
    place : (n, 5, 2) float
        Corners, inner edges of the upper and the lower lip, and chin, pixels (``cuts.MOUTH``).
    opening : (n,) float
        Pixels by which the lips part; negative where they close. Zero leaves the face alone.
    wider : (n,) float
        Share by which the mouth widens; negative where it rounds.
    teeth : (n,) float
        How light the upper half of the opened mouth is, 0 to 1.
    """

    place: Tensor
    opening: Tensor
    wider: Tensor
    teeth: Tensor

    def repeat(self, times: int) -> Mouths:
        """Return each mouth `times` times over, one after the other."""
        return Mouths(*(part.repeat_interleave(times, 0) for part in self))


def draw_mouths(
    place: NDArray[np.float32], share: float, generator: torch.Generator
) -> Mouths:  # fmt: skip
    """Let `share` of the mouths (n, 5, 2) be in the midst of a word; a NaN one keeps still."""
    mouths = torch.from_numpy(place)
    n = len(mouths)
    moves = torch.rand(n, generator=generator) < share
    level = torch.rand(n, generator=generator) ** 1.5 * 1.4 - 0.4
    wider = _WIDER[0] + (_WIDER[1] - _WIDER[0]) * torch.rand(n, generator=generator)
    teeth = torch.rand(n, generator=generator) * (torch.rand(n, generator=generator) < 0.6)
    return settle(mouths, torch.where(moves, level, 0.0), torch.where(moves, wider, 0.0), teeth)


def settle(place: Tensor, level: Tensor, wider: Tensor, teeth: Tensor) -> Mouths:
    """Turn levels (n,), -0.4 (shut) to 1 (wide open), into openings of mouths (n, 5, 2)."""
    known = place.isfinite().all(2).all(1)
    place = torch.where(known[:, None, None], place, 24.0)
    half = 0.5 * (place[:, 1] - place[:, 0]).norm(dim=1)
    gap = (place[:, 3, 1] - place[:, 2, 1]).clamp(min=0)
    opening = torch.where(level > 0, level * _MOST_OPEN * half, level / 0.4 * _MOST_SHUT * gap)
    return Mouths(place, opening * known, wider * known, teeth)


def speak(place: NDArray[np.float32], moments: int, generator: torch.Generator) -> Mouths:
    """Let mouths (n, 5, 2) talk for some moments, SLOT_HZ a second: mouths of n * moments images.

    Syllables come three to six a second, with pauses between words; lips widen and round slower.
    """
    n = len(place)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator)

    t = torch.arange(moments) / SLOT_HZ
    beat = uniform(3.0, 6.0, 1)
    phase = 2 * torch.pi * (beat * t + uniform(0, 1, 1))
    loud = nn.functional.interpolate(
        uniform(0, 1, 1, 2 + moments // 5), size=moments, mode="linear"
    )[:, 0]  # fmt: skip
    loud = ((loud - 0.25) * 1.6).clamp(0, 1) * uniform(0.3, 1.0, 1)
    level = loud * (0.5 - 0.5 * torch.cos(phase)) * uniform(0.6, 1.0, moments)
    shut = (loud > 0) & (uniform(0, 1, moments) < 0.15)
    level = torch.where(shut, -0.3, level)
    wide = nn.functional.interpolate(
        uniform(-1, 1, 1, 2 + moments // 3), size=moments, mode="linear"
    )[:, 0]  # fmt: skip
    wide = torch.where(wide > 0, 0.14 * wide, 0.22 * wide) * (loud > 0)
    teeth = uniform(0, 1, 1).expand(-1, moments)
    mouths = torch.from_numpy(place).repeat_interleave(moments, 0)
    return settle(mouths, level.flatten(), wide.flatten(), teeth.flatten())


def move_mouths(grid: Tensor, mouths: Mouths) -> tuple[Tensor, Tensor, Tensor]:
    """Tell where each point of a moving face was when it stood still.

    Parameters
    ----------
    grid : (n, h, w, 2)
        x, y in pixels.
    mouths : Mouths

    Returns
    -------
    grid : (n, h, w, 2)
        Where the same skin lies in the still image.
    inside : (n, h, w)
        Share of a pixel that shows the inside of the mouth, which the still image does not have.
    light : (n, h, w)
        How light that is, as a share of the grey around the mouth.
    """
    place = mouths.place
    x, y = grid.unbind(3)
    shape = (-1, 1, 1)
    middle = (0.5 * (place[:, 0, 0] + place[:, 1, 0])).reshape(shape)
    half = (0.5 * (place[:, 1] - place[:, 0]).norm(dim=1)).clamp(min=3).reshape(shape)
    upper, lower = place[:, 2, 1].reshape(shape), place[:, 3, 1].reshape(shape)
    lower = torch.maximum(upper, lower)
    opening, wider = mouths.opening.reshape(shape), mouths.wider.reshape(shape)
    u = (x - middle) / half
    across = (1 - u * u).clamp(min=0)  # of the lips: nothing at the corners
    jaw = torch.exp(-((u / 1.8) ** 2))
    above, below = (upper - y) / half, (y - lower) / half
    lip_edge = lower + _LOWER_SHARE * opening * across
    top_edge = upper - (1 - _LOWER_SHARE) * opening * across
    near = torch.exp(-(below.clamp(min=0) ** 2) * 2)
    down = _LOWER_SHARE * opening * (across * near + jaw * (1 - near))
    up = (1 - _LOWER_SHARE) * opening * across * torch.exp(-(above.clamp(min=0) ** 2) * 4)
    # What lay between the lips is stretched over the whole opening.
    share = ((y - top_edge) / (lip_edge - top_edge).clamp(min=0.5)).clamp(0, 1)
    between = (y > top_edge) & (y < lip_edge)
    was_y = torch.where(y >= lip_edge, torch.maximum(y - down, lower), torch.minimum(y + up, upper))
    was_y = torch.where(between, upper + share * (lower - upper), was_y)
    was_y = torch.where((y <= top_edge) | (y >= lip_edge) | (opening != 0), was_y, y)
    reach = torch.exp(-(((y - 0.5 * (upper + lower)) / (1.3 * half)) ** 2) - (u / 2) ** 2)
    was_x = middle + (x - middle) / (1 + wider * reach)
    still = (opening == 0) & (wider == 0)
    was = torch.stack([torch.where(still, x, was_x), torch.where(still, y, was_y)], 3)
    new = (opening / (opening + (lower - upper) + 1e-3)).clamp(0, 1)
    soft = torch.sigmoid(3 * (y - top_edge)) * torch.sigmoid(3 * (lip_edge - y))
    inside = new * soft * (opening > 0) * (across > 0)
    teeth = mouths.teeth.reshape(shape) * (share < 0.45)
    return was, inside, _DARK + 0.6 * teeth
