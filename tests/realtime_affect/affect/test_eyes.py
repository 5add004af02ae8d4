import math

import cv2
import numpy as np
import pytest

from affect_engines.base import TensorSpec
from realtime_affect.affect.eyes import PATCH_PX, EyeNetFinder, cut_eye, eye_region


class Spot:
    """An eye network that finds a bright spot, beside the middle of the patch."""

    inputs = (TensorSpec("eyes", (None, 2, 32, 64), np.dtype(np.uint8)),)
    outputs = ()

    def __init__(self):
        self.runs, self.closed = [], False

    def infer(self, feeds):
        eyes = feeds["eyes"].astype(np.float64)
        self.runs.append(len(eyes))
        rows, columns = np.mgrid[: eyes.shape[2], : eyes.shape[3]]
        total = np.maximum(eyes.sum(axis=(2, 3)), 1)
        x, y = ((eyes * at).sum(axis=(2, 3)) / total for at in (columns, rows))
        offsets = np.stack([x - (PATCH_PX[0] - 1) / 2, y - (PATCH_PX[1] - 1) / 2], axis=2)
        return {"offsets": offsets.astype(np.float32)}

    def close(self):
        self.closed = True


def eye(center, width=60.0, angle=0.0):
    across = width / 2 * np.array((math.cos(angle), math.sin(angle)))
    return np.array((center - across, center + across), np.float32)


@pytest.mark.parametrize("angle", [0.0, 0.4])
def test_offsets_are_told_in_the_frame_however_an_eye_lies_and_whichever_it_is(angle):
    image, offset = np.zeros((300, 400, 3), np.uint8), np.array((9.0, -4.0))
    centers = np.array((120.0, 150.0)), np.array((280.0, 150.0))
    for center in centers:
        x, y = (center + offset).tolist()
        cv2.circle(image, (round(x), round(y)), 4, (255, 255, 255), -1)
    finder = EyeNetFinder(Spot())
    corners = tuple(eye(center, angle=angle) for center in centers)
    found = finder.find(image, [corners, (corners[0], None)])
    np.testing.assert_allclose(found[0], [offset, offset], atol=1.2)  # a pixel of the patch
    assert np.isnan(found[1, 1]).all()


def test_eyes_outside_the_image_cost_no_run():
    network = Spot()
    found = EyeNetFinder(network).find(
        np.zeros((20, 20, 3), np.uint8), [(eye(np.array((500.0, 500.0))), None)]
    )
    assert np.isnan(found).all()
    assert network.runs == []


def test_a_mirrored_patch_is_the_other_one_turned_over():
    image = np.random.default_rng(0).integers(0, 256, (100, 160, 3)).astype(np.uint8)
    region = eye_region(eye(np.array((80.0, 50.0)), angle=0.2), 1.6)
    plain, mirrored = (cut_eye(image, region, PATCH_PX, mirrored=m) for m in (False, True))
    assert plain.shape == (PATCH_PX[1], PATCH_PX[0])
    assert np.abs(plain[:, ::-1].astype(int) - mirrored).max() <= 8  # of rounding in between


def test_closing_closes_the_network():
    network = Spot()
    with EyeNetFinder(network):
        pass
    assert network.closed
