import pytest

from affect_engines.cards import parse_card
from training.proofs import proof_lines, ran_by_tensorrt

RAN = ("10.3.0 (Orin NX)", "11.4.0 (H200)")


@pytest.fixture
def card(tmp_path):
    lines = [
        *(f'{key} = "{value}"' for key, value in (
            ("file", "a.onnx"), ("sha256", "a"), ("precision", "fp32"), ("licence", "MIT"),
            ("reference", "r"), ("trained_on", "t"), ("limits", "l"),
        )),
        *proof_lines(RAN), "[forms.int8]", 'file = "b.onnx"', 'sha256 = "b"',
    ]  # fmt: skip
    path = tmp_path / "network.toml"
    path.write_text("\n".join(lines), "utf-8")
    return path


def test_what_has_run_the_same_files_is_kept(card):
    assert ran_by_tensorrt(card, ["b", "a"]) == RAN
    assert parse_card("network", card.read_text("utf-8")).ran_by_tensorrt == RAN


@pytest.mark.parametrize("digests", [["a"], ["a", "c"], ["a", "b", "c"]])
def test_no_tensorrt_has_run_another_network(card, digests):
    assert ran_by_tensorrt(card, digests) == ()


def test_a_first_card_says_that_none_has(tmp_path):
    assert ran_by_tensorrt(tmp_path / "none.toml", ["a"]) == ()
    comment, value = proof_lines(())
    assert "none yet" in comment
    assert value == "ran_by_tensorrt = []"
