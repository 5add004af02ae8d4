import importlib.util
import math
import threading
from pathlib import Path

import numpy as np
import pytest

from affect_engines.base import TensorSpec
from realtime_affect.face.detect import DetectConfig, FaceDetector
from realtime_affect.face.mesh import MeshEstimator, Region, region_from_keypoints, region_from_mesh

GOLDEN = Path(__file__).parents[2] / "golden"
DEMO = Path(__file__).parents[2] / "realtime_affect" / "demo" / "demo.mp4"


class FakeMesh:
    """Return given points in input pixels and a given flag."""

    inputs = (TensorSpec("input_1", (1, 192, 192, 3), np.dtype(np.float32)),)
    outputs = ()

    def __init__(self, points, flag=0.0):
        self.points, self.flag, self.seen, self.closed = points, flag, [], 0

    def infer(self, feeds):
        self.seen.append(np.empty((1, 192, 192, 3), np.float32))
        feeds["input_1"](self.seen[-1])
        return {
            "conv2d_21": np.asarray(self.points, np.float32).reshape(1, 1, 1, 1404),
            "conv2d_31": np.full((1, 1, 1, 1), self.flag, np.float32),
        }

    def close(self):
        self.closed += 1


def load_recipe():
    spec = importlib.util.spec_from_file_location("recipe", GOLDEN / "face_mesh_recipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def recipe():
    return load_recipe()


@pytest.fixture(scope="module")
def recorded():
    with np.load(GOLDEN / "face_mesh_mediapipe.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def photo():
    data = pytest.importorskip("skimage.data", reason="scikit-image is a test dependency")
    return data.astronaut()


@pytest.fixture(scope="module")
def estimator(models):
    with MeshEstimator() as estimator:
        yield estimator


@pytest.fixture(scope="module")
def detector(models):
    with FaceDetector(DetectConfig(range="short")) as detector:
        yield detector


def bgr(picture):
    return np.ascontiguousarray(picture[..., ::-1])


def find_faces(image, detector, estimator):
    found = detector.detect(image)
    regions = [
        region_from_keypoints(k, b) for k, b in zip(found.keypoints, found.xyxy, strict=True)
    ]
    meshes = [estimator.estimate(image, region)[0] for region in regions]
    return [mesh.points for mesh in meshes if mesh.presence > 0.5]


def error_of(points, truth):
    """Mean distance over the face's width."""
    width = np.linalg.norm(truth[234, :2] - truth[454, :2])
    return np.linalg.norm(points[:, :2] - truth[:, :2], axis=1).mean() / width


STILLS = [
    *("upright", "turned_left", "turned_right", "half"),
    *("double", "tiled", "left_border", "top_border"),
]


@pytest.mark.parametrize("name", STILLS)
def test_points_agree_with_mediapipe_on_stills(name, photo, recipe, recorded, detector, estimator):
    picture = recipe.variants(photo)[name]
    assert recipe.digest(picture) == str(recorded[f"{name}/sha256"])
    truths = recorded[f"{name}/points"]
    found = find_faces(bgr(picture), detector, estimator)
    assert len(found) == len(truths) == (4 if name == "tiled" else 1)
    for truth in truths:
        assert min(error_of(points, truth) for points in found) <= 0.01


def test_depth_agrees_with_mediapipe(photo, recipe, recorded, detector, estimator):
    truth = recorded["upright/points"][0]
    (points,) = find_faces(bgr(recipe.variants(photo)["upright"]), detector, estimator)
    width = np.linalg.norm(truth[234, :2] - truth[454, :2])
    assert np.abs(points[:, 2] - truth[:, 2]).mean() / width <= 0.01


def test_following_a_face_agrees_with_mediapipe(photo, recipe, recorded, detector, estimator):
    points = None
    for i, picture in enumerate(recipe.sequence(photo)):
        assert recipe.digest(picture) == str(recorded[f"sequence/{i}/sha256"])
        image = bgr(picture)
        if points is None:
            (points,) = find_faces(image, detector, estimator)
        else:
            mesh, _ = estimator.estimate(image, region_from_mesh(points))
            points = mesh.points
        assert error_of(points, recorded[f"sequence/{i}/points"][0]) <= 0.01


def test_points_agree_with_mediapipe_on_the_demo_clip(recorded, detector, estimator):
    import cv2

    numbers = sorted(int(k.split("/")[1]) for k in recorded if k.startswith("demo/"))
    if not numbers or not DEMO.exists():
        pytest.skip("no points of the demo clip are recorded")
    capture = cv2.VideoCapture(str(DEMO))
    for i in range(numbers[-1] + 1):
        ok, image = capture.read()
        assert ok
        truths = recorded.get(f"demo/{i}/points", ())
        if len(truths):
            found = find_faces(image, detector, estimator)
            for truth in truths:
                assert min(error_of(points, truth) for points in found) <= 0.01


def test_a_detection_gives_a_square_around_its_box_turned_with_the_eyes():
    keypoints = np.zeros((6, 2), np.float32)
    keypoints[:2] = (10, 20), (20, 30)
    region = region_from_keypoints(keypoints, np.array((0, 10, 40, 30), np.float32))
    assert region == Region((20.0, 20.0), 60.0, pytest.approx(math.pi / 4))


def test_a_mesh_gives_a_square_around_its_extent_turned_with_the_outer_eye_corners():
    points = np.full((468, 3), 50.0, np.float32)
    points[10, :2], points[152, :2] = (60, 10), (60, 110)
    points[33, :2], points[263, :2] = (40, 50), (80, 50)
    assert region_from_mesh(points) == Region((60.0, 60.0), 150.0, 0.0)
    points[263, :2] = (80, 90)
    assert region_from_mesh(points).angle_rad == pytest.approx(math.pi / 4)


def test_points_are_mapped_back_from_the_turned_square():
    u = np.zeros((468, 3), np.float32)
    u[0], u[1], u[2] = (96, 96, 0), (192, 96, 10), (96, 192, -10)
    estimator = MeshEstimator(FakeMesh(u, flag=2.0))
    image = np.zeros((400, 400, 3), np.uint8)
    mesh, _ = estimator.estimate(image, Region((200.0, 100.0), 96.0, math.pi / 2))
    np.testing.assert_allclose(mesh.points[0], (200, 100, 0), atol=1e-4)
    np.testing.assert_allclose(mesh.points[1], (200, 148, 5), atol=1e-4)
    np.testing.assert_allclose(mesh.points[2], (152, 100, -5), atol=1e-4)
    assert mesh.presence == pytest.approx(1 / (1 + math.exp(-2.0)))


def test_the_network_sees_rgb_from_0_to_1():
    fake = FakeMesh(np.zeros(1404))
    image = np.zeros((300, 300, 3), np.uint8)
    image[..., 2] = 255
    _, crop = MeshEstimator(fake).estimate(image, Region((150.0, 150.0), 100.0, 0.0))
    assert (fake.seen[0][..., 0] == 1.0).all()
    assert (fake.seen[0][..., 1:] == 0.0).all()
    assert (crop == (255, 0, 0)).all()


@pytest.mark.parametrize(
    "region",
    [
        Region((math.nan, 10.0), 50.0, 0.0),
        Region((10.0, 10.0), 0.0, 0.0),
        Region((10.0, 10.0), math.inf, 0.0),
        Region((-1000.0, 10.0), 50.0, 0.0),
        region_from_mesh(np.full((468, 3), np.nan, np.float32)),
        region_from_keypoints(np.zeros((6, 2), np.float32), np.zeros(4, np.float32)),
    ],
)
def test_where_there_is_nothing_to_see_presence_is_zero(region):
    fake = FakeMesh(np.zeros(1404), flag=9.0)
    mesh, crop = MeshEstimator(fake).estimate(np.zeros((100, 100, 3), np.uint8), region)
    assert mesh.presence == 0.0
    assert np.isnan(mesh.points).all()
    assert crop.shape == (192, 192, 3)
    assert not fake.seen


@pytest.mark.parametrize("flag", [-1e4, 1e4])
def test_a_flag_beyond_all_bounds_is_still_a_probability(flag):
    estimator = MeshEstimator(FakeMesh(np.zeros(1404), flag))
    region = Region((50.0, 50.0), 50.0, 0.0)
    mesh, _ = estimator.estimate(np.zeros((100, 100, 3), np.uint8), region)
    assert mesh.presence == pytest.approx(float(flag > 0))


def test_what_was_returned_is_not_changed_by_the_next_call():
    fake = FakeMesh(np.full(1404, 10.0))
    estimator = MeshEstimator(fake)
    image = np.full((100, 100, 3), 50, np.uint8)
    mesh, crop = estimator.estimate(image, Region((50.0, 50.0), 50.0, 0.0))
    points, pixels = mesh.points.copy(), crop.copy()
    fake.points = np.full(1404, 99.0)
    estimator.estimate(image // 2, Region((20.0, 50.0), 30.0, 1.0))
    np.testing.assert_array_equal(mesh.points, points)
    np.testing.assert_array_equal(crop, pixels)


def test_a_wall_is_no_face(estimator):
    image = np.full((200, 200, 3), 128, np.uint8)
    mesh, _ = estimator.estimate(image, Region((100.0, 100.0), 150.0, 0.0))
    assert mesh.presence < 0.5


class SharedMesh(FakeMesh):
    """Answers with the brightness that it sees, and counts on which threads it was asked."""

    def __init__(self, family=None, wait=None):
        super().__init__(np.zeros(1404))
        self.family = [] if family is None else family
        self.wait, self.threads = wait, set()
        self.family.append(self)

    def share(self):
        return SharedMesh(self.family, self.wait)

    def infer(self, feeds):
        self.threads.add(threading.current_thread())
        if self.wait is not None:
            self.wait()
        outputs = super().infer(feeds)
        self.points = np.full(1404, self.seen[-1].mean() * 192)
        return outputs | super().infer(feeds)


def shades(n):
    """An image of n squares of 50 pixels, each of its own shade, and a region in each."""
    image = np.repeat(np.arange(n, dtype=np.uint8) * 20, 50)[None, :, None].repeat(50, 0)
    regions = [Region((50.0 * i + 25, 25.0), 20.0, 0.0) for i in range(n)]
    return np.ascontiguousarray(image.repeat(3, 2)), regions


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("n", [0, 1, 2, 9])
def test_several_faces_are_what_each_is_alone_whoever_measures_it(threads, n):
    image, regions = shades(n)
    fake = SharedMesh()
    with MeshEstimator(fake, threads=threads) as estimator:
        assert len(fake.family) == threads
        wanted = [estimator.estimate(image, region) for region in regions]
        for _ in range(20):
            found = estimator.estimate_all(image, regions)
            for (mesh, crop), (mesh_alone, crop_alone) in zip(found, wanted, strict=True):
                np.testing.assert_array_equal(mesh.points, mesh_alone.points)
                np.testing.assert_array_equal(crop, crop_alone)
    assert fake.threads <= {threading.current_thread()}
    assert [one.closed for one in fake.family] == [1] * threads


def test_faces_are_measured_at_once_and_while_the_caller_looks_elsewhere():
    together = threading.Barrier(2)
    image, regions = shades(2)
    with MeshEstimator(SharedMesh(wait=lambda: together.wait(60)), threads=2) as estimator:
        assert len(estimator.estimate_all(image, regions)) == 2
    looking = threading.Barrier(2)
    begun = iter([lambda: looking.wait(60)])
    fake = SharedMesh(wait=lambda: next(begun, lambda: None)())
    with MeshEstimator(fake, threads=2) as estimator:
        estimator.estimate_all(image, regions[:1], lambda: looking.wait(60))
        assert not fake.threads & {threading.current_thread()}


def test_one_face_wakes_nobody():
    image, regions = shades(1)
    fake = SharedMesh()
    with MeshEstimator(fake, threads=4) as estimator:
        estimator.estimate_all(image, regions)
    assert [one.threads for one in fake.family] == [{threading.current_thread()}, *[set()] * 3]


@pytest.mark.parametrize("where", ["network", "meanwhile"])
def test_what_fails_on_any_thread_is_raised_to_the_caller_once_all_are_done(where):
    def fail():
        raise ValueError(where)

    image, regions = shades(4)
    fake = SharedMesh(wait=fail if where == "network" else None)
    with MeshEstimator(fake, threads=2) as estimator:
        with pytest.raises(ValueError, match=where):
            estimator.estimate_all(image, regions, fail if where == "meanwhile" else None)
        for one in fake.family:
            one.wait = None
        assert len(estimator.estimate_all(image, regions)) == 4


def test_a_network_that_cannot_be_shared_is_run_on_the_calling_thread_alone():
    image, regions = shades(3)
    fake = FakeMesh(np.zeros(1404))
    with MeshEstimator(fake, threads=4) as estimator:
        assert len(estimator.estimate_all(image, regions)) == 3
    assert len(fake.seen) == 3


def test_the_real_network_tells_the_same_of_each_face_on_two_threads(models, photo):
    image = bgr(photo)
    regions = [Region((220.0 + 7 * i, 120.0), 150.0 + 5 * i, 0.05 * i) for i in range(5)]
    with MeshEstimator(threads=2) as estimator:
        wanted = [estimator.estimate(image, region)[0] for region in regions]
        for _ in range(3):
            found = estimator.estimate_all(image, regions)
            for (mesh, _), alone in zip(found, wanted, strict=True):
                np.testing.assert_array_equal(mesh.points, alone.points)
                assert mesh.presence == alone.presence


def test_closing_closes_the_network():
    fake = FakeMesh(np.zeros(1404))
    with MeshEstimator(fake):
        pass
    assert fake.closed == 1
