"""Light before the face, and the camera that sees it: exposure, blur, noise, JPEG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from training.synthetic.render import Light

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.synthetic.faces import Array


@dataclass(frozen=True, slots=True)
class Camera:
    """How scene light becomes a picture.

    Attributes
    ----------
    exposure : float
        Gain on linear light.
    white : (3,) float32
        Gains of red, green, blue.
    gamma : float
        Encoding: value = light ** (1 / gamma).
    blur_px : float
        Standard deviation of the lens's blur.
    noise : float
        Standard deviation of sensor noise at full light, in encoded units.
    jpeg : int
        Quality; 0 = not compressed.
    grey : bool
        A camera without colour, as infrared ones.
    """

    exposure: float
    white: Array
    gamma: float
    blur_px: float
    noise: float
    jpeg: int
    grey: bool

    def take(self, scene: Array, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Take a picture (H, W, 3) uint8 BGR of linear RGB light (H, W, 3) float32."""
        seen = scene * (self.exposure * self.white)
        if self.blur_px > 0.15:
            seen = cv2.GaussianBlur(seen, (0, 0), self.blur_px)
        if self.grey:
            seen = np.repeat(seen.mean(axis=2, keepdims=True), 3, axis=2)
        encoded = cv2.pow(np.clip(seen, 0, 1), 1.0 / self.gamma)
        if self.noise > 0:
            encoded = encoded + self.noise * rng.standard_normal(seen.shape, np.float32)
        picture = cv2.convertScaleAbs(np.maximum(encoded[..., ::-1], 0), alpha=255.0)
        if self.jpeg:
            _, packed = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, self.jpeg])
            picture = cv2.imdecode(packed, cv2.IMREAD_COLOR)
        return picture  # type: ignore[return-value]


def draw_camera(rng: np.random.Generator, face_px: float) -> Camera:
    """Draw a webcam, good or bad; blur grows with the size of the face in the picture."""
    good = rng.uniform() < 0.5
    return Camera(
        exposure=float(np.exp(rng.normal(0.0, 0.22))),
        white=np.exp(rng.normal(0, 0.07, 3)).astype(np.float32),
        gamma=rng.uniform(1.9, 2.5),
        blur_px=0.0 if good else min(float(rng.exponential(0.004)), 0.012) * face_px,
        noise=0.003 if good else rng.uniform(0.002, 0.022),
        jpeg=0 if good else int(rng.integers(50, 96)),
        grey=rng.uniform() < 0.12,
    )


def draw_light(rng: np.random.Generator, split: str = "train") -> Light:
    """Draw a light. Test and training light come from different sides of the sky.

    The azimuth of the key light falls into twelve sectors of 15 degrees; training draws from the
    even ones, validation from sectors 1 and 7, testing from the other odd ones.
    """
    sectors = {"train": (0, 2, 4, 6, 8, 10), "validation": (1, 7), "test": (3, 5, 9, 11)}[split]
    sector = sectors[rng.integers(len(sectors))]
    azimuth = np.deg2rad(-90 + 15 * (sector + rng.uniform()))
    height = rng.uniform(-0.2, 1.1)
    strength = rng.uniform(0.15, 0.95)
    warm = np.array([1.0, rng.uniform(0.85, 1.0), rng.uniform(0.7, 1.0)], np.float32)
    sky = rng.uniform(0.25, 0.75) * np.exp(rng.normal(0, 0.05, 3))
    return Light(
        key=_direction(azimuth, height),
        fill=_direction(-np.sign(azimuth) * rng.uniform(0.3, 1.6), rng.uniform(-0.3, 0.6)),
        key_colour=strength * warm,
        fill_colour=(rng.uniform(0, 0.35) * np.exp(rng.normal(0, 0.08, 3))).astype(np.float32),
        sky=sky.astype(np.float32),
        ground=(sky * rng.uniform(0.35, 0.8)).astype(np.float32),
        gloss=float(rng.uniform(0.0, 0.18)),
    )


def _direction(azimuth: float, height: float) -> Array:
    """Return the unit vector towards a light: azimuth right of the camera, height upwards."""
    direction = np.array([np.sin(azimuth), height, max(0.15, np.cos(azimuth))])
    return (direction / np.linalg.norm(direction)).astype(np.float32)
