"""Meanings in words, in five languages."""

import gettext
import json
import re

import pytest

from realtime_affect.interpret import catalogues
from realtime_affect.interpret.rationale import explain
from realtime_affect.interpret.words import (
    DOMAIN,
    LANGUAGES,
    LOCALES,
    as_json,
    full_text,
    short_line,
)
from tests.realtime_affect.interpret.cases import CASES, TABLE, evidence

SMIRK = next(case for case in CASES if case["name"] == "a smirk on the right")


def meaning_of(case, **more):
    return explain(evidence(case["units"], case["p"], case.get("sides"), **more), TABLE)


def test_the_short_line_says_units_with_side_and_letter_and_whether_they_agree():
    assert short_line(meaning_of(SMIRK)) == (
        "AU14? B right side only, AU12 B right side only: agrees"
    )
    rest = meaning_of({"units": {}, "p": {"anger": 0.8}})
    assert short_line(rest) == "no movement: disagrees"


def test_the_full_text_has_three_parts_and_says_what_it_is_not():
    text = full_text(meaning_of(SMIRK))
    parts = ("Key observations", "Interpretation", "Conclusion", "not a medical device")
    assert [text.index(part) for part in parts] == sorted(text.index(part) for part in parts)
    assert "AU14 dimpler: B (slight, 2.4 of 5); right side only; low trust" in text


def test_onset_and_duration_are_told_from_the_second_that_is_zero():
    face = meaning_of(
        {"units": {"AU12": 3.0}, "p": {"happiness": 0.9}}, onsets_ns=[10_500_000_000] * 17
    )
    assert face.observations[0].onset_ns is None  # later than the face itself
    late = explain(
        evidence({"AU12": 3.0}, {"happiness": 0.9}, onsets_ns=[-1] * 8 + [0] + [-1] * 8), TABLE
    )
    assert "since -1.00 s, for 0.00 s" in full_text(late, origin_ns=1_000_000_000)


def test_json_is_json_and_holds_the_text():
    for case in CASES:
        told = json.loads(json.dumps(as_json(meaning_of(case)), allow_nan=False))
        assert told["verdict"] == case["verdict"]
        assert told["text"].startswith("Key observations")
        assert [o["unit"] for o in told["observations"]] == [
            o.split()[0] for o in case["observations"]
        ]


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_every_message_is_translated_and_keeps_what_is_put_in(language):
    wanted = {message.id for message in catalogues.messages() if message.id}
    translated = gettext.translation(DOMAIN, LOCALES, [language])
    merged = {m.id: m.string for m in catalogues.catalogue(language) if m.id}
    assert set(merged) == wanted, "python -m realtime_affect.interpret.catalogues"
    for message in wanted:
        told = translated.gettext(message)
        assert told == merged[message], "python -m realtime_affect.interpret.catalogues"
        assert told
        assert set(re.findall(r"{\w+}", told)) == set(re.findall(r"{\w+}", message))
    texts = [full_text(meaning_of(case), language) for case in CASES]
    assert not any("{" in text for text in texts)
    assert not any("present" in text.replace("presentes", "") for text in texts)
