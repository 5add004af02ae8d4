"""The product over films and clips in miniature, with what it tells made up where that matters."""

import contextlib
import dataclasses
import json
import math

import cv2
import numpy as np
import pytest

from realtime_affect.capture import open_source
from realtime_affect.errors import InputError, UsageError
from realtime_affect.face.vision import Vision
from realtime_affect.outputs.video import VideoRecorder
from realtime_affect.runtime.pipeline import Pipeline
from realtime_affect.types import AffectResult, AffectSnapshot, Spotting
from tests.realtime_affect.micro_world import MS, facial_event
from tests.realtime_affect.world import Person, World, frame_at
from tests.training.megc.workbook import write_workbook
from training import evaluate as command
from training.megc import evaluate
from training.megc.databases import Clip, Film
from training.megc.evaluate import map_of, spot
from training.megc.spotting import Interval

FPS = 30.0


def film(folder, numbers, truth=(), fps=FPS):
    folder.mkdir(parents=True)
    pictures = {}
    for number in numbers:
        pictures[number] = folder / f"img{number}.png"
        cv2.imwrite(str(pictures[number]), frame_at(number).image)
    return Film("s1", folder.name, pictures, fps, truth)


class Tells:
    """An affect worker that tells made-up events of face 1 from their decision on."""

    def __init__(self, *events, blind="", off=False):
        self.events, self.blind, self.off, self.times = events, blind, off, []

    def decide(self, job):
        t_ns = job.scene.frame.t_ns
        self.times.append(t_ns)
        told = tuple(event for event in self.events if event.decided_ns <= t_ns)
        micro = None if self.off else Spotting(told, self.blind)
        results = {1: AffectResult(1, t_ns, np.zeros(2), 0.0, micro=micro)}
        return AffectSnapshot(t_ns, t_ns, results)

    def close(self):
        pass


def product(affect, people=lambda index: [Person("a", 320, 180)]):
    """The product, but that its networks are made up."""

    def make(source, config, *, live):
        world = World(people)
        vision = Vision(detector=world, mesher=world)
        return Pipeline(source, config, live=live, vision=vision, affect=affect)

    return make


def test_events_get_the_numbers_of_the_frames_at_their_times(tmp_path):
    # Frames 5 to 44 at 30 a second: frame n is at (n - 5) / 30 s.
    one = facial_event(200, decided_ns=900 * MS)
    two = facial_event(500, "macro", offset_ns=990 * MS, decided_ns=1200 * MS)
    found = spot(film(tmp_path / "a", range(5, 45)), product(Tells(one, two)))
    assert found.intervals == (
        Interval("micro", 11, 17, "surprise"), Interval("macro", 20, 35, "surprise")
    )  # fmt: skip
    assert (found.frames, found.watched) == (40, 40)
    assert 35 <= found.faces <= 40


def test_missing_pictures_are_missing_time(tmp_path):
    tells = Tells(facial_event(1000, decided_ns=1600 * MS))
    numbers = [*range(1, 11), *range(31, 61)]
    found = spot(film(tmp_path / "a", numbers), product(tells))
    assert tells.times[10] == 1_000_000_000
    assert found.intervals[0].onset == 31
    assert found.intervals[0].offset == 37


def test_a_video_is_numbered_from_one_by_its_own_times(tmp_path):
    recorder = VideoRecorder(tmp_path / "a.mp4", 25)
    for n in range(40):
        recorder.write(frame_at(n).image, n * 40 * MS)
    recorder.close()
    video = Film("s1", "a", tmp_path / "a.mp4", 25.0, ())
    tells = Tells(facial_event(400, decided_ns=1000 * MS))
    found = spot(video, product(tells, lambda index: []))
    assert found.intervals == (Interval("micro", 11, 16, "surprise"),)


def test_an_event_of_no_class_has_no_label(tmp_path):
    shares = np.full(4, np.nan, np.float32)
    one = facial_event(0, decided_ns=300 * MS, probabilities=shares)
    none = facial_event(100, decided_ns=300 * MS, probabilities=np.eye(4, dtype=np.float32)[3])
    found = spot(film(tmp_path / "a", range(12)), product(Tells(one, none)))
    assert [interval.label for interval in found.intervals] == ["", "none"]


def test_what_cannot_be_seen_is_not_watched_and_what_is_off_is_said(tmp_path):
    one = film(tmp_path / "a", range(12))
    assert spot(one, product(Tells(blind="15 frames a second"))).watched == 0
    with pytest.raises(UsageError, match="switched off"):
        spot(one, product(Tells(off=True)))


def test_a_damaged_picture_is_named(tmp_path):
    one = film(tmp_path / "a", range(12))
    one.media[7].write_bytes(b"")
    with pytest.raises(InputError, match=r"img7\.png"):
        spot(one, product(Tells()))


@pytest.fixture
def casme2sq(tmp_path):
    codes = [[1, "disgust1_1", 6, 9, 12, "4", "surprise", "micro-expression", ""],
             [1, "anger1_1", 1, 5, 30, "4", "anger", "macro-expression", ""]]  # fmt: skip
    videos = [["0101", "disgust1"], ["0401", "anger1"]]
    write_workbook(tmp_path / "code_final.xlsx", codes, [[None, "s15", 1]], videos)
    for name in ("15_0101disgustingteeth", "15_0401girlcrashing"):
        film(tmp_path / "rawpic" / "s15" / name, range(1, 31))
    return tmp_path


def test_the_report_has_the_challenge_s_figures(casme2sq, tmp_path, capsys):
    out = tmp_path / "report.json"
    # Frames 7 to 13: right in the first video, false in the second.
    tells = Tells(facial_event(200, decided_ns=800 * MS))
    report = evaluate.evaluate_spotting("casme2sq", casme2sq, out, product(tells))
    assert (report["micro"]["right"], report["micro"]["false"]) == (1, 1)
    assert report["micro"]["f1"] == pytest.approx(2 / 3)
    assert report["macro"]["f1"] == 0.0
    assert report["strs"] == pytest.approx(2 / 3)
    assert report["minutes"] == pytest.approx(60 / 30 / 60)
    assert report["false_micro_per_min"] == pytest.approx(30)
    assert report["share_watched"] == 1.0
    written = json.loads(out.read_text())
    assert written["films"] == 2
    assert written["macro"]["precision"] is None, "JSON has no NaN"
    printed = " ".join(capsys.readouterr().out.split())
    assert "2 videos of 1 people" in printed
    assert "0.667" in printed


def test_a_folder_without_the_database_ends_the_command(tmp_path, capsys):
    for words in (["spotting", "--dataset", "sammlv"], ["micro", "--dataset", "smic"]):
        assert command.main([*words, "--root", str(tmp_path)]) == 3
        assert "databases.py" in capsys.readouterr().err


@pytest.fixture(scope="module")
def demo():
    """Ten frames of the demo's first person, in which the face moves."""
    images = []
    with contextlib.closing(open_source("demo", live=False)) as source:
        while len(images) < 40:
            images.append(source.read(10.0).image[:, :640].copy())
    return images[::4]


def clip(folder, images, apex=None):
    pictures = {}
    for number, image in enumerate(images, 46):
        pictures[number] = folder / f"img{number}.png"
        cv2.imwrite(str(pictures[number]), image)
    return Clip("sub01", folder.name, pictures, 46, apex, max(pictures), "negative", 30.0)


@pytest.mark.usefixtures("models")
def test_a_clip_becomes_the_flow_from_its_onset_to_its_apex(demo, tmp_path):
    moved = map_of(clip(tmp_path, demo, apex=52))
    assert moved.shape == (56, 56, 3)
    assert moved.dtype == np.float32
    assert np.isfinite(moved).all()
    still = map_of(clip(tmp_path, [demo[0]] * 3, apex=48))
    assert np.abs(still[..., :2]).max() < 0.2 * np.abs(moved[..., :2]).max()


@pytest.mark.usefixtures("models")
def test_without_an_apex_the_moment_least_like_the_onset_is_it(demo, tmp_path):
    images = [demo[0], demo[0], demo[9], demo[0]]
    found = map_of(clip(tmp_path, images))
    np.testing.assert_array_equal(found, map_of(clip(tmp_path, images[:3], apex=48)))
    assert (found != map_of(clip(tmp_path, images[:2], apex=47))).any()


@pytest.mark.usefixtures("models")
def test_a_clip_without_a_face_at_its_onset_has_no_flow(demo, tmp_path):
    assert map_of(clip(tmp_path, [np.zeros_like(demo[0]), demo[1]], apex=47)) is None
    assert map_of(clip(tmp_path, [demo[0], np.zeros_like(demo[0])], apex=47)) is None


class Answers:
    """A classifier that reads its answer off the map."""

    closed = False

    def classify(self, maps):
        assert maps.dtype == np.float32
        return np.stack([np.where(np.arange(4) == int(one[0, 0, 0]), 0.7, 0.1) for one in maps])

    def close(self):
        self.closed = True


def test_classes_are_told_with_none_and_forced_without(tmp_path, monkeypatch, capsys):
    blank = Clip("s1", "a", {}, 1, 2, 3, "negative", 100.0)
    labels = [*["negative"] * 3, "positive", "surprise", "surprise"]
    answers = [0, 3, 0, 1, 2, None]
    clips = [dataclasses.replace(blank, label=label, name=str(n)) for n, label in enumerate(labels)]
    maps = [None if a is None else np.full((56, 56, 3), a, np.float32) for a in answers]
    monkeypatch.setattr(evaluate, "read_clips", lambda *_: clips)
    monkeypatch.setattr(evaluate, "map_of", lambda one: maps[int(one.name)])
    classifier = Answers()
    report = evaluate.evaluate_classes("smic", tmp_path, tmp_path / "r.json", classifier)
    assert classifier.closed
    assert (report["clips"], report["with_a_face"], report["told"]["n"]) == (6, 5, 5)
    assert report["told"]["confusion"] == [[2, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0]]
    assert report["told"]["uf1"] == pytest.approx((0.8 + 1 + 1) / 3)
    assert report["forced"]["confusion"][0] == [3, 0, 0, 0]
    assert json.loads((tmp_path / "r.json").read_text())["forced"]["uar"] == 1.0
    assert "a face in 5 of 6 clips" in capsys.readouterr().out


@pytest.mark.usefixtures("models")
def test_the_command_asks_the_product_s_own_network(demo, tmp_path, capsys):
    folder = tmp_path / "HS" / "s1" / "micro" / "positive" / "s1_po_01"
    folder.mkdir(parents=True)
    clip(folder, [demo[0], demo[4]])
    out = tmp_path / "r.json"
    words = ["micro", "--dataset", "smic", "--root", str(tmp_path), "--out", str(out)]
    assert command.main(words) == 0
    report = json.loads(out.read_text())
    assert (report["clips"], report["with_a_face"]) == (1, 1)
    assert sum(report["told"]["confusion"][1]) == 1
    assert "a face in 1 of 1 clips" in capsys.readouterr().out


def test_clips_without_any_face_have_no_figures(tmp_path, monkeypatch):
    monkeypatch.setattr(
        evaluate, "read_clips", lambda *_: [Clip("s", "a", {}, 1, 2, 3, "positive", 9)]
    )
    monkeypatch.setattr(evaluate, "map_of", lambda one: None)
    report = evaluate.evaluate_classes("smic", tmp_path, None, Answers())
    assert report["with_a_face"] == 0
    assert math.isnan(report["told"]["uf1"])
