"""What is known about a network file: one TOML file each, read once, never changed.

Preprocessing constants, thresholds, origin, licence and limits live here and nowhere in code.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from affect_kernels.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A network file and what may be done with it.

    Attributes
    ----------
    name : str
        Name of the card.
    file : str
        File name in the model folder.
    sha256 : str
        Lower-case hexadecimal digest of the file; another file is refused.
    package, member : str
        Where the file comes from: a wheel (``name==version``) and the path inside it.
    licence : str
        SPDX identifier.
    reference : str
        Paper or page that describes the network.
    trained_on, limits : str
        What the publisher says about training data, and about what it must not be used for.
    input_px : int
        Side of the square input image; the layout is (1, input_px, input_px, 3).
    channel_order : str
        ``"RGB"``.
    value_range : tuple of float
        What pixel values 0 and 255 become.
    decode : mapping
        Constants for reading the outputs (thresholds, strides, region scale), read-only.
    """

    name: str
    file: str
    sha256: str
    package: str
    member: str
    licence: str
    reference: str
    trained_on: str
    limits: str
    input_px: int
    channel_order: str
    value_range: tuple[float, float]
    decode: Mapping[str, Any]


def list_cards() -> tuple[str, ...]:
    """Return the names of all cards, sorted."""
    folder = resources.files("affect_engines") / "cards"
    return tuple(
        sorted(p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml"))
    )


def load_card(name: str) -> ModelCard:
    """Read the card called `name`.

    Raises
    ------
    UsageError
        There is no such card; the error names those there are.
    """
    known = list_cards()
    if name not in known:
        raise UsageError(
            thing="model card",
            got=repr(name),
            expected="one of " + ", ".join(known),
            hint="realtime-affect models list shows them.",
        )
    text = (resources.files("affect_engines") / "cards" / f"{name}.toml").read_text("utf-8")
    values = tomllib.loads(text)
    low, high = values.pop("value_range")
    return ModelCard(
        name=name,
        value_range=(float(low), float(high)),
        decode=MappingProxyType(values.pop("decode", {})),
        **values,
    )
