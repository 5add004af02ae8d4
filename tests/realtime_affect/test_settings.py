from typing import Annotated, ClassVar, Literal

import pytest
from pydantic import Field, NonNegativeFloat, PositiveInt

from realtime_affect.errors import UsageError
from realtime_affect.settings import Section, Settings, Texts


class Sample(Section):
    """Every kind of value that a section may hold."""

    section: ClassVar[str] = "sample"
    hint: ClassVar[str] = "Counts are whole."

    count: PositiveInt = 1
    size: PositiveInt | None = None
    share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    part: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    wait_s: NonNegativeFloat = 0.0
    level: Annotated[int, Field(ge=0, le=7)] = 0
    names: Texts = ()
    kind: Literal["a", "b"] = "a"
    word: str | None = None
    on: bool = False


class Both(Settings):
    sample: Sample = Sample()
    other: Sample = Sample(count=2)


def test_a_section_cannot_be_changed_and_equals_one_of_the_same_values():
    sample = Sample()
    with pytest.raises(ValueError, match="frozen"):
        sample.count = 2
    assert sample == Sample(count=1)
    assert sample.replace(count=2) == Sample(count=2)
    assert sample.count == 1


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("names", ["a", "b"], ("a", "b")),
        ("names", (), ()),
        ("share", 0.25, 0.25),
        ("wait_s", 3, 3.0),
        ("size", None, None),
        ("size", 640, 640),
        ("kind", "b", "b"),
        ("word", "text", "text"),
    ],
)
def test_values_are_taken_as_the_field_declares(key, value, expected):
    taken = getattr(Sample(**{key: value}), key)
    assert taken == expected
    assert type(taken) is type(expected)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("count", "1", r"got '1' \(str\), expected a whole number. In TOML: \[sample\]"),
        ("count", 1.0, r"got 1.0 \(float\), expected a whole number"),
        ("count", True, r"got True \(bool\), expected a whole number"),
        ("count", None, r"got None \(NoneType\), expected a whole number"),
        ("count", 0, r"got 0, expected a number above 0. Counts are whole."),
        ("size", "x", r"got 'x' \(str\), expected a whole number or none"),
        ("size", -1, r"got -1, expected a number above 0"),
        ("share", 1.0, r"got 1.0, expected a number between 0.0 and 1.0"),
        ("share", float("nan"), r"got nan \(float\), expected a finite number"),
        ("part", 1.5, r"got 1.5, expected a number above 0.0, 1.0 at most"),
        ("wait_s", float("inf"), r"got inf \(float\), expected a finite number"),
        ("wait_s", -0.5, r"got -0.5, expected 0 or more"),
        ("wait_s", True, r"got True \(bool\), expected a finite number"),
        ("level", 9, r"got 9, expected 0 to 7"),
        ("names", "ab", r"got 'ab' \(str\), expected a list, each text"),
        ("names", ["a", 1], r"got \['a', 1\] \(list\), expected a list, each text"),
        ("kind", "c", r"got 'c' \(str\), expected one of 'a', 'b'"),
        ("on", 1, r"got 1 \(int\), expected true or false"),
        ("word", 1, r"got 1 \(int\), expected text or none"),
    ],
)
def test_a_wrong_value_is_refused_with_thing_got_expected_and_hint(key, value, message):
    with pytest.raises(UsageError, match=f"config key 'sample.{key}': {message}") as caught:
        Sample(**{key: value})
    assert caught.value.hint
    with pytest.raises(UsageError, match=message):
        Both().with_values({f"sample.{key}": value})


def test_an_unknown_key_or_section_names_the_nearest():
    with pytest.raises(UsageError, match=r"'sample.cuont'.*Did you mean sample.count\?"):
        Sample(cuont=2)
    with pytest.raises(UsageError, match=r"'sampel'.*Did you mean sample\?"):
        Both().with_values({"sampel.count": 2})


def test_values_change_only_what_they_name():
    changed = Both().with_values({"sample.count": 3, "sample.names": ["x"]})
    assert changed.sample == Sample(count=3, names=("x",))
    assert changed.other == Both().other
    assert changed.as_dict()["sample"]["names"] == ["x"]
