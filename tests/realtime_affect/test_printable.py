import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_affect.printable import printable

ACTS = ("Cc", "Cs", "Zl", "Zp")  # what controls, cannot be encoded, or ends a line


@given(st.text(st.characters(categories=["Cc", "Cs", "Zl", "Zp", "Cf", "L", "N", "S"])))
def test_nothing_that_acts_on_a_terminal_is_left(text):
    shown = printable(text)
    assert not [c for c in shown if unicodedata.category(c) in ACTS]
    assert not [c for c in shown if unicodedata.bidirectional(c) in ("LRO", "RLO", "LRE", "RLE")]
    shown.encode()
    assert len(shown.splitlines()) <= 1
    assert printable(shown) == shown


@pytest.mark.parametrize(("text", "shown"), [
    ("clip.mp4", "clip.mp4"),
    ("\x1b]0;owned\x07.mp4", r"\x1b]0;owned\x07.mp4"),
    ("\x9b2J.png", r"\x9b2J.png"),
    ("a\nerror: b\r", r"a\nerror: b\r"),
    ("mp4.\u202ecod", r"mp4.\u202ecod"),
    ("\udcff.mp4", r"\udcff.mp4"),
    ("Ünï 面 क्‍ष 👩‍🔬.mp4", "Ünï 面 क्‍ष 👩‍🔬.mp4"),
])  # fmt: skip
def test_examples(text, shown):
    assert printable(text) == shown


def test_a_layout_of_our_own_keeps_its_lines():
    assert printable("a\n\tb\x1b[2J", lines=True) == "a\n\tb\\x1b[2J"
