import dataclasses
import json
import math

import pytest
from rich.console import Console

from affect_engines import load_card
from affect_engines.cards import UnitCard, list_cards
from affect_engines.store import StoredModel
from realtime_affect.cli.models import ModelReport, describe_models


def report_of(state="ok", **units):
    card = load_card("action_units")
    return ModelReport(
        (StoredModel(dataclasses.replace(card, units=units), "action_units.onnx", state),)
    )


def printed(report):
    console = Console(record=True, width=120)
    report.print(console)
    return console.export_text()


def test_every_card_is_told_with_its_licence_training_data_and_limits():
    text = " ".join(printed(describe_models()).split())
    for name in list_cards():
        card = load_card(name)
        assert name in text
        assert card.licence in text
        assert ("no weights" in text) or card.has_file
        assert card.trained_on[:40] in text
        assert card.limits[:40] in text


@pytest.mark.parametrize("trust", ["high", "medium", "low"])
def test_a_unit_is_told_with_trust_threshold_and_figures(trust):
    figures = {"icc": 0.81, "mae": 0.22, "f1": 0.73, "icc_uncalibrated": 0.7}
    (line,) = (
        line
        for line in printed(report_of(AU12=UnitCard(trust, 1.25, figures))).splitlines()
        if line.startswith("AU12")
    )
    assert line.split() == [
        "AU12", "lip", "corner", "puller", trust, "1.25", "0.81", "0.22", "0.73",
    ]  # fmt: skip


def test_a_unit_without_evidence_says_so_and_is_null_in_json():
    report = report_of(AU23=UnitCard("none", math.nan, {}))
    assert "no evidence" in printed(report)
    (model,) = json.loads(json.dumps(report.as_dict(), allow_nan=False))["models"]
    assert model["units"]["AU23"] == {"trust": "none", "present_at": None}


@pytest.mark.parametrize("state", ["missing", "damaged"])
def test_a_file_that_is_not_as_it_should_be_says_how_to_mend_it(state):
    report = report_of(state)
    assert not report.ok
    assert not report.as_dict()["ok"]
    assert state in printed(report)
    assert "models fetch" in printed(report)


def test_a_network_is_told_with_what_has_run_it_and_where():
    told = " ".join(printed(report_of()).split())
    assert "TensorRT unproved: no plan of it has run yet" in told
    assert report_of().as_dict()["models"][0]["ran_by_tensorrt"] == []
    card = dataclasses.replace(load_card("action_units"), ran_by_tensorrt=("11.4.0 (H200)",))
    report = ModelReport((StoredModel(card, "action_units.onnx", "ok"),), (card,))
    told = " ".join(printed(report).split())
    assert told.count("a plan of it has run with 11.4.0 (H200)") == 2  # with weights and without
    assert report.as_dict()["models"][0]["ran_by_tensorrt"] == ["11.4.0 (H200)"]
    assert report.as_dict()["without_file"][0]["ran_by_tensorrt"] == ["11.4.0 (H200)"]


def test_nothing_is_said_of_tensorrt_where_it_cannot_run_a_network():
    card = load_card("face_mesh")
    report = ModelReport((StoredModel(card, "face_mesh.tflite", "ok"),))
    assert "TensorRT" not in printed(report)
    assert report.as_dict()["models"][0]["ran_by_tensorrt"] is None


def test_an_expression_network_is_told_with_the_recall_of_each_expression():
    text = printed(describe_models())
    recalls = load_card("ifdd_stream").evaluation["ferplus_valid_recall"]
    for name, recall in recalls.items():
        assert [name, f"{recall:.2f}"] in [line.split() for line in text.splitlines()]


def test_a_network_without_weights_says_how_to_bring_them():
    text = " ".join(printed(describe_models()).split())
    assert "ifdd no weights" in text
    assert "training.ifdd.convert" in text
    told = json.loads(json.dumps(describe_models().as_dict(), allow_nan=False))
    assert [card["name"] for card in told["without_file"]] == ["htnet", "ifdd"]
