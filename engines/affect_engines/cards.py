"""What is known about a network file: one TOML file each, read once, never changed.

Preprocessing constants, thresholds, origin, licence, figures and limits live here and nowhere in
code.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass, field, replace
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from affect_engines.errors import ModelError
from affect_engines.files import read_file
from affect_kernels.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Trust = Literal["high", "medium", "low", "none"]
TRUSTS: Final[tuple[Trust, ...]] = ("high", "medium", "low", "none")


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class UnitCard:
    """What is known about one action unit of a network.

    Attributes
    ----------
    trust : {"high", "medium", "low", "none"}
        How far its readings can be trusted; "none" = there is no evidence, it is never told.
    present_at : float
        Intensity, 0 to 5, from which it counts as present; NaN for "none".
    figures : mapping of str to float
        What it scored, read-only: ``icc``, ``mae``, ``f1``, ... (see ``evaluation``).
    """

    trust: Trust
    present_at: float
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ModelForm:
    """Another file with the same network, in another precision."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A network file and what may be done with it.

    Attributes
    ----------
    name : str
        Name of the card.
    file : str
        File name in the model folder, or in the package's ``weights`` where `package` is empty.
    sha256 : str
        Lower-case hexadecimal digest of the file; another file is refused.
    licence : str
        SPDX identifier.
    reference : str
        Paper or page that describes the network.
    trained_on, limits : str
        What is known about training data, and about what it must not be used for.
    package, member : str
        Where the file comes from: a wheel (``name==version``) and the path inside it. Empty for
        networks that are shipped with this package.
    input_px : int
        Side of the square input image, layout (1, input_px, input_px, 3); 0 = other inputs.
    channel_order : str
        ``"RGB"``; empty for other inputs.
    value_range : tuple of float
        What pixel values 0 and 255 become.
    reproduce : str
        Command that makes the file anew; empty for networks of others.
    seed : int
    data_sha256 : str
        Of training.
    decode : mapping
        Constants for reading the outputs (names, thresholds, strides, region scale), read-only.
    precision : str
        ``"fp32"``, ``"int8"``: which of several forms `file` is; empty where there is one.
    forms : mapping of str to ModelForm
        The other forms, by precision, read-only.
    plugins : ModelForm, optional
        The same network, in fp32, with nodes of ours that TensorRT runs by plugins.
    units : mapping of str to UnitCard
        For networks that tell action units.
    evaluation : mapping of str to mapping
        What it scored on what, read-only.
    ran_by_tensorrt : tuple of str, optional
        Versions of TensorRT that have really built and run a plan of it, each with the GPU it ran
        on: ``"10.3.0 (Jetson Orin NX)"``; empty = none has. A stand-in never counts. None for
        networks that no plan is built of.
    """

    name: str
    file: str
    sha256: str
    licence: str
    reference: str
    trained_on: str
    limits: str
    package: str = ""
    member: str = ""
    input_px: int = 0
    channel_order: str = ""
    value_range: tuple[float, float] = (0.0, 255.0)
    reproduce: str = ""
    seed: int = 0
    data_sha256: str = ""
    decode: Mapping[str, Any] = field(default_factory=_nothing)
    precision: str = ""
    forms: Mapping[str, ModelForm] = field(default_factory=_nothing)
    plugins: ModelForm | None = None
    units: Mapping[str, UnitCard] = field(default_factory=_nothing)
    evaluation: Mapping[str, Mapping[str, Any]] = field(default_factory=_nothing)
    ran_by_tensorrt: tuple[str, ...] | None = None

    @property
    def shipped(self) -> bool:
        """Whether the file lies in this package rather than in the cache."""
        return not self.package

    @property
    def has_file(self) -> bool:
        """Whether there are weights at all; where not, ``limits`` says how to bring them."""
        return bool(self.file)

    def form(self, precision: str) -> ModelCard:
        """Return the card of the form with this precision.

        Raises
        ------
        UsageError
            There is no such form.
        """
        if precision == self.precision:
            return self
        if precision not in self.forms:
            raise UsageError(
                thing=f"precision of {self.name}",
                got=repr(precision),
                expected="one of " + ", ".join(sorted({self.precision, *self.forms})),
                hint='"auto" takes the one the card prefers.',
            )
        form = self.forms[precision]
        others = {name: other for name, other in self.forms.items() if name != precision}
        others[self.precision] = ModelForm(self.file, self.sha256)
        return replace(
            self, file=form.file, sha256=form.sha256, precision=precision,
            forms=MappingProxyType(others),
        )  # fmt: skip

    def all_forms(self) -> tuple[ModelCard, ...]:
        """Return the card of every form there is, the preferred one first."""
        return self, *(self.form(precision) for precision in self.forms)


def ran_by_tensorrt() -> tuple[str, ...]:
    """Return the versions of TensorRT that have run a plan of any card, each with the GPU."""
    ran = (load_card(name).ran_by_tensorrt or () for name in list_cards())
    return tuple(dict.fromkeys(version for versions in ran for version in versions))


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
    return parse_card(name, text)


def card_of_file(path: Path) -> ModelCard:
    """Make the card of a network whoever uses it brings: nothing is known of it but its hash.

    Beside ``NAME.onnx`` may lie ``NAME.plugins.onnx``, the same network with nodes of ours.

    Raises
    ------
    ModelError
        The file cannot be read, is no regular file or larger than any network can be.
    """
    beside = path.with_suffix(".plugins.onnx")
    plugins = None
    try:
        digest = hashlib.sha256(read_file(path)).hexdigest()
        if beside.is_file():
            ours = hashlib.sha256(read_file(beside)).hexdigest()
            plugins = ModelForm(str(beside.resolve()), ours)
    except OSError as error:
        raise ModelError(
            thing=f"network {path}",
            got=str(error.strerror),
            expected="a file",
            hint="Name an .onnx file, or one of ours: realtime-affect models list.",
        ) from error
    return ModelCard(
        path.stem, str(path.resolve()), digest, licence="unknown", reference=str(path),
        trained_on="Not known.", limits="Not known.", plugins=plugins, ran_by_tensorrt=(),
    )  # fmt: skip


def parse_card(name: str, text: str) -> ModelCard:
    """Read a card's TOML; keys that ModelCard does not have are a TypeError, as a typo would be."""
    values = tomllib.loads(text)
    low, high = values.pop("value_range", (0.0, 255.0))
    evaluation = values.pop("evaluation", {})
    forms = {precision: ModelForm(**form) for precision, form in values.pop("forms", {}).items()}
    plugins = values.pop("plugins", None)
    ran = values.pop("ran_by_tensorrt", None)
    return ModelCard(
        name=name,
        plugins=ModelForm(**plugins) if plugins else None,
        ran_by_tensorrt=None if ran is None else tuple(ran),
        value_range=(float(low), float(high)),
        decode=MappingProxyType(values.pop("decode", {})),
        forms=MappingProxyType(forms),
        units=MappingProxyType({k: _unit(v) for k, v in values.pop("units", {}).items()}),
        evaluation=MappingProxyType({k: MappingProxyType(v) for k, v in evaluation.items()}),
        **values,
    )


def _unit(values: dict[str, Any]) -> UnitCard:
    trust = values.pop("trust")
    if trust not in TRUSTS:
        raise UsageError(
            thing="trust in a model card",
            got=repr(trust),
            expected="one of " + ", ".join(TRUSTS),
            hint="Write the card anew: python -m training.action_units.card.",
        )
    present_at = float(values.pop("present_at", "nan"))
    return UnitCard(trust, present_at, MappingProxyType(values))
