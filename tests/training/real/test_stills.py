"""Still images, as the product sees each on its own; of people who do not exist."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from realtime_affect.capture import open_source
from realtime_affect.face.detect import FaceDetector
from realtime_affect.names import AU_INTENSITIES, EXPRESSIONS
from training.persons import split_of
from training.real import stills

PERSONS = ("00000000", "0000000a", "00000001", "00000005")  # test twice, validation, train


@pytest.fixture(scope="module")
def pack(models, tmp_path_factory):
    """A pack of the demo's faces, as ``lfw_train.npz`` is built."""
    source = open_source("demo", live=False)
    with FaceDetector() as detector:
        image = source.read(10.0).image
        found = detector.detect(image, thorough=True)
    source.close()
    packed, offsets = [], [0]
    for i in range(len(PERSONS)):
        x0, y0, x1, y1 = found.xyxy[i % len(found)].round().astype(int).tolist()
        grow = (x1 - x0) // 4
        face = image[max(0, y0 - grow) : y1 + grow, max(0, x0 - grow) : x1 + grow]
        grey = cv2.resize(cv2.cvtColor(face, cv2.COLOR_BGR2GRAY), (200, 200))
        packed.append(cv2.imencode(".webp", grey)[1].ravel())
        offsets.append(offsets[-1] + len(packed[-1]))
    path = tmp_path_factory.mktemp("pack") / "lfw_train.npz"
    np.savez(
        path, webp=np.concatenate(packed), offsets=np.array(offsets), label=np.array([0, 1, 0, 0]),
        label_names=np.array(["happiness", "neutral"]), person=np.array(PERSONS),
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def seen(pack, tmp_path_factory):
    return stills.read_lfw(pack, tmp_path_factory.mktemp("cache"), "test")


def test_only_the_persons_of_the_split_are_looked_at(seen):
    assert seen.person.tolist() == [p for p in PERSONS if split_of(p) == "test"]
    assert [EXPRESSIONS[k] for k in seen.truth] == ["happiness", "neutral"]
    assert seen.index.tolist() == [0, 1]
    assert seen.sights.found.all()


def test_what_was_seen_is_kept_and_looked_at_again_where_the_eyes_have_changed(
    pack, tmp_path, monkeypatch
):
    looks = []
    see = stills.see

    def counting(images, *, fills):
        images = list(images)
        looks.append(len(images))
        return see(images, fills=fills)

    monkeypatch.setattr(stills, "see", counting)
    first = stills.read_lfw(pack, tmp_path, "test")
    again = stills.read_lfw(pack, tmp_path, "test")
    assert np.array_equal(first.sights.slots, again.sights.slots)
    assert looks == [2, 2, 2]  # all of them, and twice the few that are checked
    path = next(tmp_path.glob("*.npz"))
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    arrays["points"] += 1.0
    np.savez(path, **arrays)
    mended = stills.read_lfw(pack, tmp_path, "test")
    assert np.allclose(mended.sights.points, first.sights.points, atol=1e-3)


def test_networks_are_asked_about_each_still_alone(seen):
    shown = stills.read_expressions(seen.sights)
    assert shown.shape == (2, len(EXPRESSIONS))
    assert np.allclose(shown.sum(axis=1), 1, atol=1e-4)
    alone = stills.read_expressions(seen.sights.take(np.array([1])))
    assert np.allclose(shown[1], alone[0], atol=1e-4)


def test_against_its_own_picture_as_rest_a_face_shows_next_to_nothing(seen):
    own, _ = stills.read_units(seen.sights, seen.sights)
    columns = [AU_INTENSITIES.index(name) for name in ("AU01", "AU04", "AU12")]
    assert (own[:, columns] < 1).all()
    population, occurrence = stills.read_units(seen.sights)
    assert population.shape == (2, 17)
    assert occurrence.shape == (2, 18)
