"""Make ``realtime_affect/neutral_face.npz``: the average neutral face.

    python -m training.neutral_face --images LONDON/images --out realtime_affect/neutral_face.npz

Input: the neutral photographs of persons 001 to 045 of the Face Research Lab London Set (DeBruine &
Jones, 2017, figshare 5047666, CC BY 4.0); persons above 045 are kept for evaluation and refused.
Output: the mean over these persons, nothing of any one of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from affect_kernels.similarity import fit_similarity
from realtime_affect.face.detect import FaceDetector
from realtime_affect.face.mesh import MeshEstimator, region_from_keypoints, region_from_mesh
from realtime_affect.landmarks import OUTER_EYE_CORNERS, OUTER_EYE_CORNERS_MM

LAST_PERSON = 45


def read_meshes(folder: Path) -> np.ndarray:
    """Measure the mesh (n, 468, 3) of every neutral photograph of persons 001 to 045."""
    meshes = []
    with FaceDetector() as detector, MeshEstimator() as mesher:
        for path in sorted(folder.glob("*_neutral.jpg")):
            if int(path.name[:3]) > LAST_PERSON:
                continue
            image = cv2.imread(str(path))
            found = detector.detect(image, thorough=True)
            region = region_from_keypoints(found.keypoints[0], found.xyxy[0])
            mesh, _ = mesher.estimate(image, region)
            mesh, _ = mesher.estimate(image, region_from_mesh(mesh.points))
            meshes.append(mesh.points)
    return np.array(meshes, np.float64)


def average_shape(meshes: np.ndarray) -> np.ndarray:
    """Average shape (468, 3) by generalised Procrustes analysis, mirrored into symmetry, in mm."""
    shape = meshes[0] - meshes[0].mean(axis=0)
    for _ in range(10):
        shape = fit_similarity(shape, meshes).invert(meshes).mean(axis=0)
        shape -= shape.mean(axis=0)
        right, left = shape[list(OUTER_EYE_CORNERS)]
        shape *= OUTER_EYE_CORNERS_MM / np.linalg.norm(left - right)
    partner = None
    for _ in range(4):  # the mirror plane and the shape settle together
        shape = upright(shape)
        mirrored = shape * [-1, 1, 1]
        if partner is None:
            gaps = np.linalg.norm(mirrored[:, None] - shape[None], axis=2)
            partner = linear_sum_assignment(gaps)[1]
        shape = (shape + mirrored[partner]) / 2
    return shape


def upright(shape: np.ndarray) -> np.ndarray:
    """Turn the line between the outer eye corners to the x axis and centre it."""
    right, left = shape[list(OUTER_EYE_CORNERS)]
    x = (left - right) / np.linalg.norm(left - right)
    z = np.array([0.0, 0.0, 1.0]) - x * x[2]
    z /= np.linalg.norm(z)
    turned = shape @ np.stack([x, np.cross(z, x), z]).T
    turned[:, 0] -= turned[list(OUTER_EYE_CORNERS), 0].mean()
    return turned


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, help="London Set: NNN_neutral.jpg")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    meshes = read_meshes(options.images)
    shape = average_shape(meshes)
    np.savez(options.out, points=shape)
    print(f"{len(meshes)} persons -> {options.out}")


if __name__ == "__main__":
    main()
