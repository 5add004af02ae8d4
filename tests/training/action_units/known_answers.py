"""A network and photographs whose answers are known."""

import numpy as np
import torch

from realtime_affect.face.align import ALIGNED_PX
from realtime_affect.face.pose import load_neutral_face
from training.action_units.dataset import Samples
from training.action_units.faces import join
from training.action_units.london import Photographs
from training.action_units.network import OUTPUTS
from training.action_units.real_faces import evidence_of

SMILE = OUTPUTS.index("AU12")
PERSONS = tuple(
    {"face_id": f"{k:03}", "face_gender": "female" if k % 2 else "male", "face_eth": "x"}
    for k in range(31, 45)
)


class Network(torch.nn.Module):
    """Reads AU12 off the first pixel, in tenths; everything else off the second."""

    def __init__(self):
        super().__init__()
        self.usual = torch.zeros(len(OUTPUTS))

    def embed(self, points, crops, angles):
        units = crops[:, 0, 1:2].expand(-1, len(OUTPUTS)).clone()
        units[:, SMILE] = crops[:, 0, 0]
        return units / 10

    def compare(self, features, rest, calibration):
        return torch.from_numpy(evidence_of(features.numpy()))


def faces(smiles, others=0.0):
    n = len(smiles)
    crops = np.zeros((n, ALIGNED_PX, ALIGNED_PX), np.uint8)
    crops[:, 0, 0], crops[:, 0, 1] = np.multiply(smiles, 10), np.multiply(others, 10)
    points = np.repeat(load_neutral_face().points[None].astype(np.float32), n, axis=0)
    return Samples(points, crops, np.zeros((n, 3), np.float32), np.ones(n, np.float32))


def photographs(neutral, smiling, others=0.0):
    n = len(PERSONS)
    still = faces([neutral] * n, others)
    return Photographs(PERSONS, still, faces([smiling] * n), still)


def rows_of(seen, **known):
    """Faces that were seen, of which nothing is known but what is given."""
    n = len(seen.points)
    nothing = np.zeros((n, len(OUTPUTS)), np.float32)
    return join({"studio": {
        "points": np.round(seen.points * 100).astype(np.int16), "crops": seen.crops,
        "angles_rad": seen.angles_rad, "presence": seen.presence, "low": nothing, "high": nothing,
        "slack": nothing, "level": nothing, "truth": nothing, "taught": nothing,
        "rest": np.full((n, 6), -1), "reference": np.zeros(n, bool), **known,
    }})  # fmt: skip


def studio(intensities):
    """Faces whose truth of every unit is what the network reads."""
    truth = np.repeat(np.array(intensities, np.float32)[:, None], len(OUTPUTS), 1)
    return rows_of(faces(intensities, intensities), truth=truth)


def stills(read, taught):
    """Faces on which the network reads one thing of every unit and the teacher another."""
    evidence = np.repeat(np.array(taught, np.float32)[:, None], len(OUTPUTS), 1)
    return rows_of(faces(read, read), taught=evidence)


AGREEING = stills([0.2, 0.4, 0.6, 0.8, 2, 3], [0.1, 0.2, 0.3, 0.4, 1.5, 2])
