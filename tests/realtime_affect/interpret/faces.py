"""Jobs of one or more faces whose units and expressions are given, as the pipeline makes them."""

import numpy as np

from realtime_affect.affect.history import FaceHistory
from realtime_affect.types import (
    ActionUnits,
    AffectJob,
    Expression,
    Face,
    FaceMesh,
    FaceQuality,
    Frame,
    HeadPose,
    Scene,
    Track,
)
from tests.realtime_affect.interpret.cases import intensities, shares

FRAME_NS = 33_333_333
_IMAGE = np.zeros((2, 2, 3), np.uint8)
_MESH = FaceMesh(np.zeros((468, 3), np.float32), 0.9)
_POSE = HeadPose(np.zeros(3), np.zeros(3))


def face_with(units, calibration=1.0):
    sides = [[units.get(unit, 0.0)] * 2 for unit in ("AU12", "AU14")]
    measured = ActionUnits(np.array(intensities(units)), np.zeros(18), np.array(sides), calibration)
    return Face(
        _MESH, _POSE, np.full(2, 0.3), FaceQuality(1, 120, 5, 100), measured,
        np.zeros((48, 48), np.uint8),
    )  # fmt: skip


def expression_of(p, t_ns=0, name=""):
    return Expression(t_ns, np.array(shares(p), np.float32), False, name)


def jobs(frames, calibration=1.0):
    """Yield jobs and expressions of frames, each a dict of a face's id to (units, p)."""
    history = FaceHistory()
    for index, faces in enumerate(frames):
        t_ns = index * FRAME_NS
        tracks = tuple(
            Track(k, np.array([0.0, 0, 9, 9]), 0.9, 5, 0, face_with(units, calibration))
            for k, (units, _) in faces.items()
        )
        scene = Scene(Frame(index, t_ns, t_ns, _IMAGE), tracks)
        yield (
            AffectJob(scene, (), (), history.append(scene)),
            {k: expression_of(p, t_ns) for k, (_, p) in faces.items()},
        )
