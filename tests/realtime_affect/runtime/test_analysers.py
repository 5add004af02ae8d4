import cv2
import pytest

from realtime_affect.capture import SourceInfo
from realtime_affect.errors import InputMissingError, ModelError
from realtime_affect.face.vision import Vision
from realtime_affect.runtime import analysers as module
from realtime_affect.runtime.analysers import Analysers
from realtime_affect.runtime.pipeline import Pipeline
from realtime_affect.runtime.reading_source import ReadingSource
from tests.realtime_affect.runtime.test_pipeline import FakeAffect, FakeSource
from tests.realtime_affect.world import Person, World


class Closed(World):
    closed = 0

    def close(self):
        self.closed += 1


def fakes():
    world = Closed(lambda index: [Person("a", 200, 150)])
    return world, Vision(detector=world, mesher=world), FakeAffect()


def no_network(*_, **__):
    raise ModelError("model iris", got="no file", expected="iris.tflite", hint="Fetch it.")


def test_a_bad_source_leaves_no_network_open():
    world, vision, affect = fakes()
    with pytest.raises(InputMissingError):
        Pipeline("no/such/clip.mp4", vision=vision, affect=affect)
    assert world.closed == 2
    assert affect.closed


def test_networks_of_the_caller_stay_open_and_know_nobody_any_more():
    world, vision, affect = fakes()
    ids = []
    with Analysers(vision=vision, affect=affect) as analysers:
        for _ in range(2):
            with Pipeline(FakeSource(12), live=False, analysers=analysers) as pipeline:
                ids.append([t.track_id for r in pipeline for t in r.scene.tracks])
            assert not world.closed
            assert not affect.closed
        with pytest.raises(InputMissingError):
            Pipeline("no/such/clip.mp4", analysers=analysers)
        assert not affect.closed
    assert world.closed == 2
    assert affect.closed
    assert ids[0] == ids[1]
    assert set(ids[0]) == {1}


def test_a_network_that_cannot_be_opened_closes_the_others(monkeypatch):
    world, vision, _ = fakes()
    monkeypatch.setattr(module, "AffectEstimator", no_network)
    source = FakeSource(1)
    with pytest.raises(ModelError):
        Pipeline(source, vision=vision)
    assert world.closed == 2
    assert source.closed


@pytest.mark.usefixtures("models")
def test_a_part_of_a_network_that_cannot_be_opened_closes_the_others(monkeypatch):
    from realtime_affect.affect import worker
    from realtime_affect.face import vision

    closed = []
    for owner, first, second in (
        (vision, "FaceDetector", "MeshEstimator"),
        (worker, "GazeEstimator", "ExpressionClassifier"),
    ):
        with monkeypatch.context() as patch:
            kind = getattr(owner, first)
            patch.setattr(
                owner, first, type(first, (kind,), {"close": lambda self: closed.append(1)})
            )
            patch.setattr(owner, second, no_network)
            with pytest.raises(ModelError):
                (Vision if owner is vision else worker.AffectEstimator)()
    assert len(closed) == 2


@pytest.mark.usefixtures("models")
def test_the_networks_in_use_are_told_with_their_hashes():
    from affect_engines import load_card
    from affect_engines.selection import ONNX_BACKENDS

    with Analysers() as analysers:
        models = analysers.models
        assert analysers.affect.backend in ONNX_BACKENDS
    assert {"face_mesh", "eye_live", "action_units", "ifdd_stream", "htnet_live"} <= set(models)
    assert models["face_mesh"] == load_card("face_mesh").sha256
    _, vision, affect = fakes()
    with Analysers(vision=vision, affect=affect) as analysers:
        assert "face_mesh" not in analysers.models, "a network that a test makes up has no card"


def test_a_pipeline_is_a_source_of_readings():
    _, vision, affect = fakes()
    with Pipeline(FakeSource(1), vision=vision, affect=affect) as pipeline:
        assert isinstance(pipeline, ReadingSource)
        assert pipeline.can_set_neutral
        assert isinstance(pipeline.source_info, SourceInfo)


def test_opencv_keeps_to_the_thread_that_calls_it_while_analysers_are_open():
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    _, vision, affect = fakes()
    with Analysers(vision=vision, affect=affect):
        assert cv2.getNumThreads() == 1
    assert cv2.getNumThreads() == 2
    cv2.setNumThreads(before)
