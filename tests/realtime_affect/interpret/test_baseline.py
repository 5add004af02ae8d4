"""A person's face at rest, kept in a small file that can be read."""

import stat
import tomllib

import numpy as np
import pytest

from realtime_affect.errors import UsageError
from realtime_affect.interpret import baseline as profiles
from realtime_affect.names import AU_INTENSITIES
from tests.realtime_affect.interpret.faces import expression_of, face_with

SHOWN = [expression_of({"neutral": 0.4, "sadness": 0.5})] * 10


def rest_of(name="anna", seconds=2.0, units=None):
    faces = [face_with(units or {"AU04": 1.0, "AU12": 0.2 * (k % 2)}, 0.0) for k in range(20)]
    return profiles.baseline_of(name, faces, SHOWN, seconds)


def test_a_profile_is_read_as_it_was_saved_and_is_its_owner_s_alone(tmp_path):
    saved = rest_of()
    path = profiles.save_profile(saved, tmp_path)
    read = profiles.load_profile("anna", tmp_path)
    for name in ("units", "spread", "sides", "probabilities"):
        np.testing.assert_allclose(getattr(read, name), getattr(saved, name), atol=1e-4)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert profiles.list_profiles(tmp_path) == ["anna"]
    profiles.delete_profile("anna", tmp_path)
    assert profiles.list_profiles(tmp_path) == []


def test_a_profile_is_a_small_file_of_named_numbers(tmp_path):
    text = profiles.save_profile(rest_of(), tmp_path).read_text()
    content = tomllib.loads(text)
    assert len(text) < 2000
    assert set(content) == {"seconds", "calibration", "units", "spread", "sides", "probabilities"}
    assert set(content["units"]) == set(AU_INTENSITIES) - {"AU23"}


def test_units_and_probabilities_are_read_relative_to_it():
    rest = rest_of()
    above = rest.relative_units(face_with({"AU04": 3.0}, 0.0).action_units.intensity, 0.0)
    assert above[AU_INTENSITIES.index("AU04")] == pytest.approx(2.0, abs=1e-5)
    p = rest.relative_probabilities(SHOWN[0].probabilities)
    assert p.sum() == pytest.approx(1.0)
    assert p[2] > SHOWN[0].probabilities[2]
    assert rest.thresholds(np.ones(17))[AU_INTENSITIES.index("AU12")] == 1.0
    restless = rest_of(units=None)
    assert np.isnan(restless.thresholds(np.full(17, np.nan))[AU_INTENSITIES.index("AU23")])


@pytest.mark.parametrize("name", ["", "../anna", "a/b", ".", "x" * 65, "anna.", "a\nb"])
def test_a_name_that_is_no_file_s_is_refused(name):
    with pytest.raises(UsageError, match="name of a profile"):
        rest_of(name)


def test_too_short_a_rest_is_refused():
    with pytest.raises(UsageError, match=r"0\.5 s of one"):
        rest_of(seconds=0.5)


def test_a_face_that_moves_is_refused():
    faces = [face_with({"AU26": 5.0 * (k % 2)}) for k in range(20)]
    with pytest.raises(UsageError, match="movement of AU26"):
        profiles.baseline_of("anna", faces, SHOWN, 3.0)


def test_a_damaged_profile_is_refused(tmp_path):
    (tmp_path / "anna.toml").write_text("seconds = 'long'")
    with pytest.raises(UsageError, match="Record it anew"):
        profiles.load_profile("anna", tmp_path)
