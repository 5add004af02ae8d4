"""A person's face at rest: what units and probabilities are read relative to.

A profile is a small TOML file in the user's data folder, written only when the user asks: a name,
how long the face was seen at rest, the mean and the spread of each unit and the mean of each
probability. It holds no image, no point of the face and nothing that could tell who it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from affect_kernels.atomic import PRIVATE, write_atomically
from realtime_affect.errors import OutputError, UsageError
from realtime_affect.names import AU_INTENSITIES, EXPRESSIONS, SIDED_UNITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtime_affect.types import Expression, Face, Float32, Float64

LEAST_S: Final = 1.0
"""Of rest, without which there is no baseline."""
AT_REST_AT_MOST: Final = 2.0
"""Spread of a unit above which the face was not at rest."""

_NEUTRAL: Final = EXPRESSIONS.index("neutral")
_MOST: Final = 2.0  # log-odds that are taken off at most, as in affect.reported
_LEAST: Final = 1e-6
_NOISES: Final = 3.0
_NAME: Final = re.compile(r"[\w-][\w .-]{0,63}")
_SIDES: Final = tuple(f"{unit}_{side}" for unit in SIDED_UNITS for side in ("right", "left"))


@dataclass(frozen=True, eq=False)
class Baseline:
    """One person at rest.

    Attributes
    ----------
    name : str
        Of the profile.
    seconds : float
        How long the face was seen at rest.
    calibration : float
        Of the units it was taken from: 0 = against the average face, 1 = against the rest that the
        network had learned itself.
    units, spread : (17,) float64
        Mean and standard deviation of AU_INTENSITIES at rest; NaN where there is no evidence.
    sides : (2, 2) float64
        Mean of SIDED_UNITS on the right and the left.
    probabilities : (8,) float64
        Mean of EXPRESSIONS at rest.
    """

    name: str
    seconds: float
    calibration: float
    units: Float64
    spread: Float64
    sides: Float64
    probabilities: Float64

    def relative_units(self, intensity: Float32 | Float64, calibration: float) -> Float64:
        """Return intensities (17,) above this rest.

        What the network has learned of the person's rest by itself (`calibration` of the units
        that are read) is not taken off twice.
        """
        above: Float64 = np.maximum(intensity - self._share(calibration) * self.units, 0.0)
        return above

    def thresholds(self, present_at: Float64) -> Float64:
        """Return intensities (17,) above this rest from which units are present: three spreads."""
        thresholds: Float64 = np.fmax(present_at, _NOISES * self.spread)
        return thresholds

    def relative_sides(self, sides: Float32 | Float64, calibration: float) -> Float64:
        """Return sides (2, 2) above this rest."""
        above: Float64 = np.maximum(sides - self._share(calibration) * self.sides, 0.0)
        return above

    def relative_probabilities(self, probabilities: Float32 | Float64) -> Float64:
        """Return probabilities (8,) without what this face at rest has of each expression."""
        weighted: Float64 = probabilities * self._weights
        return np.asarray(weighted / weighted.sum(), np.float64)

    @cached_property
    def _weights(self) -> Float64:
        logs = np.log(np.maximum(self.probabilities, _LEAST))
        return np.asarray(np.exp(-np.clip(logs - logs[_NEUTRAL], 0.0, _MOST)), np.float64)

    def _share(self, calibration: float) -> float:
        """Return how much of this rest is still in units of `calibration`."""
        if self.calibration >= 1.0:
            return 1.0
        return min(2.0, max(0.0, (1.0 - calibration) / (1.0 - self.calibration)))


def baseline_of(
    name: str, faces: Sequence[Face], expressions: Sequence[Expression], seconds: float
) -> Baseline:
    """Return the mean of faces at rest.

    Parameters
    ----------
    name : str
        Of the profile to be.
    faces : sequence of Face
        All of one person.
    expressions : sequence of Expression
        What was decided meanwhile.
    seconds : float
        How long they were seen.

    Raises
    ------
    UsageError
        Too short, or a face that moved.
    """
    check_name(name)
    if seconds < LEAST_S or not faces or not expressions:
        raise UsageError(
            thing="face at rest",
            got=f"{seconds:.1f} s of one",
            expected=f"at least {LEAST_S:g} s, seen from the front",
            hint="Look at the camera without any expression until it is done.",
        )
    units = np.array([face.action_units.intensity for face in faces], np.float64)
    sides = np.array([face.action_units.sides for face in faces], np.float64)
    spread = units.std(axis=0)
    moved = [AU_INTENSITIES[i] for i in np.flatnonzero(spread > AT_REST_AT_MOST)]
    moved = [unit for unit in moved if unit != "AU45"]
    if moved:
        raise UsageError(
            thing="face at rest",
            got="movement of " + ", ".join(moved),
            expected="a face that keeps still",
            hint="Look at the camera without any expression, and do not speak.",
        )
    return Baseline(
        name, seconds, float(np.mean([face.action_units.calibration for face in faces])),
        units.mean(axis=0), spread, sides.mean(axis=0),
        np.mean([expression.probabilities for expression in expressions], axis=0),
    )  # fmt: skip


def profiles_folder() -> Path:
    """Return where profiles are kept; the folder need not exist."""
    from platformdirs import user_data_dir

    return Path(user_data_dir("realtime-affect")) / "profiles"


def list_profiles(folder: Path | None = None) -> list[str]:
    """Return the names of the saved profiles."""
    return sorted(path.stem for path in (folder or profiles_folder()).glob("*.toml"))


def save_profile(baseline: Baseline, folder: Path | None = None) -> Path:
    """Write a profile, readable by its owner alone, over one of the same name.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    folder = folder or profiles_folder()
    path = folder / f"{baseline.name}.toml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, to_toml(baseline), mode=PRIVATE)
    except OSError as error:
        raise OutputError(
            thing=f"profile {path}",
            got=error.strerror or str(error),
            expected="a file that can be written",
            hint="Free some space, or check the folder's permissions.",
        ) from error
    return path


def load_profile(name: str, folder: Path | None = None) -> Baseline:
    """Read a profile.

    Raises
    ------
    UsageError
        There is none of this name, or it is not a profile.
    """
    import tomllib

    path = path_of(name, folder)
    try:
        content = tomllib.loads(path.read_text("utf-8"))
        return _from_content(name, content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            thing=f"profile {path}",
            got=str(error),
            expected="a profile as `realtime-affect profile record` writes it",
            hint="Record it anew.",
        ) from error


def delete_profile(name: str, folder: Path | None = None) -> Path:
    """Delete a profile and return where it was.

    Raises
    ------
    UsageError
        There is none of this name.
    """
    path = path_of(name, folder)
    path.unlink()
    return path


def to_toml(baseline: Baseline) -> str:
    """Return the text of a profile; what has no evidence is left out."""
    lines = [
        "# A face at rest: means of measured movements. No image, no identity.",
        f"seconds = {baseline.seconds:.1f}",
        f"calibration = {baseline.calibration:.3f}",
    ]
    for table, names, values in (
        ("units", AU_INTENSITIES, baseline.units),
        ("spread", AU_INTENSITIES, baseline.spread),
        ("sides", _SIDES, baseline.sides.ravel()),
        ("probabilities", EXPRESSIONS, baseline.probabilities),
    ):
        lines += ["", f"[{table}]"]
        lines += [
            f"{name} = {value:.4f}"
            for name, value in zip(names, values.tolist(), strict=True)
            if np.isfinite(value)
        ]
    return "\n".join(lines) + "\n"


def _from_content(name: str, content: dict[str, Any]) -> Baseline:
    def values(table: str, names: Sequence[str]) -> Float64:
        return np.array([float(content[table].get(name, np.nan)) for name in names])

    probabilities = values("probabilities", EXPRESSIONS)
    if not np.isfinite(probabilities).all():
        message = "a probability is missing"
        raise ValueError(message)
    return Baseline(
        name, float(content["seconds"]), float(content["calibration"]),
        values("units", AU_INTENSITIES), values("spread", AU_INTENSITIES),
        values("sides", _SIDES).reshape(len(SIDED_UNITS), 2), probabilities,
    )  # fmt: skip


def path_of(name: str, folder: Path | None = None) -> Path:
    """Return where a profile is.

    Raises
    ------
    UsageError
        There is none of this name.
    """
    check_name(name)
    path = (folder or profiles_folder()) / f"{name}.toml"
    if not path.is_file():
        known = list_profiles(folder)
        raise UsageError(
            thing=f"profile {name!r}",
            got="no such profile",
            expected="one of " + ", ".join(known) if known else "one that was recorded",
            hint="Record it with realtime-affect profile record NAME SOURCE.",
        )
    return path


def check_name(name: str) -> None:
    """Raise UsageError where a profile cannot be called so."""
    if not _NAME.fullmatch(name) or name != name.strip(" ."):
        raise UsageError(
            thing="name of a profile",
            got=repr(name),
            expected="letters, digits, spaces, - and _, at most 64",
            hint="For example anna.",
        )
