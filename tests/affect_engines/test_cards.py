import dataclasses
import re

import pytest

from affect_engines.cards import list_cards, load_card
from affect_kernels.errors import UsageError


def test_the_four_face_networks_have_cards():
    assert list_cards() == ("blazeface_full", "blazeface_short", "face_mesh", "iris")


@pytest.mark.parametrize("name", list_cards())
def test_a_card_says_origin_licence_and_limits(name):
    card = load_card(name)
    assert re.fullmatch(r"[0-9a-f]{64}", card.sha256)
    assert card.licence == "Apache-2.0"
    assert card.package == "mediapipe==0.10.21"
    assert card.member.endswith("/" + card.file)
    assert "/" not in card.file
    assert "identification" in card.limits
    assert card.trained_on
    assert card.reference


@pytest.mark.parametrize("name", list_cards())
def test_a_card_cannot_be_changed(name):
    card = load_card(name)
    with pytest.raises(dataclasses.FrozenInstanceError):
        card.sha256 = "0"
    with pytest.raises(TypeError):
        card.decode["min_score"] = 0.1


@pytest.mark.parametrize("name", ["blazeface", "../../../etc/passwd", ""])
def test_an_unknown_card_is_refused_and_the_known_ones_named(name):
    with pytest.raises(UsageError, match="face_mesh"):
        load_card(name)
