"""One table of parameters for the plain, the compiled and the CUDA form of face crops."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from affect_kernels.errors import UsageError
from affect_kernels.face_crops import COLOURS, Scaling, crop_faces, cuda

# Kind of frame, its height and width, faces, side of a crop.
CASES = [
    ("bgr", 2, 1, 1, 1), ("bgr", 37, 53, 3, 17), ("bgr", 120, 160, 2, 48), ("nv12", 2, 2, 1, 3),
    ("nv12", 38, 54, 4, 13), ("nv12", 120, 160, 2, 48),
]  # fmt: skip
NORMED = Scaling((1 / 58.4, 1 / 57.1, 1 / 57.4), (-2.1, -2.0, -1.8))


def frame_of(kind, height, width, seed=0):
    shape = (height, width, 3) if kind == "bgr" else (height * 3 // 2, width)
    noise = np.random.default_rng(seed).integers(0, 256, shape)
    return noise.astype(np.uint8)


def maps_of(faces, side, height, width, seed=1):
    """Return maps of turned, resized crops that stick out of the frame here and there."""
    rng = np.random.default_rng(seed)
    maps = []
    for _ in range(faces):
        angle, size = rng.uniform(-3, 3), rng.uniform(0.3, 1.2) * min(height, width)
        turn = (
            size
            / side
            * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        )
        centre = rng.uniform(0, 1, 2) * (width, height)
        maps.append(np.column_stack([turn, centre - turn @ [side / 2, side / 2]]))
    return np.array(maps)


def run_compiled(*arguments):
    from affect_kernels.face_crops import cpu

    return cpu.crop_faces(*arguments)


def case_of(kind, height, width, faces, side):
    return frame_of(kind, height, width), maps_of(faces, side, height, width).astype(np.float32)


def assert_as_near(found, arguments, dtype=np.float32):
    """Err at most twice as much as the plain form does at the same precision."""
    frame, maps, *rest = arguments
    exact = crop_faces(frame, maps.astype(np.float64), *rest)
    low = crop_faces(frame, maps.astype(dtype), *rest)
    allowed = 2 * np.abs(low - exact).max() + 2 * np.finfo(dtype).eps * np.abs(exact).max()
    assert found.dtype == dtype
    assert found.shape == exact.shape
    assert np.abs(found - exact).max() <= allowed


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_the_kernel_is_as_near_to_the_truth_as_the_plain_form(machine, case, dtype):
    arguments = *case_of(*case), case[4], NORMED, COLOURS["bt709"]
    found = machine.run(cuda.crop_faces(*arguments, dtype=dtype))["crops"]
    assert_as_near(found, arguments, dtype)


@pytest.mark.parametrize("case", CASES)
def test_the_compiled_form_is_as_near_to_the_truth_as_the_plain_form(case):
    arguments = *case_of(*case), case[4], NORMED
    assert_as_near(run_compiled(*arguments), arguments)


@pytest.mark.parametrize("kind", ["bgr", "nv12"])
def test_a_huge_frame_is_cropped_alike_by_plain_and_compiled_form(kind):
    frame, maps = case_of(kind, 2160, 3840, 8, 96)
    found, wanted = run_compiled(frame, maps, 96), crop_faces(frame, maps.astype(float), 96)
    # At 3840 px the last digit of a float32 place is 2.4e-4 px, of up to one level a px.
    np.testing.assert_allclose(found, wanted, atol=2e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["bgr", "nv12"])
def test_a_huge_frame_is_cropped_on_the_gpu(gpu, kind):
    frame, maps = case_of(kind, 2160, 3840, 64, 224)
    found = gpu.run(cuda.crop_faces(frame, maps, 224))["crops"]
    np.testing.assert_allclose(found, crop_faces(frame, maps.astype(float), 224), atol=2e-3)


def test_a_crop_in_place_is_the_frame_itself(machine):
    frame = frame_of("bgr", 20, 20)
    still = np.array([[[1, 0, 0], [0, 1, 0]]], np.float32)
    for found in (
        crop_faces(frame, still, 20),
        machine.run(cuda.crop_faces(frame, still, 20))["crops"],
    ):
        wanted = frame[..., ::-1].transpose(2, 0, 1)[None] / np.float32(255)
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_a_map_s_first_row_is_x_and_beyond_the_border_it_repeats():
    frame = np.zeros((5, 9, 3), np.uint8)
    frame[:, :, 2] = 10 * np.arange(9)  # red grows to the right
    right = np.array([[[1, 0, 5], [0, 1, 0]]], float)
    np.testing.assert_allclose(crop_faces(frame, right, 5)[0, 0] * 255, [[50, 60, 70, 80, 80]] * 5)
    half = np.array([[[0.5, 0, 0], [0, 0.5, 0]]], float)
    np.testing.assert_allclose(crop_faces(frame, half, 4)[0, 0] * 255, [[0, 5, 10, 15]] * 4)


def test_crops_are_opencv_s():
    y, x = np.mgrid[:120, :160]
    smooth = np.stack([x + 20, y + x // 2, 255 - x], axis=2).astype(np.uint8)
    maps = maps_of(4, 32, 120, 160)
    for found, one in zip(crop_faces(smooth, maps, 32), maps, strict=True):
        wanted = cv2.warpAffine(
            smooth, one, (32, 32), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        wanted = wanted[..., ::-1].transpose(2, 0, 1)
        assert np.abs(found * 255 - wanted).max() <= 1.0


def test_nv12_is_opencv_s():
    frame = frame_of("nv12", 40, 60)
    frame[:40] = 16 + frame[:40] % 220  # below black OpenCV cuts luma off before it adds chroma
    still = np.array([[[1, 0, 0], [0, 1, 0]]], float)
    wanted = cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_NV12)[:40, :40]
    found = crop_faces(frame, still, 40)[0].transpose(1, 2, 0) * 255
    assert np.abs(found - wanted).max() <= 1.0


def test_grey_is_grey_and_white_is_white_in_both_standards():
    frame = np.full((6, 4), 128, np.uint8)
    still = np.array([[[1, 0, 0], [0, 1, 0]]], float)
    for colour in COLOURS.values():
        for luma, level in ((16, 0.0), (235, 1.0)):
            frame[:4] = luma
            np.testing.assert_allclose(crop_faces(frame, still, 4, None, colour), level, atol=1e-12)


def test_many_threads_crop_alike(host):
    cases = [case_of("nv12", 38, 54, 2, 9 + k) for k in range(6)]
    forms = [
        lambda case: run_compiled(*case, 16),
        lambda case: host.run(cuda.crop_faces(*case, 16))["crops"],
    ]
    for form in forms:
        alone = [form(case) for case in cases]
        with ThreadPoolExecutor(6) as pool:
            for one, other in zip(alone, pool.map(form, cases), strict=True):
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "frame",
    [np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4)), np.zeros((4, 4), np.uint8),
     np.zeros((3, 3), np.uint8), np.zeros((0, 4, 3), np.uint8)],
)  # fmt: skip
def test_what_is_no_frame_is_refused(frame):
    with pytest.raises(UsageError, match="frame to crop from"):
        crop_faces(frame, np.zeros((1, 2, 3)), 4)


def test_maps_that_lead_nowhere_are_refused():
    frame = frame_of("bgr", 4, 4)
    for maps, side in (
        (np.full((1, 2, 3), np.nan), 4), (np.zeros((2, 3)), 4), (np.zeros((1, 2, 3)), 0)
    ):  # fmt: skip
        with pytest.raises(UsageError, match="maps of face crops"):
            crop_faces(frame, maps, side)


def test_what_the_kernel_does_not_have_is_refused():
    frame, maps = frame_of("bgr", 4, 4), np.zeros((1, 2, 3))
    for chosen in ({"dtype": np.float64}, {"side": 5000}):
        arguments = {"side": 4, "dtype": np.float32} | chosen
        with pytest.raises(UsageError, match="on a GPU"):
            cuda.crop_faces(frame, maps, **arguments)
    with pytest.raises(UsageError, match="nothing to launch"):
        cuda.crop_faces(frame, maps[:0], 4)
