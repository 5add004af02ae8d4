import pytest

from realtime_affect.bench.scenario import DEFAULT, Scenario, read_scenario
from realtime_affect.errors import UsageError


def test_a_file_says_what_is_run(tmp_path):
    path = tmp_path / "crowd.toml"
    path.write_text('faces = 4\nsize_px = [854, 480]\nset = {"affect.gaze" = false}\n')
    assert read_scenario(path) == Scenario(faces=4, size_px=(854, 480), set={"affect.gaze": False})


@pytest.mark.parametrize("text", ["faces = 0", "face = 1", 'mode = "fast"', "seconds = ["])
def test_a_wrong_one_is_refused_with_what_was_expected(tmp_path, text):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(UsageError):
        read_scenario(path)


def test_the_default_ones_tell_live_work_from_what_is_saturated():
    assert {scenario.mode for scenario in DEFAULT.values()} == {
        "live", "single-stream", "saturated",
    }  # fmt: skip
