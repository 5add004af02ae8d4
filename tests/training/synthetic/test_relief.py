from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from training.synthetic.demo import LIGHT, ROLES
from training.synthetic.motion import UNITS
from training.synthetic.people import make_person
from training.synthetic.relief import Fold, Relief, hollow
from training.synthetic.render import Placement, lights_on_head
from training.synthetic.skin import HEIGHT, WIDTH

AHEAD = Placement(0.0, 0.0, 1.0, (0.0, 0.0, 0.0))
LIGHTS = lights_on_head(LIGHT, AHEAD)
REST = np.zeros((len(UNITS), 2), np.float32)
MIDDLE = WIDTH // 2


def aged(head, age):
    traits = ROLES[0].traits
    traits = replace(traits, skin=replace(traits.skin, age=age))
    return make_person(head, 3, traits, relief=True).wrinkles


@pytest.fixture(scope="module")
def old(head):
    return aged(head, 0.9)


@pytest.fixture(scope="module")
def young(head):
    return aged(head, 0.03)


def acting(*names, sides=(1.0, 1.0), level=1.0):
    units = REST.copy()
    for name in names:
        units[UNITS.index(name)] = np.array(sides) * level
    return units


def folded(relief, units):
    """What units change of the skin's light."""
    return relief.shade(units, LIGHTS) - relief.shade(REST, LIGHTS)


def test_the_same_person_folds_the_same(head, old):
    units = acting("AU06", "AU12")
    assert np.array_equal(aged(head, 0.9).shade(units, LIGHTS), old.shade(units, LIGHTS))


@pytest.mark.parametrize(
    "unit", ["AU01", "AU04", "AU06", "AU07", "AU09", "AU10", "AU12", "AU14", "AU45"]
)
def test_each_side_of_the_skin_follows_its_own_side_of_a_unit(old, unit):
    # The person's right lies at the texture's left.
    for side, own in ((0, slice(0, MIDDLE)), (1, slice(MIDDLE, None))):
        change = np.abs(folded(old, acting(unit, sides=np.eye(2)[side])))
        assert change[:, own].sum() > 0.75 * change.sum() > 0


@pytest.mark.parametrize(
    ("unit", "top", "bottom"),
    [("AU02", 20, 90), ("AU04", 60, 130), ("AU06", 105, 215), ("AU17", 225, 290)],
)
def test_units_fold_the_skin_where_facs_says(old, unit, top, bottom):
    change = np.abs(folded(old, acting(unit)))
    assert change[top:bottom].sum() > 0.85 * change.sum()


def test_creases_are_deep_in_old_faces_and_hardly_there_in_young_ones(old, young):
    at_rest = [np.abs(relief.shade(REST, LIGHTS)[20:80]).mean() for relief in (old, young)]
    assert at_rest[0] > 10 * at_rest[1]
    raised = acting("AU01", "AU02")
    brows_up = [np.abs(folded(relief, raised)[20:80]).mean() for relief in (old, young)]
    assert brows_up[0] > 4 * brows_up[1]


def test_flesh_bulges_in_young_faces_too(old, young):
    smile = [np.abs(folded(relief, acting("AU12"))).mean() for relief in (old, young)]
    assert smile[1] > 0.4 * smile[0]


def test_folds_deepen_and_fade_without_a_jump(old):
    steps = [old.shade(acting(*UNITS, level=level), LIGHTS) for level in np.linspace(0, 1, 41)]
    assert max(np.abs(b - a).max() for a, b in pairwise(steps)) < 0.2


def test_a_furrow_is_bright_where_it_faces_the_light():
    y, x = np.mgrid[:60, :40].astype(np.float32)
    del y
    furrow = -4 * np.exp(-(((x - 20) / 4) ** 2))
    drive = acting("AU04")
    fold = Fold(100, 100, furrow, hollow(furrow) * 0, drive, 0.0, sharp=False)
    ahead = np.tile(np.array([0, 0, 1], np.float32), (HEIGHT, WIDTH, 1))
    relief = Relief([fold], ahead)
    for x in (1.0, -1.0):
        key = np.array([x, 0, 1], np.float32) / np.sqrt(2)
        light = replace(LIGHT, key=key, fill=np.array([0, 0, 1], np.float32))
        shade = relief.shade(acting("AU04", sides=(0.5, 0.5)), lights_on_head(light, AHEAD))
        left_wall, right_wall = shade[120, 117], shade[120, 123]
        # The left wall looks to the right.
        assert (left_wall < 0 < right_wall) if x > 0 else (right_wall < 0 < left_wall)


def test_light_on_a_turned_head_comes_from_its_other_side():
    light = replace(LIGHT, key=np.array([0, 0, 1], np.float32))
    turned = replace(AHEAD, angles_rad=(0.0, 0.5, 0.0))  # to the picture's left
    assert lights_on_head(light, AHEAD)[0, 0] == pytest.approx(0, abs=1e-6)
    assert lights_on_head(light, turned)[0, 0] == pytest.approx(np.sin(0.5), abs=1e-5)


def test_lids_take_the_light_from_the_eye_of_their_own_side(old):
    rest = old.lid_shade(REST)
    winking = old.lid_shade(acting("AU45", sides=(1.0, 0.0)))
    assert winking[0] > rest[0] + 0.3
    assert winking[1] == rest[1]
    assert (old.lid_shade(acting("AU05")) < rest).all()


def test_a_lid_fold_opens_as_the_eye_closes(old):
    k = int(np.argmin(old._drive[:, 2 * UNITS.index("AU45")]))
    assert old.depths(acting("AU45"))[k] < 0.5 * old.depths(REST)[k]
