import json

import pytest

from realtime_affect.errors import UsageError
from realtime_affect.outputs.folder import RunFolder
from realtime_affect.outputs.tasks import Wanted, plan_tasks


def plan(paths, out, left_out=None):
    with RunFolder(out) as folder:
        return plan_tasks(
            paths, folder, [] if left_out is None else left_out, Wanted(True, True, True, True)
        )


def names(tasks):
    return [path.name for task in tasks for path in task.files.named().values()]


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


@pytest.mark.survival(23)
def test_no_file_of_one_input_is_one_of_another(tmp_path):
    for name in ("clip.mp4", "clip.events.mp4", "clip.annotated.mp4", "Clip.mkv", "images.mp4"):
        touch(tmp_path / "in" / name)
    touch(tmp_path / "in" / "a.png")
    planned = names(plan([tmp_path / "in"], tmp_path / "out"))
    assert len({name.lower() for name in planned}) == len(planned) == 5 * 7 + 1
    assert planned[-1] == "images.csv"


def test_files_of_an_earlier_run_are_replaced_by_the_same_input_alone(tmp_path):
    first, second = touch(tmp_path / "a" / "clip.mp4"), touch(tmp_path / "b" / "clip.mp4")
    out = tmp_path / "out"
    (task,) = plan([first], out)
    files = {key: str(path) for key, path in task.files.named().items()}
    entry = {"input": "clip.mp4", "source_id": task.source_id, "files": files}
    (out / "summary.json").write_text(json.dumps({"inputs": [entry]}))
    (out / "clip.csv").write_text("rows")
    assert "clip.csv" in names(plan([first], out))
    assert "clip-2.csv" in names(plan([second], out))
    touch(out / "mine.csv")  # somebody's own notes
    assert "mine-2.csv" in names(plan([touch(tmp_path / "mine.mp4")], out))


@pytest.mark.survival(23)
def test_a_long_name_is_shortened_and_stays_its_own(tmp_path):
    paths = [touch(tmp_path / "in" / ("ä" * 120 + f"{n}.mp4")) for n in range(2)]
    planned = names(plan(paths, tmp_path / "out"))
    assert len(set(planned)) == 14
    assert all(len(name.encode()) <= 255 for name in planned)


@pytest.mark.survival(30)
def test_a_token_of_a_url_is_no_file_name(tmp_path):
    (task,) = plan(["https://host/dir/clip.mp4?token=SECRET/b.mp4"], tmp_path / "out")
    assert "SECRET" not in "".join(names([task]))
    assert task.files.rows.name == "clip.csv"


def test_what_is_met_twice_or_left_out_is_said(tmp_path):
    first = touch(tmp_path / "in" / "a.mp4")
    touch(tmp_path / "in" / "notes.txt")
    link = tmp_path / "b.mp4"
    link.symlink_to(first)
    left_out = []
    assert len(plan([tmp_path / "in", link, first], tmp_path / "out", left_out)) == 1
    assert any("notes.txt" in text for text in left_out)
    assert f"{link}, the same file as {first}" in left_out


def test_a_result_that_would_replace_an_input_is_refused(tmp_path):
    first, second = touch(tmp_path / "a.mp4"), touch(tmp_path / "a.annotated.mp4")
    with pytest.raises(UsageError, match="a path that is also an input"):
        plan([first, second], tmp_path)


def test_an_input_that_cannot_even_be_looked_at_is_one_failure(tmp_path, monkeypatch):
    from realtime_affect.outputs import tasks as module

    def broken(paths, left_out):
        raise AttributeError("surprise")

    monkeypatch.setattr(module, "find_inputs", broken)
    (task,) = plan(["x"], tmp_path)
    assert "surprise" in str(task.error)
