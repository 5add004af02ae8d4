"""One worker's work, with real files and networks that are made up."""

import json
from dataclasses import replace

import pytest

from realtime_affect import analysis as analysis_module
from realtime_affect import analyze
from realtime_affect.config import Config
from realtime_affect.corpus.analyst import PARTIAL, Analyst, Job, partition_of
from realtime_affect.corpus.inputs import CorpusInput
from realtime_affect.errors import OutputError
from tests.realtime_affect.runtime.test_pipeline import FakeAffect
from tests.realtime_affect.test_analysis import made_with, still, video

FILES = {"annotate": False, "timeline": False, "explain": False}


@pytest.fixture(autouse=True)
def opened(monkeypatch):
    """Count how often networks are opened."""
    counted, make = [], made_with(FakeAffect)
    monkeypatch.setattr(
        analysis_module, "Analysers", lambda config: (counted.append(1), make(config))[1]
    )
    return counted


@pytest.fixture
def clip(tmp_path):
    return video(tmp_path / "in" / "clip.mp4", 8)


def analyst(tmp_path, config=None, **how):
    job = Job(tmp_path / "out", config or Config(), how.pop("resume", True), False, FILES)
    job.out.mkdir(exist_ok=True)
    return Analyst(replace(job, **how))


def one_of(path, **more):
    return CorpusInput(path.name, (path,), **more)


def test_an_input_s_files_are_those_of_analyze_to_the_byte(clip, tmp_path, opened):
    stills = [still(tmp_path / "in" / f"{n}.png") for n in (1, 2)]
    worker, worked_s = analyst(tmp_path), [0.0]
    for one in (one_of(clip), CorpusInput("images", tuple(stills), stills=True), one_of(clip)):
        found = worker.analyse(one)
        assert found.entry["outcome"] == "complete"
        worked_s.append(found.cpu_s)
    assert worked_s == sorted(set(worked_s))  # adds up
    worker.close()
    assert len(opened) == 1  # by three inputs
    analyze([clip, *stills], tmp_path / "plain", timeline=False, explain=False)
    for place, name in (("clip.mp4", "clip.csv"), ("images", "images.csv")):
        got = (tmp_path / "out" / place / name).read_bytes()
        assert got == (tmp_path / "plain" / name).read_bytes()
        assert len(got) > 1000
    assert list((tmp_path / "out" / PARTIAL).iterdir()) == []


def test_the_record_of_an_input_names_where_its_files_are_and_what_they_are_of(clip, tmp_path):
    entry = analyst(tmp_path).analyse(one_of(clip, metadata={"group": "x"})).entry
    summary = json.loads((tmp_path / "out" / "clip.mp4" / "summary.json").read_text())
    assert summary["inputs"][0]["files"]["rows"] == str(tmp_path / "out/clip.mp4/clip.csv")
    assert summary["corpus"] == {k: entry[k] for k in ("input", "sha256", "key", "metadata")}
    assert (entry["frames"], entry["files"]["rows"]) == (8, "clip.csv")
    assert len(entry["sha256"]) == 64
    assert entry["versions"]["realtime-affect"]


@pytest.mark.parametrize("change", ["nothing", "bytes", "setting", "name", "cut", "not asked"])
def test_what_is_complete_is_kept_for_the_same_bytes_and_settings_alone(clip, tmp_path, change):
    analyst(tmp_path).analyse(one_of(clip))
    place = tmp_path / "out" / "clip.mp4"
    before = place.stat().st_ino
    config = Config()
    if change == "bytes":
        video(clip, 9)
    elif change == "setting":
        config = config.with_values({"track.max_faces": 1})
    elif change == "name":  # other bytes under a name that was done
        clip.replace(clip.with_name("old.mp4"))
        video(clip, 7)
    elif change == "cut":
        (place / "summary.json").unlink()
    found = analyst(tmp_path, config, resume=change != "not asked").analyse(one_of(clip))
    assert found.kept == (change == "nothing")
    assert found.entry["outcome"] == "complete"
    assert (place.stat().st_ino == before) == (change == "nothing")


@pytest.mark.parametrize("bad", ["gone", "empty", "text", "folder that vanished"])
def test_an_input_that_cannot_be_read_any_more_leaves_its_reason_and_stops_no_other(
    clip, tmp_path, bad
):
    worker = analyst(tmp_path)
    worker.analyse(one_of(clip))
    if bad == "gone":
        clip.unlink()
    elif bad == "folder that vanished":
        clip.unlink()
        clip.parent.rmdir()
    else:
        clip.write_bytes(b"" if bad == "empty" else b"no video at all")
    found = worker.analyse(one_of(clip))
    assert found.entry["outcome"] == "failed"
    assert "clip.mp4" in found.entry["error"]
    assert found.fatal is None
    # Whose disk is gone loses nothing; other bytes have other results, or none.
    kept = (tmp_path / "out" / "clip.mp4" / "clip.csv").exists()
    assert kept == (bad not in ("empty", "text"))
    assert worker.analyse(one_of(video(tmp_path / "in" / "next.mp4", 3))).entry["frames"] == 3


def test_a_video_that_was_cut_keeps_what_it_has_with_a_warning(tmp_path):
    whole = video(tmp_path / "in" / "clip.mkv", 30)
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    entry = analyst(tmp_path).analyse(one_of(whole)).entry
    assert 0 < entry["frames"] < 30
    assert entry["warnings"]


def test_a_full_disk_is_what_every_other_input_would_meet_too(clip, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OutputError("output file x", got="full", expected="room", hint="Free some.")

    monkeypatch.setattr("realtime_affect.corpus.analyst.analyze", full)
    found = analyst(tmp_path).analyse(one_of(clip))
    assert isinstance(found.fatal, OutputError)
    assert not (tmp_path / "out" / "clip.mp4").exists()


def test_rows_of_all_inputs_are_one_data_set_with_their_metadata(clip, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")
    picture = still(tmp_path / "in" / "a.png")
    worker = analyst(tmp_path, parquet=True)
    worker.analyse(CorpusInput("x/ü clip.mp4", (clip,), metadata={"group": "g", "age": ""}))
    worker.analyse(CorpusInput("images", (picture,), True, {"group": "h", "age": "9"}))
    table = pq.read_table(tmp_path / "out" / "corpus.parquet")
    rows = table.to_pylist()
    assert {(r["input"], r["group"], r["age"], r["image"]) for r in rows} == {
        ("x/ü clip.mp4", "g", None, None),
        ("images", "h", "9", "a.png"),
    }
    assert len(rows) == 8 * 2 + 2
    assert {row["frame"] for row in rows if row["input"] == "images"} == {1}
    # Other metadata alone: rows stay, the data set follows.
    found = worker.analyse(CorpusInput("images", (picture,), True, {"group": "i", "age": "9"}))
    assert found.kept
    assert set(pq.read_table(tmp_path / "out" / "corpus.parquet")["group"].to_pylist()) == {
        *("g", "i")
    }


def test_a_partition_s_name_is_a_file_s_name_however_long_the_input_s_is():
    assert partition_of("a/b c.mp4") == "input=a%2Fb%20c.mp4"
    first, second = (partition_of("ü" * 120 + end) for end in "ab")
    assert first != second
    assert len(first.encode()) < 255
