"""Clips of faces, as the product sees them; on people who do not exist."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from realtime_affect.affect.expression import ExpressionClassifier, clip_timing
from realtime_affect.affect.history import ClipHistory
from realtime_affect.capture import open_source
from realtime_affect.face.vision import Vision
from training.real.clips import STRIP_FPS, strip_frames, tracks_of, watch
from training.real.expressions import by_frame, reported

FRAMES = 45


@pytest.fixture(scope="module")
def demo_frames(models):
    source = open_source("demo", live=False)
    frames = list(itertools.islice(iter(lambda: source.read(10.0), None), FRAMES))
    source.close()
    return frames


def test_a_face_is_followed_through_every_frame_with_what_was_decided(demo_frames):
    faces = tracks_of(watch(demo_frames))
    face = faces[0]
    assert len(face.t_ns) > FRAMES - 8
    assert np.allclose(face.probabilities.sum(axis=1), 1, atol=1e-4)
    assert (face.moment_ns <= face.t_ns).all()
    assert len(face.moments()) < len(face.t_ns)
    assert len(faces[0].t_ns) >= len(faces[-1].t_ns)
    assert not face.observed[0]


def test_what_is_reported_is_what_the_product_reports(demo_frames):
    face = tracks_of(watch(demo_frames))[0]
    history, told = ClipHistory(clip_timing()), {}
    vision = Vision()
    with ExpressionClassifier() as classifier:
        for frame in demo_frames:
            for number, shown in classifier.decide(history.append(vision.analyse(frame))).items():
                told.setdefault(number, []).append(shown.name)
    vision.close()
    assert by_frame(face, reported(face)[0]).tolist() in list(told.values())


def test_an_onset_is_played_after_two_seconds_of_its_first_image(tmp_path):
    import cv2

    strip = np.repeat(np.arange(16, dtype=np.uint8) * 10, 112)[None, :, None]
    path = tmp_path / "061.png"
    cv2.imwrite(str(path), np.broadcast_to(strip, (112, 16 * 112, 3)))
    frames = list(strip_frames(path))
    shades = [int(frame.image.mean()) for frame in frames]
    onset = round(2 * STRIP_FPS)
    assert set(shades[: onset + 1]) == {0}
    assert np.array(shades[onset : onset + 16]) == pytest.approx(np.arange(16) * 10, abs=1)
    assert set(shades[onset + 15 :]) == {150}
    assert frames[onset].t_ns == pytest.approx(2e9, abs=1)
