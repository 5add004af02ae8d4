import pytest


@pytest.fixture
def record(script, tmp_path):
    """Write a record file; return its path."""
    records = script("records")

    def write(name, figures, config=None, **changed):
        new = records.new_record("speed", config or {}, figures) | changed
        return records.append(new, tmp_path / name)

    return write


def test_equal_records_have_ratio_one(record, run_main, capsys):
    path = record("one", {"ms": 2.0, "stage": {"p50": 1.5}})
    run_main("compare", path, path)
    lines = capsys.readouterr().out.splitlines()[1:]
    assert sorted(line.split()[0] for line in lines) == ["ms", "stage.p50"]
    assert all(line.endswith("x 1.000") for line in lines)


def test_the_ratio_is_after_over_before_and_nothing_divides_by_zero(record, run_main, capsys):
    run_main(
        "compare", record("old", {"ms": 2.0, "drops": 0}), record("new", {"ms": 1.0, "drops": 3})
    )
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()[1:]}
    assert lines["ms"].endswith("x 0.500")
    assert lines["drops"].endswith("x -")


def test_records_of_different_machines_are_refused(record, run_main):
    other = record("other", {"ms": 1.0}, machine={"id": "another"})
    with pytest.raises(SystemExit, match="not comparable: machine"):
        run_main("compare", record("here", {"ms": 1.0}), other)


def test_records_of_different_benchmarks_are_refused(script, record, run_main, tmp_path):
    other = record("other", {"ms": 1.0}, benchmark="memory")
    with pytest.raises(SystemExit, match="not comparable: benchmark"):
        run_main("compare", record("here", {"ms": 1.0}), other)


def test_the_newest_record_of_a_file_counts(record, run_main, capsys):
    record("many", {"ms": 100.0})
    path = record("many", {"ms": 2.0})
    run_main("compare", record("old", {"ms": 1.0}), path)
    assert "x 2.000" in capsys.readouterr().out


def test_lists_count_by_their_minimum_and_text_is_left_out(script):
    figures = {"cpu": {"rounds": [3, 1, 2]}, "name": "demo", "none": []}
    assert script("compare").numbers(figures) == {"cpu.rounds (min)": 1}


def test_raw_samples_are_not_compared(script):
    assert script("compare").numbers({"raw_ms": {"counts": [1, 2]}, "n": 3}) == {"n": 3}


def test_each_clip_is_compared_with_itself_whatever_came_last(record, run_main, capsys):
    record("old", {"ms": 2.0}, {"clip": "a"})
    old = record("old", {"ms": 10.0}, {"clip": "b"})
    record("new", {"ms": 5.0}, {"clip": "b", "rounds": 3})
    new = record("new", {"ms": 1.0}, {"clip": "a"})
    run_main("compare", old, new)
    out = capsys.readouterr().out
    first, second = out.split("speed b")
    assert first.startswith("speed a")
    assert "settings differ" not in first
    assert "x 0.500" in first
    assert "settings differ: rounds" in second
    assert "x 0.500" in second


def test_files_that_share_no_clip_are_refused(record, run_main):
    old, new = record("old", {}, {"clip": "a"}), record("new", {}, {"clip": "b"})
    with pytest.raises(SystemExit, match="nothing common"):
        run_main("compare", old, new)
