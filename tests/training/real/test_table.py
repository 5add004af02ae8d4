"""The record of an examination in docs and cards."""

from __future__ import annotations

import pytest

from affect_engines import load_card
from affect_engines.cards import parse_card
from training.real import table


@pytest.fixture
def record():
    found = table.read_record()
    if found is None:
        pytest.skip("no examination is recorded")
    return found


def test_every_figure_of_the_record_stands_in_the_table(record):
    text = table.real_faces_table(record)
    assert f"{record['ferplus']['accuracy']['value']:.3f}" in text
    assert f"{record['reading']['reported']['changes_a_minute']:.0f} |" in text
    assert "nan" not in text
    for name in record["london"]["population_rest"]["groups"]:
        assert f"| {name} |" in text


@pytest.mark.parametrize("name", ["action_units", "ifdd_stream"])
def test_a_card_with_an_examination_can_be_read_and_written_again(record, name, tmp_path):
    before = (table.CARDS / f"{name}.toml").read_text()
    (tmp_path / f"{name}.toml").write_text(before)
    report = record | {"networks": {name: load_card(name).sha256}}
    for _ in range(2):
        table.write_cards(report, tmp_path)
    after = (tmp_path / f"{name}.toml").read_text()
    assert after.count(f"[{table.SECTION}]") == 1
    assert table.without_section(after).strip() == table.without_section(before).strip()
    assert parse_card(name, after).evaluation["real_faces"]


def test_a_card_of_other_weights_does_not_keep_what_was_measured(record, tmp_path):
    name = "action_units"
    text = (table.CARDS / f"{name}.toml").read_text()
    (tmp_path / f"{name}.toml").write_text(text)
    table.write_cards(record | {"networks": {name: load_card(name).sha256}}, tmp_path)
    table.write_cards(record | {"networks": {name: "0" * 64}}, tmp_path)
    assert table.SECTION not in (tmp_path / f"{name}.toml").read_text()


def test_what_a_card_says_is_what_its_weights_scored(record):
    for name, sha256 in record["networks"].items():
        said = load_card(name).evaluation.get("real_faces")
        if said is not None:
            assert load_card(name).sha256 == sha256
