"""Whole pictures: what a person, a scene and a motion make together."""

from dataclasses import replace

import numpy as np
import pytest

from training.synthetic.camera import Camera, draw_camera, draw_light
from training.synthetic.motion import UNITS, make_motion, posed
from training.synthetic.people import draw_traits
from training.synthetic.studio import (
    SPLITS,
    TRUTH_UNITS,
    contact_sheet,
    draw_scene,
    film,
    make_subject,
)

PLAIN = Camera(1.0, np.ones(3, np.float32), 2.2, 0.0, 0.0, 0, grey=False)


@pytest.fixture(scope="module")
def subject(head):
    return make_subject(head, "train", 3)


def filmed(subject, seconds=0.4, side=112, seed=7, **scene):
    motion = make_motion(seed, seconds=seconds, fps=30, content="units")
    place = replace(draw_scene(seed, side), occluder=-1, **scene)
    return list(film(subject, motion, place)), motion


def test_the_same_seeds_make_the_same_pictures_and_truth(subject):
    (first, _), (again, _) = filmed(subject), filmed(subject)
    for (picture, truth), (picture2, truth2) in zip(first, again, strict=True):
        assert np.array_equal(picture, picture2)
        assert np.array_equal(truth.units, truth2.units)
        assert np.array_equal(truth.landmarks, truth2.landmarks)


def test_splits_share_no_person(head):
    people = [make_subject(head, split, 0) for split in SPLITS]
    for i, one in enumerate(people):
        for other in people[:i]:
            assert np.abs(one.base - other.base).max() > 0.2


def test_splits_share_no_light():
    def sectors(split):
        found = set()
        for seed in range(200):
            x, _, z = draw_light(np.random.default_rng(seed), split).key
            if z > 0.16:  # behind that, directions are pulled to the front
                found.add(int((np.rad2deg(np.arctan2(x, z)) + 90) // 15))
        return found

    train, validation, test = (sectors(split) for split in SPLITS)
    assert len(train) > 2
    assert train.isdisjoint(validation | test)
    assert validation.isdisjoint(test)


def test_truth_is_what_was_driven_and_the_lips_what_is_seen(subject):
    frames, motion = filmed(subject, seconds=1.0)
    for k, (_, truth) in enumerate(frames):
        assert np.array_equal(truth.units[: len(UNITS)], motion.units[k])
        assert truth.units.shape == (len(TRUTH_UNITS), 2)
        assert np.array_equal(truth.angles_rad, motion.angles_rad[k])
    motion = posed(1, 2)
    motion.units[:], motion.extras[:] = 0, 0
    motion.units[1, UNITS.index("AU26")] = 1.0
    shut, wide = (truth.units[-1, 0] for _, truth in film(subject, motion, draw_scene(1, 112)))
    assert shut == pytest.approx(0, abs=1e-4)
    assert wide > 0.5


def test_landmarks_follow_the_head(subject):
    motion = posed(1, 2)
    motion.units[:], motion.extras[:], motion.angles_rad[:], motion.shift_cm[:] = 0, 0, 0, 0
    motion.shift_cm[1] = 1.0, 2.0, 0.0  # to the right, down
    scene = draw_scene(1, 160)
    marks = [truth.landmarks for _, truth in film(subject, motion, scene)]
    moved = (marks[1] - marks[0]).mean(axis=0) / scene.place.px_per_cm
    assert moved == pytest.approx([1.0, 2.0], abs=0.1)


def test_face_mesh_finds_the_faces(head, models):
    from training.action_units.dataset import Observer, region_from_landmarks

    observer, rng = Observer(), np.random.default_rng(0)
    presence = []
    for number in range(10):
        person = make_subject(head, "train", number)
        motion = posed(number, 6)
        for k in range(6):
            scene = draw_scene([number, k], 176)
            image, truth = next(film(person, _only(motion, k), scene))
            presence.append(observer.observe(image, region_from_landmarks(truth.landmarks, rng))[3])
    assert np.mean(np.array(presence) >= 0.5) >= 0.95  # >= 99 % of the thousands training makes


def _only(motion, k):
    parts = {
        name: getattr(motion, name)[k : k + 1]
        for name in ("t_s", "units", "extras", "angles_rad", "shift_cm", "look", "emotion")
    }
    return replace(motion, **parts)


def test_people_come_in_all_looks():
    traits = [draw_traits(np.random.default_rng(seed)) for seed in range(200)]
    light = [np.mean(t.skin.skin) for t in traits]
    assert min(light) < 0.1
    assert max(light) > 0.55
    assert 20 < sum(t.glasses is not None for t in traits) < 70
    assert 20 < sum(t.skin.beard > 0 for t in traits) < 80
    assert 40 < sum(t.sides_cm > 0 for t in traits) < 120
    assert 3 < sum(t.covering is not None for t in traits) < 30
    assert 5 < sum(t.hair_cm == 0 for t in traits) < 40


def test_cameras_darken_blur_add_noise_and_drop_colour():
    light = np.full((40, 40, 3), 0.2, np.float32)
    light[:, 20:] = [0.8, 0.4, 0.2]
    rng = np.random.default_rng(0)
    plain = PLAIN.take(light, rng)
    assert plain.dtype == np.uint8
    assert plain[5, 35].tolist() == pytest.approx(  # BGR, encoded
        [255 * v ** (1 / 2.2) for v in (0.2, 0.4, 0.8)], abs=1
    )
    assert replace(PLAIN, exposure=0.5).take(light, rng).mean() < plain.mean()
    assert replace(PLAIN, grey=True).take(light, rng).std(axis=2).max() == 0
    edge = [np.abs(np.diff(p[20].astype(int), axis=0)).max() for p in
            (plain, replace(PLAIN, blur_px=2.0).take(light, rng))]  # fmt: skip
    assert edge[1] < 0.5 * edge[0]
    assert replace(PLAIN, noise=0.05).take(light, rng)[:, :15].std() > 5
    assert (replace(PLAIN, jpeg=30).take(light, rng) != plain).any()
    drawn = [draw_camera(np.random.default_rng(seed), 100) for seed in range(100)]
    assert 25 < sum(camera.jpeg == 0 for camera in drawn) < 75


def test_glasses_hair_and_occluders_cover_a_part_of_the_face_only(head, subject):
    def picture(person, occluder=-1):
        scene = replace(draw_scene(2, 160), occluder=occluder, camera=PLAIN)
        motion = posed(1, 1)
        motion.units[:], motion.extras[:], motion.angles_rad[:] = 0, 0, 0
        return next(film(person, motion, scene))

    plain_traits = replace(subject.traits, glasses=None, sides_cm=0.0, covering=None)
    bare = replace(subject, traits=plain_traits)
    plain, truth = picture(bare)
    (left, top), (right, bottom) = (
        bound(truth.landmarks, axis=0).astype(int).tolist() for bound in (np.min, np.max)
    )
    box = slice(top, bottom), slice(left, right)
    drawn = (draw_traits(np.random.default_rng(seed)).glasses for seed in range(99))
    glasses = next(each for each in drawn if each is not None)
    others = [
        picture(replace(bare, traits=replace(plain_traits, glasses=glasses)))[0],
        picture(replace(bare, traits=replace(plain_traits, sides_cm=15.0)))[0],
        picture(bare, occluder=5)[0],
    ]
    for other in others:
        changed = (np.abs(other.astype(int) - plain).max(axis=2) > 8)[box].mean()
        assert 0.01 < changed < 0.6


def test_a_contact_sheet_has_a_cell_for_each_picture(head):
    sheet = contact_sheet(head, "validation", 2, 3, 80)
    assert sheet.shape == (160, 240, 3)
    assert sheet.std() > 10
