import dataclasses
import math
import re

import pytest

from affect_engines.cards import TRUSTS, list_cards, load_card, parse_card
from affect_kernels.errors import UsageError
from realtime_affect.types import AU_OCCURRENCES

FETCHED = ("blazeface_full", "blazeface_short", "face_mesh", "iris")


def test_the_face_networks_and_our_own_have_cards():
    assert list_cards() == ("action_units", *FETCHED)


@pytest.mark.parametrize("name", list_cards())
def test_a_card_says_what_the_network_is(name):
    card = load_card(name)
    assert re.fullmatch(r"[0-9a-f]{64}", card.sha256)
    assert card.licence == "Apache-2.0"
    assert "/" not in card.file
    assert card.limits
    assert card.trained_on
    assert card.reference


@pytest.mark.parametrize("name", FETCHED)
def test_a_network_of_others_says_where_it_comes_from(name):
    card = load_card(name)
    assert not card.shipped
    assert card.package == "mediapipe==0.10.21"
    assert card.member.endswith("/" + card.file)
    assert "identification" in card.limits


def test_a_network_of_ours_says_how_it_was_made_and_what_it_scores():
    card = load_card("action_units")
    assert card.shipped
    assert card.reproduce.startswith("make ")
    assert re.fullmatch(r"[0-9a-f]{64}", card.data_sha256)
    assert "never what a person feels" in card.limits
    assert "London" in card.trained_on
    assert card.evaluation["studio_test"]
    assert card.evaluation["london_061_090"]


def test_an_action_unit_card_gives_trust_threshold_and_figures():
    units = load_card("action_units").units
    assert set(units) == set(AU_OCCURRENCES)
    for name, unit in units.items():
        assert unit.trust in TRUSTS
        if unit.trust == "none":
            assert name == "AU23"
            assert math.isnan(unit.present_at)
            continue
        assert 0 < unit.present_at < 5
        assert {"icc", "mae", "f1", "icc_uncalibrated"} <= set(unit.figures)
    with pytest.raises(TypeError):
        units["AU12"] = units["AU01"]


def test_a_card_with_a_word_it_should_not_have_is_refused():
    text = 'file = "a"\nsha256 = "b"\nlicence = "c"\nreference = "d"\ntrained_on = "e"\n'
    with pytest.raises(TypeError, match="limit"):
        parse_card("new", text + 'limit = "f"\n')


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
