"""People who do not exist: identity, skin, hair, eyes, age, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from training.synthetic.creases import make_relief
from training.synthetic.faces import GUMS, HEAD, MOUTH_SOCKET, SCLERAS, TEETH, Array, FaceModel
from training.synthetic.render import shine_of
from training.synthetic.skin import (
    SkinTraits,
    Wrinkles,
    make_wrinkles,
    paint_skin,
    texture_points,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.synthetic.relief import Relief

Colour = tuple[float, float, float]

# Linear RGB of skin from light to dark, between which people lie.
_SKINS: Final = np.array(
    [(0.80, 0.58, 0.47), (0.70, 0.46, 0.34), (0.55, 0.33, 0.22), (0.36, 0.19, 0.115),
     (0.20, 0.10, 0.06), (0.10, 0.05, 0.033)], np.float32,
)  # fmt: skip
_HAIRS: Final = (
    (0.012, 0.01, 0.009), (0.035, 0.02, 0.013), (0.09, 0.05, 0.027), (0.16, 0.09, 0.045),
    (0.38, 0.25, 0.12), (0.22, 0.07, 0.025), (0.36, 0.35, 0.34), (0.66, 0.65, 0.63),
)  # fmt: skip
_IRISES: Final = ((0.05, 0.024, 0.012), (0.12, 0.06, 0.025), (0.15, 0.14, 0.06), (0.12, 0.2, 0.3),
                  (0.2, 0.24, 0.26))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Traits:
    """What a person looks like besides the shape of the head; lengths in centimetres."""

    skin: SkinTraits
    iris: Colour
    shirt: Colour
    hair_cm: float
    hairline_cm: float
    sides_cm: float
    covering: Colour | None
    glasses: Glasses | None
    lash: float


@dataclass(frozen=True, slots=True)
class Glasses:
    """A frame before the eyes: half width and height of a lens, thickness, in centimetres."""

    half_width: float
    half_height: float
    roundness: float
    thickness: float
    colour: Colour
    tint: float


@dataclass(frozen=True, slots=True)
class Person:
    """A head made one person's.

    Attributes
    ----------
    base : (n, 3) float32
        Vertices of the neutral face.
    texture : (320, 256, 3) float32
        Front of the face, linear RGB.
    attributes : (n, 14) float32
        What the shader interpolates, but for the light.
    wrinkles : Wrinkles or Relief
        What units do to the skin: painted lines, or folds in relief.
    """

    model: FaceModel
    traits: Traits
    base: Array
    texture: Array
    attributes: Array
    wrinkles: Wrinkles | Relief

    @property
    def iris(self) -> Colour:
        """Linear RGB of the iris."""
        return self.traits.iris


def draw_traits(rng: np.random.Generator) -> Traits:
    """Draw a person's looks; every tone of skin is equally likely."""
    tone = rng.uniform(0, len(_SKINS) - 1)
    k = min(int(tone), len(_SKINS) - 2)
    skin = _SKINS[k] + (tone - k) * (_SKINS[k + 1] - _SKINS[k])
    skin = skin * rng.uniform(0.92, 1.08, 3)
    dark = tone > 2.2 and rng.uniform() < 0.85
    age = float(rng.beta(1.3, 1.8))
    grey = age > 0.55 and rng.uniform() < 0.7
    choices = (6, 7) if grey else (0, 1) if dark else range(6)
    hair = np.array(_HAIRS[rng.choice(list(choices))]) * rng.uniform(0.8, 1.2)
    man = rng.uniform() < 0.5
    bearded = man and rng.uniform() < 0.5
    redness = rng.uniform(0.0, 0.5 if man else 1.0)
    lips = skin * (
        np.array([0.95, 0.66, 0.66]) * (1 - redness) + np.array([0.9, 0.42, 0.45]) * redness
    )
    if not man and rng.uniform() < 0.2:
        lips = np.array([0.35, 0.03, 0.05]) * rng.uniform(0.6, 1.5)
    irises = _IRISES[:2] if dark else _IRISES
    covered = rng.uniform() < 0.06
    glasses = None
    if rng.uniform() < 0.22:
        colour = np.array([0.01, 0.01, 0.01]) if rng.uniform() < 0.6 else rng.uniform(0.02, 0.4, 3)
        glasses = Glasses(
            rng.uniform(2.1, 2.8), rng.uniform(1.3, 2.2), rng.uniform(0.2, 1.0),
            rng.uniform(0.08, 0.4), _rgb(colour), rng.choice([0.0, 0.0, 0.1, 0.3]),
        )  # fmt: skip
    return Traits(
        skin=SkinTraits(
            skin=_rgb(skin), hair=_rgb(hair), brow=rng.uniform(0.05, 1.0) ** (0.7 if man else 1.2),
            beard=rng.uniform(0.15, 0.97) if bearded else 0.0,
            moustache=rng.uniform(0.1, 0.95) if man and rng.uniform() < 0.45 else 0.0,
            lips=_rgb(lips), eye_shadow=rng.uniform(), freckles=rng.uniform() * (tone < 2),
            mottle=rng.uniform(0.3, 1.4), age=age,
        ),
        iris=_rgb(np.array(irises[rng.integers(len(irises))]) * rng.uniform(0.7, 1.3)),
        shirt=_rgb(rng.uniform(0.02, 0.6, 3)),
        hair_cm=0.0 if man and rng.uniform() < 0.15 else rng.uniform(0.2, 2.2),
        hairline_cm=rng.normal(0.2, 0.9) + (1.5 * age * man) - (2.4 if rng.uniform() < 0.2 else 0),
        sides_cm=rng.uniform(4, 22) if rng.uniform() < (0.1 if man else 0.65) else 0.0,
        covering=_rgb(rng.uniform(0.02, 0.5, 3)) if covered else None,
        glasses=glasses,
        lash=rng.uniform(0.45, 0.95),
    )  # fmt: skip


def make_person(
    model: FaceModel,
    seed: int | Sequence[int],
    traits: Traits | None = None,
    texture: Array | None = None,
    identity_sd: float = 0.8,
    *,
    relief: bool = False,
) -> Person:
    """Draw a person.

    Parameters
    ----------
    model : FaceModel
    seed : int or sequence of int
        Same seed, same person.
    traits : Traits, optional
        Instead of drawn ones.
    texture : (320, 256, 3) float32, optional
        The front of a face, linear RGB, instead of a painted one.
    identity_sd : float
        Spread of the identity modes.
    relief : bool
        Skin folds in relief instead of painted lines.
    """
    rng = np.random.default_rng(seed)
    traits = draw_traits(rng) if traits is None else traits
    modes = np.clip(rng.normal(size=len(model.identities)), -2.5, 2.5).astype(np.float32)
    base = model.neutral + np.tensordot(modes * identity_sd, model.identities, 1)
    scalp, depth = _scalp(model, traits.hairline_cm)
    if traits.hair_cm == 0.0 and traits.covering is None:
        scalp = 0.55 * scalp * rng.uniform(0, 1)  # shaved
    outward = base - np.array([0.0, 3.0, 0.0], np.float32)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    strands = 1 + 0.12 * np.sin(base[:, :1] * 5.0 + 2.0 * np.sin(base[:, 1:2] * 1.3))
    thickness = 0.9 if traits.covering else traits.hair_cm
    base = base + outward * (thickness * depth[:, None] * strands)
    picture = paint_skin(model, traits.skin, rng, hairs=relief) if texture is None else texture
    attributes = _vertex_attributes(model, traits, picture, scalp)
    base = base.astype(np.float32)
    if relief:
        wrinkles: Wrinkles | Relief = make_relief(model, base, traits.skin, rng)
    else:
        wrinkles = make_wrinkles(model, traits.skin.age, rng)
    return Person(model, traits, base, picture, attributes, wrinkles)


def _vertex_attributes(model: FaceModel, traits: Traits, picture: Array, scalp: Array) -> Array:
    """Return (n, 14): light (3, to come), shine, colour (3), share of texture, u, v, lash, eye."""
    points = model.neutral
    colour = np.tile(_mean_skin(picture), (len(points), 1)).astype(np.float32)
    hair = np.array(traits.skin.hair, np.float32)
    strand = 1 + 0.35 * np.sin(points[:, :1] * 9 + 3 * np.sin(points[:, 1:2] * 2))
    if traits.covering is not None:
        hair, strand = np.array(traits.covering, np.float32), 1 + 0.08 * np.sin(points[:, 1:2] * 3)
    colour += (hair * strand - colour) * scalp[:, None]
    colour[MOUTH_SOCKET] = 0.10, 0.03, 0.03
    depth = np.clip((points[GUMS, 2:] - 7.0) / 3.5, 0.12, 1)  # the tongue's root lies in the dark
    colour[GUMS] = np.array([0.36, 0.13, 0.13]) * depth
    # Lips keep light from the back teeth; without that they shine out of the mouth's corners.
    inward = np.clip((points[TEETH, 2:] - 8.9) / 1.7, 0.03, 1)
    colour[TEETH] = np.array([0.66, 0.62, 0.55]) * inward
    for shell in SCLERAS:
        colour[shell] = 0.80, 0.78, 0.77
    facing = np.clip((model.normals[:, 2] - 0.05) / 0.35, 0, 1)
    inside = np.clip((11.6 - points[:, 1]) / 1.5, 0, 1) * np.clip((points[:, 1] + 9.8) / 1.5, 0, 1)
    front = np.where(model.on_head() & (points[:, 2] > 1.0), facing * inside, 0.0)
    attributes = np.zeros((len(points), 14), np.float32)
    attributes[:, 3] = shine_of(len(points)) * (1 - scalp)
    attributes[:, 4:7] = np.clip(colour, 0, 1)
    attributes[:, 7] = front * (1 - scalp)
    attributes[:, 8:10] = texture_points(points)
    attributes[:, 10] = 0.95 * traits.lash * model.lash
    attributes[:, 11:14] = model.eye_plane
    return attributes


def _scalp(model: FaceModel, hairline_cm: float) -> tuple[Array, Array]:
    """Where hair grows, and how thick it is there, each (n,) in [0, 1].

    The hairline falls from the forehead to the temples and behind the ears. Thickness grows
    slowly from it, for a rim that starts at full thickness looks like a cap.
    """
    x, y, z = model.neutral.T
    ragged = 0.22 * np.sin(7.0 * x) + 0.15 * np.sin(17.0 * x + 2.0 * y)
    front = y - (9.5 + hairline_cm - 0.05 * x**2 + ragged)
    back = np.minimum(3.4 - z, y - 1.0)
    sideburn = np.minimum(
        np.minimum(4.9 - z, z - 1.5), np.minimum(y - 4.4 + 0.5 * ragged, np.abs(x) - 6.0)
    )
    inside = np.maximum(np.maximum(front, back), sideburn)
    on_ear = (np.abs(x) > 7.75) & (y < 5.4) & (z > -4.5) & (z < 3.2)
    grows = np.zeros(len(x), bool)
    grows[HEAD] = ~on_ear[HEAD]
    cover = np.where(grows, np.clip(inside / 0.7, 0, 1), 0.0)
    depth = np.where(grows, np.clip(np.maximum(front, back) / 3.2, 0, 1), 0.0)
    return cover.astype(np.float32), (depth * (2 - depth)).astype(np.float32)


def _mean_skin(picture: Array) -> Array:
    """Colour of the cheeks, which the skin beyond the texture takes."""
    cheeks = np.concatenate([picture[185:215, 70:95], picture[185:215, 161:186]]).reshape(-1, 3)
    return np.median(cheeks, axis=0)  # type: ignore[no-any-return]


def _rgb(values: Sequence[float] | Array) -> Colour:
    red, green, blue = (float(np.clip(v, 0.003, 1)) for v in values)
    return red, green, blue
