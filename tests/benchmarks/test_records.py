import json
import re
import shutil
import subprocess

import pytest


def test_a_record_has_all_that_is_needed_to_judge_it_and_is_json(script):
    records = script("records")
    record = records.new_record("speed", {"clip": "demo"}, {"cpu_ms": [1.5, 2.0]})
    assert set(record) == {
        "benchmark",
        "date",
        "commit",
        "dirty",
        "code",
        "machine",
        "load_1min",
        "versions",
        "config",
        "figures",
    }
    assert json.loads(json.dumps(record)) == record
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", record["date"])
    assert re.fullmatch(r"[0-9a-f]{7,}|unknown", record["commit"])
    assert isinstance(record["dirty"], bool)
    assert set(record["versions"]) > {"python", "numpy", "opencv-contrib-python-headless"}
    assert all(record["versions"].values())


def test_the_machine_s_id_holds_all_its_facts_and_stays(script):
    records = script("records")
    machine = records.machine()
    facts = [str(value) for name, value in machine.items() if name != "id"]
    assert machine["id"].split(" / ") == facts
    assert machine["cores"] >= 1
    assert machine["memory_gib"] >= 1
    assert records.machine() == machine


def test_records_are_appended_and_read_in_order(script, tmp_path):
    records = script("records")
    made = [records.new_record("speed", {"round": n}, {"ms": n / 3}) for n in range(2)]
    paths = {records.append(record, tmp_path / "new" / "folder") for record in made}
    assert paths == {tmp_path / "new" / "folder" / "speed.jsonl"}
    assert records.read(paths.pop()) == made


def test_outside_a_repository_the_commit_is_unknown(script, tmp_path, monkeypatch):
    records = script("records")
    monkeypatch.setattr(records, "REPOSITORY", tmp_path / "gone")
    assert records.new_record("speed", {}, {})["commit"] == "unknown"


def test_what_is_no_number_is_null_in_the_file(script, tmp_path):
    records = script("records")
    figures = {"p50": float("nan"), "rounds": [1.0, float("inf")], "n": 0}
    path = records.append(records.new_record("speed", {}, figures), tmp_path)
    assert "NaN" not in path.read_text(encoding="utf-8")
    assert records.read(path)[0]["figures"] == {"p50": None, "rounds": [1.0, None], "n": 0}


def test_the_subject_is_the_clip_the_scenario_or_the_source(script):
    subject = script("records").subject
    assert subject({"config": {"clip": "a"}}) == "a"
    assert subject({"config": {"scenario": "b", "source": "demo"}}) == "b"
    assert subject({"config": {"source": "c"}}) == "c"
    assert subject({"config": {}}) == ""


def test_a_record_names_the_code_that_ran_not_the_code_at_its_end(script):
    records = script("records")
    code = {"date": "2026-01-02", "commit": "1234567", "dirty": True, "code": {"a": "12"}}
    record = records.new_record("speed", {}, {}, code)
    assert {key: record[key] for key in code if key != "code"} | {"code": {"a": "12"}} == code
    assert record["code"]["a"] == "12"
    assert code["code"] == {"a": "12"}, "a value that another record may share"


@pytest.fixture
def checkout(script, monkeypatch, tmp_path):
    """A repository with one commit, in place of ours; return a function that runs git there."""
    if shutil.which("git") is None:
        pytest.skip("git is not on this machine")
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=no"]

    def git(*arguments):
        command = ["git", "-C", str(tmp_path), *who, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    (tmp_path / "loop").mkdir()
    (tmp_path / "loop/step.py").write_text("one\n", encoding="ascii")
    (tmp_path / ".gitignore").write_text("*.pyc\n", encoding="ascii")
    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--message", "First")
    monkeypatch.setattr(script("records"), "REPOSITORY", tmp_path)
    return git


def test_the_hash_of_a_path_is_git_s(script, checkout):
    found = script("records").hashes(["loop", "loop/step.py", "gone"])
    paths = ("loop", "loop/step.py")
    assert found == {p: checkout("rev-parse", f"HEAD:{p}") for p in paths} | {"gone": "missing"}


def test_a_record_knows_whether_what_it_measured_has_changed(script, checkout, tmp_path):
    records = script("records")
    record = records.new_record("speed", {}, {}, records.code_state("loop"))
    assert records.changed_since(record) is False
    (tmp_path / "elsewhere.py").write_text("other\n", encoding="ascii")
    (tmp_path / "loop/step.pyc").write_text("made by Python\n", encoding="ascii")
    assert records.changed_since(record) is False
    (tmp_path / "loop/more.py").write_text("more\n", encoding="ascii")
    assert records.changed_since(record) is True, "a new file, not yet added"
    (tmp_path / "loop/more.py").unlink()
    (tmp_path / "loop/step.py").write_text("two\n", encoding="ascii")
    assert records.changed_since(record) is True
    checkout("commit", "--all", "--quiet", "--message", "Second")
    assert records.changed_since(record) is True
    assert checkout("status", "--porcelain") == "?? elsewhere.py", "the index is left as it was"


def test_what_benchmarks_write_themselves_makes_no_commit_dirty(script, checkout, tmp_path):
    (tmp_path / "benchmarks/results").mkdir(parents=True)
    (tmp_path / "benchmarks/results/speed.jsonl").write_text("{}\n", encoding="ascii")
    checkout("add", "--all")
    checkout("commit", "--quiet", "--message", "A record")
    (tmp_path / "benchmarks/results/speed.jsonl").write_text("{}\n{}\n", encoding="ascii")
    assert script("records").code_state("loop")["dirty"] is False
    (tmp_path / "loop/step.py").write_text("two\n", encoding="ascii")
    assert script("records").code_state("loop")["dirty"] is True


def test_a_changed_script_counts_as_a_change(script, checkout, tmp_path):
    records = script("records")
    record = records.new_record("speed", {}, {}, records.code_state("loop"))
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks/speed.py").write_text("new\n", encoding="ascii")
    assert records.changed_since(record) is True


def test_a_record_without_hashes_counts_as_changed_and_outside_a_checkout_nothing_is_known(
    script, checkout, monkeypatch, tmp_path
):
    records = script("records")
    assert records.changed_since({"commit": "1234567"}) is True
    record = records.new_record("speed", {}, {}, records.code_state("loop"))
    monkeypatch.setattr(records, "REPOSITORY", tmp_path / "gone")
    assert records.changed_since(record) is None
    assert records.changed_since({}) is None
    assert records.new_record("speed", {}, {})["code"] == {}


def test_the_origin_of_a_figure_is_told_in_one_phrase(script, checkout, tmp_path):
    records = script("records")
    state = records.code_state("loop")
    commit = checkout("rev-parse", "--short", "HEAD")
    told = f"measured {state['date']} at commit {commit} on a desk"
    assert records.origin([state, state], " on a desk") == told
    (tmp_path / "loop/step.py").write_text("two\n", encoding="ascii")
    told = records.origin([state | {"dirty": True}])
    assert told.endswith("with uncommitted changes; **the code measured has changed since**")
    newer = records.code_state("loop") | {"commit": "abcdef1"}
    told = records.origin([state, newer])
    assert "abcdef1" in told
    assert told.endswith(f"**the code measured at {commit} has changed since**")
