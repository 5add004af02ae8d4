import dataclasses

import numpy as np
import pytest

from realtime_affect.affect.history import (
    ClipHistory,
    ClipSampler,
    ClipTiming,
    EyeHistory,
    FaceHistory,
    shows_nothing,
)
from realtime_affect.face.track import TrackConfig
from realtime_affect.face.vision import Vision
from realtime_affect.types import Scene
from tests.realtime_affect.world import Person, World, frame_at


def history_over(frames, people):
    world = World(people)
    vision = Vision(track=TrackConfig(detect_every_ms=500), detector=world, mesher=world)
    history = EyeHistory()
    return [history.append(vision.analyse(frame)) for frame in frames]


def test_every_track_has_its_own_window_of_source_times():
    windows = history_over(
        [frame_at(i) for i in range(60)],
        lambda i: [Person("a", 150, 150)] + ([Person("b", 400, 150)] if i >= 30 else []),
    )
    assert [w.track_id for w in windows[-1]] == [1, 2]
    first, second = windows[-1]
    assert len(first.t_ns) == 60
    assert 10 < len(second.t_ns) < 31
    assert np.all(np.diff(first.t_ns) > 0)
    assert np.all(first.openness > 0.1)


def test_a_window_holds_one_minute_and_earlier_windows_stay_as_they_were():
    frames = [frame_at(i, t_s=i / 2) for i in range(400)]
    windows = history_over(frames, lambda _: [Person("a", 150, 150)])
    last = windows[-1][0]
    assert (last.t_ns[-1] - last.t_ns[0]) / 1e9 == 60
    early = windows[50][0]
    assert len(early.t_ns) == 51
    assert early.t_ns[0] == frames[0].t_ns
    assert not early.t_ns.flags.writeable


TIMING = ClipTiming(slot_hz=10.0, slots=4, max_gap_ms=400.0)


def clips_over(times_s, people=lambda _: [Person("a", 150, 150)]):
    """Return the clips after each frame; every frame's crop holds its number."""
    world = World(people)
    vision = Vision(track=TrackConfig(detect_every_ms=500), detector=world, mesher=world)
    history = ClipHistory(TIMING)
    return [history.append(vision.analyse(frame_at(i, t_s=t))) for i, t in enumerate(times_s)]


def test_a_clip_warms_up_from_the_first_frame_on():
    clips = clips_over(np.arange(30) / 10)
    seen = [clip[0] for clip in clips if clip]
    assert [len(clip.t_ns) for clip in seen[:5]] == [1, 2, 3, 4, 4]
    assert [clip.warming_up for clip in seen[:5]] == [True, True, True, False, False]
    assert np.diff(seen[-1].t_ns).tolist() == [100_000_000] * 3


@pytest.mark.parametrize("fps", [15, 24, 25, 30, 50, 60, 120])
@pytest.mark.survival(6)
def test_moments_are_evenly_spaced_whatever_the_frame_rate(fps):
    clips = [clip[0] for clip in clips_over(np.arange(4 * fps) / fps) if clip]
    moments = sorted({int(t) for clip in clips for t in clip.t_ns})
    steps = np.diff(moments) / 1e6
    assert np.abs(steps - 100).max() <= 1000 / fps + 1e-6
    # No drift: over four seconds there are ten moments a second.
    assert len(moments) == pytest.approx((moments[-1] - moments[0]) / 1e8 + 1, abs=1)


def test_dropped_frames_do_not_stretch_a_clip():
    times = np.delete(np.arange(120) / 30, np.r_[40:43, 61, 70:72])
    clips = [clip[0] for clip in clips_over(times) if clip]
    assert np.diff(clips[-1].t_ns).max() < 140_000_000
    assert all(np.diff(clip.t_ns).max(initial=0) < 200_000_000 for clip in clips)


@pytest.mark.survival(16)
def test_a_gap_beyond_the_limit_begins_a_new_clip():
    times = np.r_[np.arange(20) / 10, 2.5 + np.arange(10) / 10]
    clips = clips_over(times)
    after = next(clip[0] for clip in clips[20:] if clip)
    assert len(after.t_ns) == 1
    assert after.warming_up


def test_a_clip_between_two_moments_is_the_same_value():
    clips = [clip[0] for clip in clips_over(np.arange(60) / 60) if clip]
    assert len({id(clip) for clip in clips}) < len(clips) / 4
    assert not clips[-1].crops.flags.writeable


def test_every_face_has_its_own_clip():
    clips = clips_over(
        np.arange(40) / 20, lambda i: [Person("a", 150, 150)] + [Person("b", 400, 150)] * (i > 20)
    )
    first, second = next(both for both in clips if len(both) == 2)
    assert (first.track_id, second.track_id) == (1, 2)
    assert not first.warming_up
    assert len(second.t_ns) == 1


def test_a_job_reaches_back_over_the_faces_of_the_last_moments():
    world = World(lambda i: [Person("a", 150, 150)] if i < 30 or i > 60 else [])
    vision = Vision(track=TrackConfig(detect_every_ms=500), detector=world, mesher=world)
    history = FaceHistory()
    windows = [history.append(vision.analyse(frame_at(i))) for i in range(75)]
    (early,) = windows[29]
    span_ns = early.t_ns[-1] - early.t_ns[0]
    assert 0.55e9 < span_ns <= 0.6e9
    assert early.faces[-1] is not early.faces[-2]
    assert all(face.stabilized.image.shape == (128, 128) for face in early.faces)
    assert early.faces[:-1] == windows[28][0].faces[-len(early.faces) + 1 :]  # shared, not copied
    assert windows[45] == ()
    assert len(windows[74][0].t_ns) < len(early.t_ns)  # nothing of before the pause


def test_without_spotting_faces_carry_no_steady_picture():
    world = World(lambda _: [Person("a", 150, 150)])
    vision = Vision(detector=world, mesher=world, stabilized=False)
    for i in range(5):
        scene = vision.analyse(frame_at(i))
    assert scene.tracks[0].face.stabilized is None


def test_a_clip_says_at_which_moments_no_unit_was_above_a_trace():
    def faces(marked):
        units = np.full(17, 0.4, np.float32)
        units[3] = 1.5 if marked else np.nan
        return shows_nothing(units)

    sampler = ClipSampler(TIMING)
    crop = np.zeros((48, 48), np.uint8)
    for i, marked in enumerate([False, True, False]):
        clip = sampler.add(1, i * 100_000_000, crop, faces(marked))
    assert clip.at_rest.tolist() == [True, False, True]


@pytest.mark.parametrize("stills", [False, True])
def test_a_face_of_a_still_is_never_one_at_rest(stills):
    world = World(lambda _: [Person("a", 150, 150)])
    scene = Vision(track=TrackConfig(detect_every_ms=500), detector=world, mesher=world).analyse(
        frame_at(0)
    )
    (face,) = [track.face for track in scene.tracks]
    units = face.action_units
    resting = dataclasses.replace(units, intensity=np.zeros_like(units.intensity))
    (track,) = scene.tracks
    track = dataclasses.replace(track, face=dataclasses.replace(face, action_units=resting))
    (clip,) = ClipHistory(TIMING, stills=stills).append(Scene(scene.frame, (track,)))
    assert clip.at_rest.tolist() == [not stills]
