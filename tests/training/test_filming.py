import argparse
from pathlib import Path

import numpy as np
import pytest

from training import filming
from training.filming import add_options, film_people, film_person, write_arrays


def open_tools():
    return "camera"


def film(tools, split, number):
    return {"number": np.array([number]), "with": np.array([tools, split])}


def options_of(folder, *more):
    parser = argparse.ArgumentParser()
    add_options(parser, people="0:3")
    return parser.parse_args(["--out", str(folder), "--workers", "1", *more])


def test_people_are_filmed_into_a_file_each_by_other_processes(tmp_path):
    folder = tmp_path / "people"
    paths = film_people(options_of(folder, "--people", "2:4", "--split", "test"), film, open_tools)
    assert [path.name for path in paths] == ["test_00002.npz", "test_00003.npz"]
    assert sorted(folder.iterdir()) == paths
    for number, path in enumerate(paths, 2):
        with np.load(path, allow_pickle=False) as stored:
            assert stored["number"].tolist() == [number]
            assert stored["with"].tolist() == ["camera", "test"]


def test_a_person_on_disk_is_not_filmed_again(tmp_path, monkeypatch):
    monkeypatch.setattr(filming, "_tools", ["camera"])
    path = tmp_path / "train_00005.npz"
    film_person(path, 5, film, "train")
    written = path.read_bytes()
    film_person(path, 5, None, "train")
    assert path.read_bytes() == written


def test_a_stopped_run_leaves_no_half_file(tmp_path, monkeypatch):
    def stop(file, **arrays):
        Path(file).write_bytes(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", stop)
    with pytest.raises(KeyboardInterrupt):
        write_arrays(tmp_path / "train_00007.npz", {"number": np.ones(3)})
    assert not list(tmp_path.glob("train_*.npz"))


def test_an_error_while_filming_ends_the_run(tmp_path):
    with pytest.raises(TypeError):
        film_people(options_of(tmp_path), open_tools, open_tools)
