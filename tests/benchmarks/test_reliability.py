import pytest


def test_each_of_the_thirty_is_proved_by_a_test_or_a_command(script):
    reliability = script("reliability")
    proved = {proof.number for proof in reliability.proofs()} | set(reliability.COMMANDS)
    assert proved == set(range(1, 31))
    assert len(reliability.SURVIVES) == 30


def test_each_known_fault_of_live_tools_has_a_test(script):
    reliability = script("reliability")
    tested = {proof.number for proof in reliability.proofs("fault")}
    assert tested == set(range(1, len(reliability.FAULTS) + 1))


def test_a_stand_in_is_said_and_a_record_that_does_not_hold_too(script, recorded_in, tmp_path):
    reliability, records = script("reliability"), script("records")
    text = (
        "import pytest\n\n@pytest.mark.survival(2, 3, stand_in='a fake driver')\n"
        "def test_it_comes_back():\n    pass\n"
    )
    assert [(p.number, p.test, p.stand_in) for p in reliability._in_file("tests/x.py", text)] == [
        (2, "test_it_comes_back", "a fake driver"), (3, "test_it_comes_back", "a fake driver"),
    ]  # fmt: skip
    assert "`make kill`: not recorded yet" in reliability.survival_table()
    command = {"most_rows_lost_s": 2.0, "most_video_lost_s": 0.5, "all_rows_whole": True}
    command |= {"all_unfinished": True, "all_videos_play": True}
    records.append(records.new_record("kill", {"source": "x", "times": 3}, {"run": command}))
    assert "`make kill`: **does not hold**" in reliability.survival_table()
    assert "`run` lost at most 2.00 s of rows and 0.50 s of video" in reliability.figures_table()


@pytest.mark.parametrize("number", [1, 2])
def test_what_needs_a_camera_says_what_stood_in(script, number):
    proofs = [proof for proof in script("reliability").proofs() if proof.number == number]
    assert all(proof.stand_in for proof in proofs)
