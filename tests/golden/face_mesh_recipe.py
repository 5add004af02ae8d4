"""Images for the parity test, made from one photograph with NumPy alone.

The generator runs in MediaPipe's own environment, whose OpenCV is another one; NumPy arithmetic
gives the same bytes in both. The hash of every image is recorded and compared all the same.
"""

from __future__ import annotations

import hashlib

import numpy as np

N_STEPS = 8


def variants(photo):
    """Return the still images by name, (H, W, 3) uint8 RGB, from skimage.data.astronaut()."""
    half = photo.reshape(256, 2, 256, 2, 3).mean(axis=(1, 3))
    return {
        "upright": photo.copy(),
        "turned_left": rotate(photo, -25.0),
        "turned_right": rotate(photo, 25.0),
        "half": np.rint(half).astype(np.uint8),
        "double": photo.repeat(2, axis=0).repeat(2, axis=1),
        "tiled": np.tile(photo[:320, 64:384], (2, 2, 1)),
        "left_border": np.ascontiguousarray(photo[:, 165:]),
        "top_border": np.ascontiguousarray(photo[60:]),
    }


def sequence(photo):
    """Return a short clip of the moving photograph, for following from frame to frame."""
    return [
        np.ascontiguousarray(rotate(photo, 1.5 * i)[3 * i : 400 + 3 * i, 5 * i : 440 + 5 * i])
        for i in range(N_STEPS)
    ]


def rotate(picture, degrees):
    """Turn `image` about its centre by bilinear sampling; black comes in from outside."""
    height, width = picture.shape[:2]
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    y, x = np.mgrid[:height, :width].astype(np.float64)
    x -= width / 2
    y -= height / 2
    u = cos * x + sin * y + width / 2
    v = -sin * x + cos * y + height / 2
    inside = (u >= 0) & (v >= 0) & (u < width - 1) & (v < height - 1)
    u, v = np.where(inside, u, 0.0), np.where(inside, v, 0.0)
    left, top = u.astype(int), v.astype(int)
    a, b = (u - left)[..., None], (v - top)[..., None]
    upper = picture[top, left] * (1 - a) + picture[top, left + 1] * a
    lower = picture[top + 1, left] * (1 - a) + picture[top + 1, left + 1] * a
    mixed = np.rint(upper * (1 - b) + lower * b)
    return np.where(inside[..., None], mixed, 0).astype(np.uint8)


def digest(picture):
    """Return the SHA-256 of an image's bytes."""
    return hashlib.sha256(np.ascontiguousarray(picture).tobytes()).hexdigest()
