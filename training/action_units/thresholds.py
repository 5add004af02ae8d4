r"""From which evidence on each unit is there: chosen on faces that nothing was learned from.

    python -m training.action_units.thresholds --data FOLDER --teacher FOLDER --lfw FILE \
        --london FOLDER --run FOLDER

writes ``trace.json`` beside the checkpoint in ``--run``; ``export.load_network`` puts it into the
network, whose curves bring that evidence to 1 (FACS A, a trace). Chosen on the studio's validation
split, on London persons 001 to 045 and on LFW's validation persons.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from training.action_units.export import TRACES, load_network
from training.action_units.faces import (
    Faces,
    join,
    lfw_persons,
    studio_part,
)
from training.action_units.london import CHOOSING, Photographs, read_photographs
from training.action_units.network import OUTPUTS, ActionUnitNetwork, intensity
from training.action_units.real_faces import PERSONS, TAUGHT, evidence_of
from training.action_units.train import predict
from training.metrics import f1

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.action_units.dataset import Samples

TRACE: Final = 1.0
"""FACS A: from this intensity on a unit is truly there."""

_MARGIN: Final = 0.25
_FIRES_AT_LEAST: Final = 0.75  # of the faces on which the teacher shows a unit
_FALSE_SHARE: Final = 0.02  # of neutral real faces on which a unit may be reported present


def read_faces(
    network: ActionUnitNetwork, faces: Samples, rest: Samples | None = None
) -> NDArray[np.float32]:
    """Read photographs (n, 21), against the population or against `rest` of the same persons."""

    def embed(samples: Samples) -> torch.Tensor:
        return network.embed(
            torch.from_numpy(samples.points), torch.from_numpy(samples.crops.astype(np.float32)),
            torch.from_numpy(samples.angles_rad),
        )  # fmt: skip

    n = len(faces.points)
    with torch.no_grad():
        features = embed(faces)
        own = torch.zeros_like(features) if rest is None else embed(rest)
        calibration = torch.full((n, 1), float(rest is not None))
        return intensity(network.compare(features, own, calibration)).numpy()


def choose_thresholds(
    network: ActionUnitNetwork, photographs: Photographs, validation: Faces, persons: Faces
) -> dict[str, float]:
    """Choose from which intensity on each unit is reported as present.

    Taught units: where the share of the faces of LFW's validation persons (`persons`) shows it that
    stands for the teacher in ``real_faces.TAUGHT``. Others: the best F1 on the studio's validation
    split. None lies under FACS A. Both rise until no more than 2 % of the neutral photographs, as
    taken and as a worse camera would have, show it, nor a single one of persons 036 to 045, whom
    training has not seen; for taught units only as far as three quarters of that share still do.
    For AU12, of which there are real pictures with and without it: the middle of what separates
    these best.
    """
    rows = validation.tested()
    truth = validation.truth[rows] >= TRACE
    read = predict(network, validation, rows, calibrated=True)
    seen = predict(network, persons, persons.tested(), calibrated=False)
    neutral = np.concatenate(
        [read_faces(network, photographs.neutral), read_faces(network, photographs.perturbed)]
    )
    unseen = np.array([int(row["face_id"]) not in PERSONS for row in photographs.persons] * 2)
    smiling = read_faces(network, photographs.smiling)
    chosen = {}
    for k, name in enumerate(OUTPUTS):
        steps = np.arange(TRACE, 3.01, 0.05)
        quiet = float(np.quantile(neutral[:, k], 1 - _FALSE_SHARE)) + _MARGIN
        quiet = max(quiet, float(neutral[unseen, k].max()) + _MARGIN)
        if name in TAUGHT:
            share = TAUGHT[name].share
            at = max(float(np.quantile(seen[:, k], 1 - share)), quiet)
            at = min(at, float(np.quantile(seen[:, k], 1 - _FIRES_AT_LEAST * share)))
        else:
            scores = [f1(truth[:, k], read[:, k] >= step) for step in steps]
            at = max(float(steps[int(np.argmax(scores))]), quiet)
        at = max(at, TRACE)
        if name.startswith("AU12"):
            at = _separating(steps, neutral[:, k], smiling[:, k], unseen)
        chosen[name] = round(at, 2)
    return chosen


def _separating(
    steps: NDArray[np.float64], neutral: NDArray[np.float32], smiling: NDArray[np.float32],
    unseen: NDArray[np.bool_],
) -> float:  # fmt: skip
    """Return the middle of the thresholds whose balanced accuracy is within 0.01 of the best.

    Persons whom training has not seen count as much as all others together.
    """
    right = np.zeros(len(steps))
    for scores, among, wanted in (
        (neutral, unseen, False),
        (smiling, unseen[: len(smiling)], True),
    ):
        found = (scores >= steps[:, None]) == wanted
        for chosen in (among, ~among):
            right += found[:, chosen].mean(axis=1) / 4 if chosen.any() else 0.0
    return float(steps[right >= right.max() - 0.01].mean())


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of filmed faces")
    parser.add_argument("--teacher", type=Path, required=True, help="folder of teacher's answers")
    parser.add_argument("--lfw", type=Path, required=True, help="lfw_train.npz")
    parser.add_argument("--london", type=Path, required=True, help="folder of the London Set")
    parser.add_argument("--run", type=Path, required=True, help="folder of the checkpoint")
    options = parser.parse_args()
    persons, _ = lfw_persons(options.data, options.teacher, options.lfw, "validation")
    studio = studio_part(sorted(options.data.glob("validation_*.npz")))
    (options.run / TRACES).unlink(missing_ok=True)
    chosen = choose_thresholds(
        load_network(options.run), read_photographs(options.london, CHOOSING),
        join({"studio": studio}), persons,
    )  # fmt: skip
    evidence = evidence_of(np.array([chosen[name] for name in OUTPUTS])).tolist()
    told = {name: round(at, 3) for name, at in zip(OUTPUTS, evidence, strict=True)}
    (options.run / TRACES).write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    print(told)


if __name__ == "__main__":
    main()
