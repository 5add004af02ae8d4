"""Pairs of the studio: what a camera catches, what moves, and the flow that comes of it."""

import numpy as np
import pytest

from realtime_affect.names import MICRO_CLASSES
from training.htnet import flows as measured
from training.htnet.pairs import (
    CAMERAS_FPS,
    LEAST_SHOWN,
    NON_EVENTS,
    add_non_event,
    catch,
    draw_levels,
    draw_rest,
    draw_take,
    film_person,
)
from training.synthetic.motion import UNITS


def test_a_camera_takes_whole_frames_and_most_of_the_movement():
    rng = np.random.default_rng(0)
    caught = [catch(rng, split) for split in ("train", "validation", "test") for _ in range(60)]
    assert {one.fps for one in caught} == set(CAMERAS_FPS)
    for one in caught:
        assert one.seconds * one.fps == pytest.approx(round(one.seconds * one.fps))
        assert one.seconds > 0
        assert LEAST_SHOWN <= one.at - one.before <= 1
    assert max(one.before for one in caught) > 0.05  # an onset is not always taken in time


def test_each_class_moves_what_it_is_known_by():
    rng = np.random.default_rng(1)
    for _ in range(80):
        assert "AU12" in draw_levels("positive", rng)
        assert set(draw_levels("surprise", rng)) <= {"AU01", "AU02", "AU05", "AU26"}
        negative = set(draw_levels("negative", rng))
        assert negative & {
            "AU04", "AU07", "AU09", "AU10", "AU14", "AU15", "AU17", "AU20", "AU24",
        }  # fmt: skip


def test_a_take_is_one_onset_and_an_apex_of_each_class():
    rng = np.random.default_rng(2)
    for _ in range(20):
        onset, apexes, truths = draw_take("train", rng)
        assert [truth["label"] for truth in truths] == list(range(len(MICRO_CLASSES)))
        for apex, truth in zip(apexes[:3], truths[:3], strict=True):
            moved = (apex.units - onset.units).max()
            assert truth["kind"] == -1
            assert 0 < truth["strength"] < 0.6
            assert moved > 0
        assert truths[3]["strength"] == 0
        assert truths[3]["kind"] >= 0


@pytest.mark.parametrize("kind", NON_EVENTS)
def test_a_non_event_moves_what_it_says(kind):
    rest = draw_rest(np.random.default_rng(3))
    moment = add_non_event(rest, kind, np.random.default_rng(4))
    changed = {
        "units": not np.allclose(moment.units, rest.units),
        "extras": not np.allclose(moment.extras, rest.extras),
        "look": not np.allclose(moment.look, rest.look),
        "angles": not np.allclose(moment.angles_rad, rest.angles_rad),
    }
    wanted = {
        "rest": set(), "blink": {"units"}, "gaze": {"look"}, "turn": {"angles"},
        "speech": {"units", "extras"}, "other": {"extras"},
    }[kind]  # fmt: skip
    assert {name for name, value in changed.items() if value} == wanted
    if kind == "blink":
        assert np.flatnonzero((moment.units != rest.units).any(1)).tolist() == [UNITS.index("AU45")]


@pytest.fixture(scope="module")
def filmed(head):
    from realtime_affect.face.mesh import MeshEstimator

    with MeshEstimator() as mesher:
        return film_person(head, "train", 3, mesher, takes=1)


def test_a_filmed_person_becomes_flow_maps(filmed, tmp_path):
    n = len(MICRO_CLASSES)
    assert len(filmed["offsets"]) == n + 2
    assert len(filmed["points"]) == n + 1
    found = measured.measure(filmed)
    assert found["maps"].shape == (n, 56, 56, 3)
    assert np.isfinite(found["maps"]).all()
    assert 0 < np.abs(found["maps"][..., :2]).max() < 0.5  # inter-ocular distances
    np.savez(tmp_path / "train_00003.npz", **found)
    read = measured.read_flows(tmp_path, "train")
    assert read.of(read.label == 1).maps.shape == (1, 56, 56, 3)


def test_pairs_without_a_face_are_left_out(filmed):
    unseen = filmed["presence"].copy()
    unseen[2] = 0.1  # the apex of the second class
    found = measured.measure(filmed | {"presence": unseen})
    assert found["label"].tolist() == [0, 2, 3]


def test_no_flows_are_an_error_that_says_how_to_make_them(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"training\.htnet\.flows"):
        measured.read_flows(tmp_path, "train")


def test_stretched_channels_span_their_range_and_forget_how_far_anything_moved():
    flow = np.random.default_rng(5).normal(0, 0.01, (2, 28, 28, 2)).astype(np.float32)
    images = measured.stretch(flow)
    assert images.min(axis=(1, 2)).max() == 0
    assert images.max(axis=(1, 2)).min() == 255
    assert np.abs(measured.stretch(3 * flow).astype(int) - images).max() <= 1


def test_a_mirrored_movement_is_on_the_other_side_and_goes_the_other_way():
    flow = np.zeros((1, 4, 4, 2), np.float32)
    flow[0, 1, 0] = 3, 2
    assert measured.flip(flow)[0, 1, 3].tolist() == [-3, 2]
    assert np.array_equal(measured.flip(measured.flip(flow)), flow)


def test_faces_are_cut_differently_every_time_and_keep_their_movement():
    y, x = np.mgrid[:56, :56] / 55 - 0.5
    flow = np.stack([x, 0 * y], -1)[None].astype(np.float32)  # everything spreads sideways
    rng = np.random.default_rng(6)
    cuts = np.concatenate([measured.cut(flow, measured.Framing(), rng) for _ in range(8)])
    assert cuts.shape == (8, 28, 28, 2)
    assert len({one.tobytes() for one in cuts}) == 8
    spread = cuts[:, :, -4:, 0].mean((1, 2)) - cuts[:, :, :4, 0].mean((1, 2))
    assert spread.min() > 0.2
