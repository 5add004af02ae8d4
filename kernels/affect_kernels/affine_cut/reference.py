"""Affine cuts in plain NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Image = NDArray[np.uint8]

GREY_PARTS: Final = 1 << 14
GREY: Final = (1868, 9617, 4899)
"""Parts of blue, green, red in grey: ITU-R BT.601 in 14 bits, as OpenCV has them."""


def cut_rgb(image: Image, to_image: ArrayLike, size: tuple[int, int]) -> Image:
    """Sample the places of a cut, linearly between the four pixels around each.

    Parameters
    ----------
    image : (H, W, 3) uint8
        BGR, at least 2 by 2.
    to_image : (2, 3) float
        The cut's pixel (u, v) shows the image at ``to_image @ (u, v, 1)``, x and y.
    size : (int, int)
        Width and height of the cut.

    Returns
    -------
    (height, width, 3) uint8
        RGB, new; border pixels of the image repeat beyond it.
    """
    return _rounded(_sampled(image, to_image, size)[..., ::-1])


def cut_grey(image: Image, to_image: ArrayLike, size: tuple[int, int]) -> Image:
    """Return a cut (height, width) uint8 of the image in grey, rounded before it is cut."""
    grey = (image.astype(np.int64) @ np.array(GREY) + GREY_PARTS // 2) // GREY_PARTS
    return _rounded(_sampled(grey[..., None], to_image, size)[..., 0])


def _sampled(image: Image, to_image: ArrayLike, size: tuple[int, int]) -> NDArray[Any]:
    height, width = image.shape[:2]
    v, u = np.mgrid[: size[1], : size[0]]
    x, y = np.einsum("ij,jvu->ivu", np.asarray(to_image, float), np.stack([u, v, np.ones_like(u)]))
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    left, top = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    across, down = (x - left)[..., None], (y - top)[..., None]
    pixels = image.astype(float)
    above = pixels[top, left] * (1 - across) + pixels[top, left + 1] * across
    below = pixels[top + 1, left] * (1 - across) + pixels[top + 1, left + 1] * across
    sampled: NDArray[Any] = above * (1 - down) + below * down
    return sampled


def _rounded(values: NDArray[Any]) -> Image:
    return (values + 0.5).astype(np.uint8)
