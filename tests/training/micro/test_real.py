from dataclasses import replace
from itertools import chain

import cv2
import numpy as np
import pytest

from realtime_affect.face.stabilize import CROP_PX, IOD_PX, fit_placement
from realtime_affect.types import StabilizedCrop
from tests.realtime_affect.world import Person, mesh_points
from training.micro.evaluate import _most, _poisson_bound, summed_up
from training.micro.film import Seen
from training.micro.real import (
    inject,
    least_moved,
    pack_tracks,
    show_photograph,
    sits_still,
    there_and_back,
    unpack_tracks,
    watched_s,
)
from training.micro.replay import face_of


def faces(n=30, turn=0.0):
    mesh = mesh_points(Person("a", 120, 120, 150))
    picture = np.tile(np.arange(CROP_PX, dtype=np.uint8)[:, None], (1, CROP_PX))
    crop = StabilizedCrop(picture, fit_placement(mesh).to_frame())
    made = []
    for i in range(n):
        angles = np.array([0.0, turn * i / 30, 0.0], np.float32)
        seen = Seen(i, picture, mesh, np.full(2, 0.3, np.float32), angles, 90.0, 5.0, 50.0)
        made.append((round(i / 30 * 1e9) + 7, face_of(seen, crop)))
    return made


def test_a_loop_goes_there_and_back_at_the_clips_own_pace():
    clip = faces(10)
    looped = there_and_back(clip, 1.0)
    shown = [next(k for k, (_, f) in enumerate(clip) if f is face) for _, face in looped[:21]]
    assert shown == [*range(10), *range(8, -1, -1), 1, 2]
    steps = np.diff([t_ns for t_ns, _ in looped])
    assert abs(steps - 1e9 / 30).max() < 2
    assert there_and_back(clip[:1], 1.0) == []


def test_an_injected_movement_has_its_place_height_and_times():
    clip = faces(30)
    moved = list(inject(clip, "left mouth corner", 0.02, 0.3, 0.4))
    for (t_ns, before), (_, after) in zip(clip, moved, strict=True):
        assert (before is after) == (not 0.3 < t_ns / 1e9 < 0.7)
    apex = moved[15][1].stabilized.image.astype(float) - clip[15][1].stabilized.image
    # Each row is as bright as its number: moving up by a pixel brightens by one.
    assert apex.max() == pytest.approx(0.8 * 0.02 * IOD_PX, abs=0.6)
    assert abs(apex[:20]).max() == 0


def test_tracks_are_kept_as_plain_arrays(tmp_path):
    path = tmp_path / "clip.npz"
    for tracks in ([], [faces(4, turn=0.2), faces(3)]):
        pack_tracks(path, tracks)
        kept = unpack_tracks(path)
        assert [len(track) for track in kept] == [len(track) for track in tracks]
        for before, after in zip(chain(*tracks), chain(*kept), strict=True):
            assert before[0] == after[0]
            for name in ("mesh.points", "eye_openness", "pose.rotation_rad", "stabilized.image"):
                one, other = before[1], after[1]
                for part in name.split("."):
                    one, other = getattr(one, part), getattr(other, part)
                np.testing.assert_array_equal(one, other)
            assert before[1].quality.size_px == after[1].quality.size_px


def test_a_photograph_sways_and_flickers_and_shows_nothing_else(tmp_path):
    path = tmp_path / "photograph.png"
    y, x = np.mgrid[:90, :120]
    cv2.imwrite(str(path), np.stack([x + 60, y + 60, x + y], axis=2).astype(np.uint8))
    frames = list(show_photograph(path, 0.5))
    assert [frame.t_ns for frame in frames] == [round(i / 30 * 1e9) for i in range(15)]
    first, second = (frame.image.astype(float)[20:70, 20:100] for frame in frames[:2])
    assert 0.5 < np.std(second - first) < 4.0  # of noise
    # Each column is as bright as its number: what it sways by, in pixels.
    sways = [frame.image[20:70, 20:100, 0].mean() for frame in frames]
    assert 0.2 < np.ptp(sways) < 7.0
    assert list(show_photograph(tmp_path / "none.png", 0.5)) == []


def test_only_time_without_a_reason_to_be_blind_is_watched():
    blind = [(0, "warming up"), (10**9, ""), (2 * 10**9, ""), (3 * 10**9, "blurred")]
    assert watched_s(blind) == 1.0


def test_a_face_that_turns_does_not_sit_still():
    assert sits_still(faces(60))
    assert not sits_still(faces(60, turn=0.3))


def test_the_moment_at_which_a_face_moves_least_is_found_by_its_own_movement():
    clip = faces(90)
    for i, (_, face) in enumerate(clip):
        points = face.mesh.points.copy()
        points += 20.0 * i  # the head's own way counts for nothing
        points[61] += 30.0 * np.sin(i) * (i < 45)
        clip[i] = clip[i][0], replace(face, mesh=replace(face.mesh, points=points))
    middle_s, moved = least_moved(clip, 0.6, 2.3)
    assert middle_s - 0.6 >= 1.4
    assert moved < 1e-3
    assert least_moved(clip, 0.6, 1.0)[1] > 10 * moved


def test_what_blinds_a_face_mostly_is_told_with_its_numbers():
    blind = [(0, ""), (1, "12 frames a second, 25 are needed"), (2, "13 frames a second, 25 ..")]
    blind.append((3, "12 frames a second, 25 are needed"))
    assert _most(blind) == "12 frames a second, 25 are needed"
    assert _most([]) == ""


def test_a_report_is_summed_up_as_readmes_table_reads_it():
    figures = {"events": 4, "precision": 1.0, "recall": 0.5, "f1": 2 / 3}
    strengths = {"0.1 to 0.2": [1, 2], "0.2 to 0.3": [0, 0]}
    group = {"wanted": figures, "found_of_by_strength": strengths,
             "shorter_than_0.12_s": [0, 3], "weaker_than_0.1": [1, 4]}  # fmt: skip
    alarms = {"events": 1, "eligible_face_minutes": 0.9, "gated_share": 0.5,
              "per_minute_at_most_95": 5.3}  # fmt: skip
    told = summed_up({"studio": {"test 30 fps": group}, "alarms": alarms})
    (judged,) = told["judged"].values()
    assert (judged["n"], judged["recall"]) == (4, 0.5)
    by_strength, by_lack = told["recall_by"].values()
    assert by_strength == {"0.1 to 0.2": {"n": 2, "recall": 0.5}}
    assert by_lack["under 0.12 s"] == {"n": 3, "recall": 0.0}
    assert told["false_alarms"]["real faces"]["at_most_per_min"] == 5.3
    still = summed_up({"still": {**alarms, "events": 0}})["false_alarms"]
    assert [row["events"] for row in still.values()] == [0]


def test_no_event_in_a_time_bounds_the_rate_by_three():
    assert _poisson_bound(0) == pytest.approx(2.996, abs=0.01)
    assert _poisson_bound(2) == pytest.approx(6.296, abs=0.01)
