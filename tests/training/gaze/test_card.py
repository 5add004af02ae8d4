import tomllib

import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

from training.gaze.card import card_text

REPORT = {
    "about": {"faces": {"stills": 20, "studio": 5}, "seed": 1, "data_sha256": "a" * 64},
    "sha256": "b" * 64,
    "validation": {"faces": 3, "mean_deg": 2.5},
    "test": {"faces": 4, "mean_deg": 2.6},
    "clips": {"every_frame": {"faces": 9, "mean_deg": 2.0}},
}


def test_the_card_says_what_was_measured_and_of_whom():
    card = tomllib.loads(card_text(REPORT))
    assert card["sha256"] == "b" * 64
    assert "about 20 faces" in card["trained_on"]
    assert card["evaluation"]["lfw_test"]["mean_deg"] == 2.6
    assert card["evaluation"]["clips_every_frame"]["faces"] == 9
