from __future__ import annotations

import pytest

from realtime_affect import errors
from realtime_affect.errors import (
    AffectError,
    DependencyError,
    DeviceError,
    InputError,
    InputMissingError,
    ModelError,
    OutputError,
    UsageError,
)

CLASSES = [getattr(errors, name) for name in errors.__all__]
PARTS = {"thing": "clip.mp4", "got": "0 frames", "expected": "a video", "hint": "Record it again."}
each_class = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)


@each_class
def test_a_message_says_thing_got_expected_and_hint(kind):
    error = kind(PARTS["thing"], got=PARTS["got"], expected=PARTS["expected"], hint=PARTS["hint"])
    assert str(error) == "clip.mp4: got 0 frames, expected a video. Record it again."
    assert {name: getattr(error, name) for name in PARTS} == PARTS


@each_class
def test_no_part_of_a_message_may_be_left_out(kind):
    for missing in PARTS:
        rest = {name: text for name, text in PARTS.items() if name != missing}
        with pytest.raises(TypeError, match=missing):
            kind(**rest)


@each_class
def test_every_error_is_caught_as_one_of_ours(kind):
    with pytest.raises(AffectError, match=r"clip\.mp4"):
        raise kind(**PARTS)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (UsageError, ValueError),
        (InputError, OSError),
        (InputMissingError, FileNotFoundError),
        (InputMissingError, InputError),
        (OutputError, OSError),
        (ModelError, RuntimeError),
        (DependencyError, ImportError),
    ],
)
def test_a_caller_may_catch_the_builtin_instead(kind, builtin):
    with pytest.raises(builtin, match=r"clip\.mp4"):
        raise kind(**PARTS)


def test_an_input_error_is_not_taken_for_an_output_error():
    assert not issubclass(InputError, OutputError)
    assert not issubclass(OutputError, InputError)


@pytest.mark.parametrize("kind", [InputError, InputMissingError, OutputError])
def test_the_builtin_parent_adds_nothing_to_the_message(kind):
    error = kind(**PARTS)
    error.errno, error.strerror, error.filename = 28, "No space left on device", "out.csv"
    assert str(error) == "clip.mp4: got 0 frames, expected a video. Record it again."


def test_exit_codes_are_those_the_documentation_names():
    codes = {kind: kind.exit_code for kind in CLASSES}
    assert codes == {
        AffectError: 1,
        UsageError: 2,
        InputError: 3,
        InputMissingError: 3,
        OutputError: 4,
        ModelError: 5,
        DependencyError: 6,
        DeviceError: 7,
    }
    text = " ".join((errors.__doc__ or "").split())
    for code, words in {
        1: "the run failed",
        2: "usage or configuration",
        3: "input",
        4: "output",
        5: "models",
        6: "a library is missing",
        7: "a GPU is missing or fails",
    }.items():
        assert f"{code} {words}" in text


def test_exit_codes_tell_the_families_apart():
    families = [kind for kind in CLASSES if kind is not InputMissingError]
    assert len({kind.exit_code for kind in families}) == len(families)
