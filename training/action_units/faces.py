"""All faces a training or an evaluation looks at, in one place, and what is known of each.

A face is a row: mesh, aligned image, head angles, the lowest and the highest evidence of each
output (``network.intensity``), and which other rows show the same person at rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from training.action_units.dataset import PRESENT, load_arrays, load_samples
from training.action_units.network import OUTPUTS
from training.action_units.real_faces import (
    HIGHEST,
    LOWEST,
    MOSTLY,
    PROTOTYPES,
    Answers,
    Curves,
    agreed,
    bounds_of,
    evidence_of,
    read_answers,
)
from training.persons import split_of
from training.synthetic.studio import TRUTH_UNITS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

Part = dict[str, "NDArray[np.generic]"]
"""Arrays of one kind of face; see :func:`join`."""

EXPRESSIONS: Final[dict[str | None, int]] = {name: k for k, name in enumerate(PROTOTYPES)}
"""Numbers of the expressions that raters agree on."""

_N_REST: Final = 6  # resting images of a person that are remembered
_STUDIO_SLACK: Final = 0.5  # evidence a rendered face without a unit may have in a stranger's eyes
_RARE: Final = ("surprise", "sadness", "anger", "disgust", "fear")
_SMALL_SLACK: Final = 0.15  # evidence that FER+'s small pictures leave open
_CLEAR: Final = ("neutral", "happiness")  # labels of LFW, one each, that are to be relied on
_OFTEN: Final = 4  # times as often are faces of rare expressions shown as others
_RESTING_AT_MOST: Final = 1.3  # evidence of any unit, on a still that counts as a person's rest


def true_outputs(units: NDArray[np.floating]) -> NDArray[np.float32]:
    """Turn studio truth (n, 19, 2), 0 to 1, into what the network tells (n, 21), 0 to 5.

    A unit counts by its stronger side.
    """
    index = [TRUTH_UNITS.index(name.split("_")[0]) for name in OUTPUTS]
    both = units.max(axis=2)[:, index].astype(np.float32)
    for k, name in enumerate(OUTPUTS):
        if "_" in name:
            both[:, k] = units[:, index[k], 0 if name.endswith("right") else 1]
    return 5.0 * both


def lfw_split(pack: Path, split: str) -> NDArray[np.bool_]:
    """Return which stills of LFW are of persons of a split, (n,) (``training.persons``)."""
    persons = load_arrays(pack)["person"]
    return np.array([split_of(str(person)) == split for person in persons])


def studio_part(paths: Sequence[Path]) -> Part:
    """Return rendered faces and their truth; rest is known to be rest."""
    samples = load_samples(paths)
    truth = true_outputs(samples["units"])  # type: ignore[arg-type]
    evidence = evidence_of(truth)
    shown = truth > 0
    rest = np.full((len(truth), _N_REST), -1, np.int64)
    scene = samples["person"].astype(np.int64) * 1000 + samples["scene"]
    resting = samples["reference"].astype(bool) & (samples["presence"] >= PRESENT)
    for person in np.unique(samples["person"]):
        of_person = np.flatnonzero(samples["person"] == person)
        known = of_person[resting[of_person]]
        for i in of_person.tolist():
            near = known[(scene[known] == scene[i]) & (known != i)][:3]
            far = known[scene[known] != scene[i]]
            far = far[(np.arange(_N_REST) * 7 + i) % len(far)] if len(far) else far
            chosen = np.concatenate([near, far])[:_N_REST]
            rest[i, : len(chosen)] = chosen
    return {
        **{name: samples[name] for name in ("points", "crops", "angles_rad", "presence")},
        "low": np.where(shown, evidence, LOWEST),
        "high": np.where(shown, evidence, 0.0),
        "slack": np.where(shown, 0.0, _STUDIO_SLACK),
        "level": np.zeros_like(evidence),
        "rest": rest,
        "truth": truth,
        "reference": samples["reference"].astype(bool),
    }


def stills_part(
    data: Path, teacher: Path, name: str, pack: Path, curves: Curves, split: int | None = None
) -> Part:  # fmt: skip
    """Return the real stills of a pack, with what the teacher and raters say of them.

    Parameters
    ----------
    data, teacher : Path
        Folders of ``stills_NAME_*.npz`` and of ``teacher_NAME_*.npz``. Stills of which neither
        the teacher nor raters have said anything are not present.
    name : {"lfw", "ferplus"}
    pack : Path
        The pack itself: persons of LFW, votes of FER+.
    curves : Curves
        From :func:`lfw_curves`.
    split : int, optional
        Of FER+: 0 = train, 1 = valid; the others are left out.
    """
    stills = [load_arrays(path) for path in sorted(data.glob(f"stills_{name}_*.npz"))]
    answers = read_answers(sorted(teacher.glob(f"teacher_{name}_*.npz")))
    seen = {key: np.concatenate([part[key] for part in stills]) for key in stills[0]}
    n = len(seen["presence"])
    scores = np.full((n, len(answers.names)), np.nan, np.float32)
    scores[: len(answers.scores)] = answers.scores[:n]
    answers = Answers(answers.names, scores)
    about = load_arrays(pack)
    points = seen["points"].astype(np.float32) / 100
    bounding, shown = _named(about, n)
    low, high = bounds_of(answers, curves, points, bounding)
    taught = curves.evidence(answers)
    if "votes" in about:
        low = np.where(low > LOWEST, low - _SMALL_SLACK, low)
        high = np.minimum(high + _SMALL_SLACK, HIGHEST)
    rest = np.full((n, _N_REST), -1, np.int64)
    if "person" in about:
        rest = _stills_at_rest(about["person"][:n], taught)
    part: Part = {
        **seen, "low": low, "high": high, "slack": np.zeros_like(low), "rest": rest,
        "level": np.where(np.isfinite(taught), np.minimum(taught, _RESTING_AT_MOST), 0.0),
        "truth": np.full_like(low, np.nan), "taught": taught,
        "reference": np.zeros(n, bool),
    }  # fmt: skip
    part["expression"] = np.array([EXPRESSIONS.get(name, -1) for name in shown], np.int8)
    part["often"] = np.array([_OFTEN if name in _RARE else 1 for name in shown])
    known = np.isfinite(taught[:, 0]) | np.array([name in PROTOTYPES for name in bounding])
    part["presence"] = np.where(known, part["presence"], 0.0)
    if split is None:
        return part
    return select(part, about["split"][:n] == split)


def _named(
    about: dict[str, NDArray[np.generic]], n: int
) -> tuple[Sequence[str | None], Sequence[str | None]]:
    """Return what n stills of a pack are called: surely enough for bounds, and for pairs."""
    if "votes" in about:
        votes, names = about["votes"][:n], about["vote_names"].tolist()
        return agreed(votes, names), agreed(votes, names, MOSTLY)  # type: ignore[arg-type]
    names = about["label_names"].tolist()
    labels = [names[k] for k in about["label"][:n].tolist()]
    return [None] * n, [name if name in _CLEAR else None for name in labels]


def select(part: Part, chosen: NDArray[np.bool_]) -> Part:
    """Return the rows `chosen` (n,) of a part; rests that are left out are forgotten."""
    moved = np.where(chosen, np.cumsum(chosen) - 1, -1)
    left = {key: array[chosen] for key, array in part.items()}
    left["rest"] = np.sort(np.where(left["rest"] >= 0, moved[left["rest"]], -1), axis=1)[:, ::-1]
    return left


def lfw_curves(teacher: Path, pack: Path) -> Curves:
    """Return the teacher's curves, fitted to its answers about LFW's training persons."""
    answers = read_answers(sorted(teacher.glob("teacher_lfw_*.npz")))
    learned = lfw_split(pack, "train")[: len(answers.scores)]
    return Curves(Answers(answers.names, answers.scores[learned]))


def lfw_persons(data: Path, teacher: Path, pack: Path, split: str) -> tuple[Faces, Curves]:
    """Return the stills of LFW's persons of a split, and the curves that made their evidence."""
    curves = lfw_curves(teacher, pack)
    stills = stills_part(data, teacher, "lfw", pack, curves)
    chosen = lfw_split(pack, split)[: len(stills["presence"])]
    return join({"lfw": select(stills, chosen)}), curves


def london_part(path: Path) -> Part:
    """Return the London Set's persons as ``real_faces`` filmed them."""
    stored = load_arrays(path)
    low, high = stored["bounds"].astype(np.float32).transpose(1, 0, 2)
    n = len(low)
    rest = np.full((n, _N_REST), -1, np.int64)
    for i in range(n):
        mine = stored["reference"] & (stored["person"] == stored["person"][i])
        others = np.flatnonzero(mine & (np.arange(n) != i))
        chosen = others[(np.arange(_N_REST) * 5 + i) % len(others)] if len(others) else others
        rest[i, : len(chosen)] = chosen
    return {
        **{name: stored[name] for name in ("points", "crops", "angles_rad", "presence")},
        "low": low, "high": high, "slack": np.zeros_like(low), "level": np.zeros_like(low),
        "rest": rest, "truth": np.full_like(low, np.nan),
        "reference": stored["reference"].astype(bool),
        "expression": np.where(
            stored["reference"], EXPRESSIONS["neutral"], EXPRESSIONS["happiness"]
        ),
    }  # fmt: skip


def _stills_at_rest(persons: NDArray[np.generic], taught: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return for each still others of the same person on which no taught unit shows, (n, 6)."""
    rest = np.full((len(persons), _N_REST), -1, np.int64)
    eyes = OUTPUTS.index("AU45")
    others = np.delete(taught, eyes, axis=1)
    quiet = np.nanmax(np.nan_to_num(others, nan=-1.0), axis=1) <= _RESTING_AT_MOST
    quiet &= np.isfinite(taught[:, 0])
    for person in np.unique(persons[quiet]):
        known = np.flatnonzero((persons == person) & quiet)
        for i in np.flatnonzero(persons == person).tolist():
            chosen = known[known != i][:_N_REST]
            rest[i, : len(chosen)] = chosen
    return rest


@dataclass(frozen=True, slots=True)
class Faces:
    """Faces of several kinds as parallel arrays of n rows.

    Attributes
    ----------
    points : (n, 468, 3) int16
        Hundredths of a millimetre, turned to the front.
    crops : (n, 96, 96) uint8
    angles_rad : (n, 3) float32
    low, high : (n, 21) float32
        Bounds of the evidence against the person's own rest on rendered faces, and against the
        population's on real ones.
    slack : (n, 21) float32
        What `high` grows by against the population's rest.
    level : (n, 21) float32
        Evidence of the face in a stranger's eyes, where it is taken for its person's rest.
    rest : (n, 6) int64
        Rows of the same person at rest, -1 where there are no more.
    truth, taught : (n, 21) float32
        Intensities of rendered faces, the teacher's evidence on real ones; NaN elsewhere.
    kind : (n,) int8
        Number of its kind of face.
    expression : (n,) int8
        What raters agreed on, of EXPRESSIONS; -1 = nothing.
    present, reference, real : (n,) bool
        Whether Face Mesh (and the teacher) found it; whether it was filmed to be a rest; whether
        it is a real face.
    kinds : dict
        Rows of each kind that are present, those that are to be shown more often more than once.
    """

    points: NDArray[np.int16]
    crops: NDArray[np.uint8]
    angles_rad: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    slack: NDArray[np.float32]
    level: NDArray[np.float32]
    rest: NDArray[np.int64]
    truth: NDArray[np.float32]
    taught: NDArray[np.float32]
    kind: NDArray[np.int8]
    expression: NDArray[np.int8]
    present: NDArray[np.bool_]
    reference: NDArray[np.bool_]
    real: NDArray[np.bool_]
    kinds: dict[str, NDArray[np.int64]]

    def tested(self) -> NDArray[np.int64]:
        """Return the rows that are present and no references."""
        return np.flatnonzero(self.present & ~self.reference)

    def draw(self, shares: Mapping[str, int], rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw a batch; the share of a kind that is not there goes to the others."""
        there = {kind: share for kind, share in shares.items() if len(self.kinds.get(kind, ()))}
        more = sum(shares.values()) / sum(there.values())
        drawn = [rng.choice(self.kinds[kind], round(share * more)) for kind, share in there.items()]
        return np.concatenate(drawn)

    def rest_of(self, rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw for each row one of the same person at rest, -1 where there is none."""
        known = (self.rest[rows] >= 0).sum(axis=1)
        drawn = (rng.uniform(size=len(rows)) * known).astype(np.int64)
        chosen = self.rest[rows, drawn]
        return np.where((known > 0) & self.present[chosen], chosen, -1)

    def bounds(
        self, rows: NDArray[np.int64], rest: NDArray[np.int64], calibration: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return lowest and highest evidence (n, 21) against rests known as far as calibrated.

        What a face shows at rest already is taken off, in proportion to what is left above it.
        """
        share = calibration[:, None]
        level = share * self.level[rest]
        taken = HIGHEST / (HIGHEST - level)
        low, high = self.low[rows], self.high[rows] + (1 - share) * self.slack[rows]
        low = np.where(low > LOWEST, np.maximum((low - level) * taken, LOWEST), LOWEST)
        high = np.where(high < HIGHEST, np.maximum((high - level) * taken, 0.0), HIGHEST)
        return low.astype(np.float32), np.maximum(low, high).astype(np.float32)

    def seen(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
        """Return meshes (n, 468, 3) in millimetres, images (n, 96, 96) and angles (n, 3)."""
        return (
            torch.from_numpy(self.points[rows].astype(np.float32) / 100),
            torch.from_numpy(self.crops[rows].astype(np.float32)),
            torch.from_numpy(self.angles_rad[rows]),
        )


def join(parts: Mapping[str, Part]) -> Faces:
    """Join parts of several kinds; "studio" is the one that is rendered."""
    first = np.cumsum([0, *(len(part["presence"]) for part in parts.values())])
    rests = [
        np.where(part["rest"] >= 0, part["rest"] + start, -1)
        for part, start in zip(parts.values(), first.tolist(), strict=False)
    ]
    nothing = {
        kind: np.full_like(part["truth"], np.nan, np.float32) for kind, part in parts.items()
    }

    def all_of(name: str, dtype: type[np.generic]) -> NDArray[np.generic]:
        return np.concatenate(
            [part.get(name, nothing[kind]) for kind, part in parts.items()]
        ).astype(dtype, copy=False)  # fmt: skip

    expression = [
        part.get("expression", np.full(len(part["presence"]), -1)) for part in parts.values()
    ]
    present = all_of("presence", np.float32) >= PRESENT  # type: ignore[operator]
    rows = np.arange(len(present))
    often = np.concatenate(
        [part.get("often", np.ones(len(part["presence"]), np.int64)) for part in parts.values()]
    )
    return Faces(
        points=all_of("points", np.int16), crops=all_of("crops", np.uint8),
        angles_rad=all_of("angles_rad", np.float32), low=all_of("low", np.float32),
        high=all_of("high", np.float32), slack=all_of("slack", np.float32),
        level=all_of("level", np.float32), rest=np.concatenate(rests),
        truth=all_of("truth", np.float32), taught=all_of("taught", np.float32),
        kind=np.repeat(np.arange(len(parts), dtype=np.int8), np.diff(first)),
        expression=np.concatenate(expression).astype(np.int8),
        present=present, reference=all_of("reference", np.bool_),
        real=np.repeat([kind != "studio" for kind in parts], np.diff(first)),
        kinds={
            kind: np.repeat(rows[start:stop], often[start:stop] * present[start:stop])
            for kind, start, stop in zip(parts, first[:-1], first[1:], strict=True)
        },
    )  # type: ignore[arg-type]  # fmt: skip
