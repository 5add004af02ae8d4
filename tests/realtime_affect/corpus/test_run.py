"""How inputs are handed out: with workers that only pretend to work."""

import json
from dataclasses import dataclass, field

import pytest

from realtime_affect.corpus import run as run_module
from realtime_affect.corpus.analyst import Finished, Started, entry_of
from realtime_affect.corpus.run import analyze_corpus
from realtime_affect.corpus.workers import Lost
from realtime_affect.errors import ModelError, OutputError, UsageError
from realtime_affect.runtime.pipeline import WorkerError


@dataclass
class Script:
    """What workers answer, by input; what is not named is analysed."""

    answers: dict = field(default_factory=dict)
    started: int = 0
    given: list = field(default_factory=list)
    closed: list = field(default_factory=list)
    spread: list = field(default_factory=list)
    divided: object = None
    first: object = None

    def __call__(self, job):
        self.job = job
        return self

    def divide(self, n, memory_mb):
        self.divided = n, memory_mb

    def start(self):
        self.started += 1
        return Pretended(self, self.started)

    def wait(self, workers, timeout_s):
        pass

    def close(self):
        self.closed.append("all")


class Pretended:
    def __init__(self, script, number):
        self.script, self.number = script, number
        self.answer = script.first or Started(1000 + number, "here", 0.5, {"net": "abc"})
        self.frames = 0

    def give(self, one):
        self.script.given.append(one.name)
        answers = self.script.answers.get(one.name, [])
        self.answer = answers.pop(0) if answers else done(one)

    def take(self):
        answer, self.answer = self.answer, None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def spread(self):
        self.script.spread.append(self.number)

    def close(self, *, now=False):
        self.script.closed.append((self.number, now))


def done(one, **more):
    return Finished(entry_of(one) | {"outcome": "complete", "frames": 3}, **more)


@pytest.fixture
def script(monkeypatch):
    script = Script()
    monkeypatch.setattr(run_module, "Processes", script)
    return script


@pytest.fixture
def clips(tmp_path, monkeypatch):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b", "c", "d"):
        (folder / f"{name}.mp4").touch()
    lengths = {"a": 10, "b": 40, "c": 20, "d": 30}
    monkeypatch.setattr(
        "realtime_affect.corpus.inputs.stated_frames", lambda path: lengths[path.stem]
    )
    return folder


def record(out):
    return json.loads((out / "corpus.json").read_text())


def test_the_longest_are_handed_out_first(script, clips, tmp_path):
    found = analyze_corpus(clips, tmp_path / "out", workers=2)
    assert script.given == ["b.mp4", "d.mp4", "c.mp4", "a.mp4"]
    assert script.started == 2
    assert [entry["input"] for entry in found.entries] == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]
    assert found.outcome == record(tmp_path / "out")["outcome"] == "complete"


def test_cores_are_dealt_out_and_whoever_works_last_has_them_all(script, clips, tmp_path):
    analyze_corpus(clips, tmp_path / "out", workers=2, memory_mb=100)
    assert script.divided == (2, 100)
    assert script.spread == [2]  # worker 1 was done, nothing was waiting, and 2 was busy


def test_what_ended_one_worker_is_tried_again_and_what_ended_two_is_given_up(
    script, clips, tmp_path
):
    script.answers = {
        "b.mp4": [Lost("its process was ended by SIGKILL")],
        "c.mp4": [Lost("it needed more than 9 MiB of memory"), Lost("its process was ended")],
    }
    found = analyze_corpus(clips, tmp_path / "out", workers=2)
    entries = {entry["input"]: entry for entry in found.entries}
    assert entries["b.mp4"]["outcome"] == "complete"
    assert entries["b.mp4"]["tries"] == 2
    assert entries["b.mp4"]["ended_workers"] == ["its process was ended by SIGKILL"]
    assert entries["c.mp4"]["outcome"] == "failed"
    assert "given up after 2 tries: it needed more than 9 MiB" in entries["c.mp4"]["error"]
    assert entries["a.mp4"]["outcome"] == entries["d.mp4"]["outcome"] == "complete"
    assert found.outcome == "failed"
    assert found.failures == (entries["c.mp4"],)


def test_a_machine_that_is_lost_is_no_try(script, clips, tmp_path):
    script.answers = {"a.mp4": [Lost("gone", innocent=True)] * 3}
    assert analyze_corpus(clips, tmp_path / "out", workers=1).outcome == "complete"
    assert script.given.count("a.mp4") == 4


def test_a_worker_that_holds_much_is_replaced_before_its_next_input(script, clips, tmp_path):
    entry = {"input": "b.mp4", "outcome": "complete", "frames": 3, "error": ""}
    script.answers = {"b.mp4": [Finished(entry, rss_mb=85.0, cpu_s=1.5)]}
    analyze_corpus(clips, tmp_path / "out", workers=1, memory_mb=100)
    assert script.started == 2
    first, second = record(tmp_path / "out")["workers"]
    assert (first["ended"], first["cpu_s"]) == ("replaced: it held 85 MiB", 1.5)
    assert (first["inputs"], second["inputs"], second["ended"]) == (1, 3, "")


def test_a_full_disk_ends_all_at_once_and_says_so(script, clips, tmp_path):
    full = OutputError("output file x", got="full", expected="room", hint="Free some.")
    one = {"input": "b.mp4", "outcome": "failed", "frames": 0, "error": str(full)}
    script.answers = {"b.mp4": [Finished(one, fatal=full)]}
    with pytest.raises(OutputError, match="full"):
        analyze_corpus(clips, tmp_path / "out", workers=1)
    assert script.given == ["b.mp4"]
    assert (1, True) in script.closed
    assert record(tmp_path / "out")["outcome"] == "failed"


def test_missing_networks_end_it_before_anything(script, clips, tmp_path):
    script.first = Started(
        1, "here", failure=ModelError("model x", got="none", expected="it", hint="Fetch it.")
    )
    with pytest.raises(ModelError):
        analyze_corpus(clips, tmp_path / "out", workers=2)
    assert script.given == []


def test_workers_that_cannot_start_are_not_started_for_ever(script, clips, tmp_path):
    script.first = Lost("its process ended with exit code 1")
    with pytest.raises(WorkerError, match="no worker can be started"):
        analyze_corpus(clips, tmp_path / "out", workers=2)


def test_ctrl_c_keeps_what_is_done_and_ends_the_workers(script, clips, tmp_path):
    script.answers = {"d.mp4": [KeyboardInterrupt()]}
    found = analyze_corpus(clips, tmp_path / "out", workers=1)
    outcomes = {entry["input"]: entry["outcome"] for entry in found.entries}
    assert found.outcome == record(tmp_path / "out")["outcome"] == "interrupted"
    assert outcomes == {
        "a.mp4": "waiting", "b.mp4": "complete", "c.mp4": "waiting", "d.mp4": "waiting"
    }  # fmt: skip
    assert (1, True) in script.closed


def test_results_are_not_done_over_unless_resume_is_asked_for(script, clips, tmp_path):
    analyze_corpus(clips, tmp_path / "out", workers=1)
    with pytest.raises(UsageError, match="--resume"):
        analyze_corpus(clips, tmp_path / "out", workers=1)
    analyze_corpus(clips, tmp_path / "out", workers=1, resume=True)
    assert script.job.resume


def test_what_cannot_be_read_starts_no_worker_and_progress_tells_all(script, clips, tmp_path):
    told = []
    found = analyze_corpus(tmp_path / "gone", tmp_path / "out", progress=told.append)
    assert (script.started, found.outcome) == (0, "failed")
    found = analyze_corpus(
        [clips, tmp_path / "gone"], tmp_path / "two", workers=2, progress=told.append
    )
    assert (told[-1].done, told[-1].inputs, told[-1].of_frames) == (5, 5, 100)
    assert "no such file" in told[-1].failures[0]
