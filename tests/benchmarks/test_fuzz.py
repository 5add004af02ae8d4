import random

import pytest


def test_damage_is_the_same_for_the_same_seed_and_differs_from_the_file(script):
    damage = script("fuzz").damage
    content = bytes(range(256)) * 20
    made = [damage(content, random.Random(f"1:mp4:{n}")) for n in range(50)]
    assert made == [damage(content, random.Random(f"1:mp4:{n}")) for n in range(50)]
    assert sum(data != content for data in made) > 45
    assert damage(b"", random.Random(1)) == b""


@pytest.mark.survival(9, 26)
def test_damaged_files_and_rude_clients_of_every_kind_are_errors_of_the_user_s_kind(script):
    figures = script("fuzz").run(4.0, seed=7)
    assert figures["wrong"] == []
    assert figures["grew"] == {}


def test_a_crash_a_defect_and_a_hang_are_each_found(script, monkeypatch):
    fuzz = script("fuzz")
    told = b'{"n": 0, "kind": "mp4", "number": 0}\n'
    lines = {
        "defect": [told, b'{"done": true, "wrong": "KeyError(1)", "growth_mib": 99}\n'],
        "crash": [told, b""],
    }

    def watched(what):
        given = iter(lines[what])
        monkeypatch.setattr(fuzz, "_lines", lambda *_: given)
        return fuzz.run(30.0, 1, only="mp4:0") if what == "defect" else fuzz.run(0.01, 1)

    found = watched("defect")
    assert [case["what"] for case in found["wrong"]] == ["KeyError(1)"]
    assert found["grew"] == {"mp4": 99}
