import dataclasses
import math
import re

import pytest

from affect_engines import cards
from affect_engines.cards import TRUSTS, card_of_file, list_cards, load_card, parse_card
from affect_engines.errors import ModelError
from affect_engines.store import model_path
from affect_engines.trt.engine import is_real
from affect_kernels.errors import UsageError
from realtime_affect.names import AU_OCCURRENCES, EXPRESSIONS, MICRO_CLASSES

FETCHED = ("blazeface_full", "blazeface_short", "face_mesh", "iris")


def test_the_face_networks_and_our_own_have_cards():
    assert list_cards() == (
        "action_units", "blazeface_full", "blazeface_short", "eye_live", "face_mesh", "htnet",
        "htnet_live", "ifdd", "ifdd_stream", "iris",
    )  # fmt: skip


@pytest.mark.parametrize("name", list_cards())
def test_a_card_says_what_the_network_is(name):
    card = load_card(name)
    if card.has_file:
        assert re.fullmatch(r"[0-9a-f]{64}", card.sha256)
        assert card.licence == "Apache-2.0"
        assert "/" not in card.file
    assert card.limits
    assert card.trained_on
    assert card.reference


@pytest.mark.parametrize("name", list_cards())
def test_a_card_says_which_tensorrt_has_run_the_network_and_where(name):
    ran = load_card(name).ran_by_tensorrt
    if name in FETCHED:
        assert ran is None  # no plan is built of what is not in ONNX
        return
    assert ran is not None
    for version in ran:
        number, gpu = re.fullmatch(r"(\d+\.\d+\.\d+\S*) \((.+)\)", version).groups()
        assert is_real(number)
        assert gpu


def test_all_that_has_run_is_what_the_cards_say_each_once(monkeypatch):
    said = {
        "face_mesh": None, "ifdd": (), "htnet": ("10.3.0 (Orin NX)",),
        "ifdd_stream": ("11.4.0 (H200)", "10.3.0 (Orin NX)"),
    }  # fmt: skip
    card = load_card("ifdd")
    monkeypatch.setattr(cards, "list_cards", lambda: tuple(said))
    monkeypatch.setattr(
        cards, "load_card", lambda name: dataclasses.replace(card, ran_by_tensorrt=said[name])
    )
    assert cards.ran_by_tensorrt() == ("10.3.0 (Orin NX)", "11.4.0 (H200)")


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


def test_the_expression_card_tells_recalls_confusion_and_both_forms():
    card = load_card("ifdd_stream")
    assert {form.precision for form in card.all_forms()} == {"fp32", "int8"}
    assert len({form.sha256 for form in card.all_forms()}) == 2
    other = card.form("fp32" if card.precision == "int8" else "int8")
    assert other.form(card.precision).sha256 == card.sha256
    assert tuple(card.decode["outputs"]) == EXPRESSIONS
    assert set(card.evaluation["ferplus_valid_recall"]) == set(EXPRESSIONS)
    confusion = card.evaluation["ferplus_valid_confusion"]
    for name, recall in card.evaluation["ferplus_valid_recall"].items():
        row = confusion[name]
        assert row[EXPRESSIONS.index(name)] / sum(row) == pytest.approx(recall, abs=1e-3)
    for form in ("fp32", "int8"):
        found = card.evaluation[f"ferplus_valid_{form}"]
        low, high = found["accuracy_plain_interval"]
        assert low < found["accuracy_plain"] < high
    assert "never what a person feels" in card.limits


def test_a_form_there_is_not_is_refused_by_name():
    with pytest.raises(UsageError, match=r"'fp16'.*fp32, int8"):
        load_card("ifdd_stream").form("fp16")


def test_published_ifdd_claims_no_weights_and_says_how_to_bring_them():
    card = load_card("ifdd")
    assert not card.has_file
    assert not card.evaluation
    assert "training.ifdd.convert" in card.limits


def test_published_htnet_claims_no_weights_and_says_what_does_nothing_in_it():
    card = load_card("htnet")
    assert not card.has_file
    assert not card.evaluation
    assert "training.htnet.deploy" in card.limits
    assert "attention cannot attend" in card.limits


def test_the_card_of_brief_movements_tells_every_attempt_and_forbids_lie_detection():
    card = load_card("htnet_live")
    assert tuple(card.decode["outputs"]) == MICRO_CLASSES
    assert len(card.evaluation["sibling_zero_shot"]["attempts_uf1"]) >= 2
    low, high = card.evaluation["sibling_zero_shot"]["uf1_interval"]
    assert low < card.evaluation["sibling_zero_shot"]["uf1"] < high
    assert sum(map(sum, card.evaluation["sibling_zero_shot_confusion"].values())) == 442
    assert "must not be used to detect lies" in card.limits


def test_a_network_file_of_one_s_own_has_a_card_that_claims_nothing(tmp_path):
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"")  # a network without nodes
    card = card_of_file(path)
    assert (card.name, card.file, card.licence) == ("mine", str(path), "unknown")
    assert card.ran_by_tensorrt == ()
    assert model_path(card) == path
    path.write_bytes(b"another")
    with pytest.raises(ModelError, match="SHA-256"):
        model_path(card)
    with pytest.raises(ModelError, match=r"nobody\.onnx.*No such file"):
        card_of_file(tmp_path / "nobody.onnx")
