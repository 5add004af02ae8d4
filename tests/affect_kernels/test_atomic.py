import os
import stat

import numpy as np
import pytest

from affect_kernels.atomic import PRIVATE, replacing, write_atomically


def names(folder):
    return [path.name for path in folder.iterdir()]


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "a.json"
    write_atomically(path, b"old")
    write_atomically(path, "né")
    assert path.read_text("utf-8") == "né"
    assert names(tmp_path) == ["a.json"]


@pytest.mark.parametrize("durable", [False, True])
def test_a_writer_that_fails_leaves_what_was_there(tmp_path, durable):
    path = tmp_path / "a.json"
    path.write_text("old")

    def fail():
        with replacing(path, durable=durable) as temporary:
            temporary.write_text("half of the ne")
            assert path.read_text() == "old"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.json"]


def test_a_folder_that_is_not_there_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "none" / "a", b"")


@pytest.mark.parametrize(("mode", "found"), [(PRIVATE, 0o600), (0o644, 0o644), (None, 0o640)])
def test_the_mode_is_the_one_asked_for_or_what_the_umask_leaves(tmp_path, mode, found):
    path = tmp_path / "a"
    path.touch(mode=0o666)
    before = os.umask(0o027)
    try:
        write_atomically(path, b"x", mode=mode)
    finally:
        os.umask(before)
    assert mode_of(path) == found


def test_a_private_file_is_private_before_there_is_content(tmp_path):
    with replacing(tmp_path / "a", mode=PRIVATE) as temporary:
        assert mode_of(temporary) == 0o600
        assert temporary.stat().st_size == 0


def test_writers_that_add_an_extension_find_it_there(tmp_path):
    path = tmp_path / "a.npz"
    with replacing(path) as temporary:
        np.savez(temporary, x=np.arange(3))
    with np.load(path) as found:
        assert found["x"].tolist() == [0, 1, 2]
    assert names(tmp_path) == ["a.npz"]


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "a"
    with replacing(path) as one, replacing(path) as other:
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"  # the outer one ends last
