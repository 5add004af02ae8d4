"""Photographs of faces at rest -> skins for heads that do not exist.

A photograph is warped into the texture's layout so that each of the 468 mesh points falls where
Face Mesh sees it on the model's own neutral head. Only the Face Research Lab London Set (DeBruine &
Jones, 2017, figshare 5047666, CC BY 4.0) is meant to be used, persons 001 to 045; the skins are
training data and never leave the machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator

from realtime_affect.face.detect import FaceDetector
from realtime_affect.face.mesh import MeshEstimator, region_from_keypoints, region_from_mesh
from training.synthetic.people import make_person
from training.synthetic.render import Light, Placement, draw_person
from training.synthetic.skin import HEIGHT, PX_PER_CM, TOP_CM, WIDTH

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from training.synthetic.faces import Array, FaceModel

LAST_PERSON: Final = 45
_SIDE, _SCALE, _FAR_CM = 512, 17.0, 2000.0


def read_skins(
    model: FaceModel, folder: Path, persons: range = range(1, LAST_PERSON + 1)
) -> list[Array]:
    """Warp every ``NNN_neutral.jpg`` of `persons` into a texture (320, 256, 3), linear RGB.

    Raises
    ------
    ValueError
        A person above 045 is asked for: those are kept for evaluation.
    """
    if persons.stop - 1 > LAST_PERSON:
        message = f"persons above {LAST_PERSON:03d} are kept for evaluation, got {persons}"
        raise ValueError(message)
    skins = []
    with FaceDetector() as detector, MeshEstimator() as mesher:
        target = _model_points(model, detector, mesher)
        for path in sorted(folder.glob("*_neutral.jpg")):
            if int(path.name[:3]) in persons:
                image = cv2.imread(str(path))
                points = mesh_points(image, detector, mesher)
                skins.append(_warp(image, points, target))
    return skins


def mesh_points(
    image: NDArray[np.uint8], detector: FaceDetector, mesher: MeshEstimator
) -> NDArray[np.float32]:
    """Find the mesh points (468, 2) of the one face in a BGR photograph."""
    found = detector.detect(image, thorough=True)
    mesh, _ = mesher.estimate(image, region_from_keypoints(found.keypoints[0], found.xyxy[0]))
    mesh, _ = mesher.estimate(image, region_from_mesh(mesh.points))
    return mesh.points[:, :2]


def _model_points(model: FaceModel, detector: FaceDetector, mesher: MeshEstimator) -> Array:
    """Where Face Mesh sees its points on the neutral model, in texture pixels (468, 2)."""
    grey = np.full(3, 0.5, np.float32)
    light = Light(
        np.array([0.3, 0.4, 0.86], np.float32), np.array([-0.6, 0.1, 0.79], np.float32),
        grey, 0.5 * grey, grey, 0.7 * grey,
    )  # fmt: skip
    seen = []
    for seed in range(3):  # the average over painted skins: none of them decides where a brow is
        person = make_person(model, [9, seed], identity_sd=0.0)
        picture = np.full((_SIDE, _SIDE, 3), 0.2, np.float32)
        place = Placement(_SIDE / 2, _SIDE * 0.45, _SCALE, (0.0, 0.0, 0.0), _FAR_CM)
        units = np.zeros((18, 2), np.float32)
        draw_person(picture, person, model.neutral, units, place, light)
        image = (np.clip(picture, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)[..., ::-1]
        seen.append(mesh_points(np.ascontiguousarray(image), detector, mesher))
    points = np.mean(seen, axis=0)
    eyes = model.neutral[model.landmarks[[36, 45]]].mean(axis=0)
    x = (points[:, 0] - place.x) / _SCALE + eyes[0]
    y = (place.y - points[:, 1]) / _SCALE + eyes[1]
    return np.column_stack([x * PX_PER_CM + WIDTH / 2, (TOP_CM - y) * PX_PER_CM])


def _warp(image: NDArray[np.uint8], points: Array, target: Array) -> Array:
    """Pull a BGR photograph into the texture so that `points` land on `target` (468, 2)."""
    # A little smoothing: the outline's points differ in depth, not only in place.
    back = RBFInterpolator(target, points, smoothing=2.0, neighbors=60)
    step = 4
    y, x = np.mgrid[0 : HEIGHT + step : step, 0 : WIDTH + step : step]
    coarse = back(np.column_stack([x.ravel(), y.ravel()])).reshape(*x.shape, 2).astype(np.float32)
    fine = cv2.resize(
        coarse, (coarse.shape[1] * step, coarse.shape[0] * step), interpolation=cv2.INTER_CUBIC
    )
    # cv2.resize samples at pixel centres; shift back to the corners the grid was taken at.
    shift = np.array([[1, 0, (step - 1) / -2], [0, 1, (step - 1) / -2]], np.float32)
    fine = cv2.warpAffine(fine, shift, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    skin = cv2.remap(
        image, fine, None, cv2.INTER_AREA | cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return ((skin[..., ::-1] / 255.0) ** 2.2).astype(np.float32)
