import os
import socket

import pytest

from affect_engines.files import exposure, folder_exposure, read_file


def test_a_file_is_read_whole_through_a_link_too(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_file(tmp_path / "file") == read_file(tmp_path / "link") == b"content"
    assert read_file(tmp_path / "file", 7) == b"content"


def test_what_is_not_there_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "nothing")


def make(kind, path):
    if kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))


@pytest.mark.parametrize("kind", ["a FIFO", "a folder", "a device", "a socket"])
def test_what_is_no_file_is_refused_before_it_is_opened(kind, tmp_path, monkeypatch):
    make(kind, tmp_path / "x")
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(OSError, match=f"{kind}, not a file"):
        read_file(tmp_path / "x")


@pytest.mark.survival(26)
def test_a_file_of_12_gb_is_refused_before_it_is_opened(tmp_path, monkeypatch):
    with (tmp_path / "x").open("wb") as stream:
        stream.truncate(12_000_000_000)  # holes: nothing is on the disk
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(OSError, match="12000 MB, more than the 2147 MB allowed"):
        read_file(tmp_path / "x")


def test_a_fifo_put_in_the_file_s_place_meanwhile_is_refused(tmp_path, monkeypatch):
    path, open_it = tmp_path / "x", os.open
    path.write_bytes(b"content")

    def swap(name, flags):
        path.unlink()
        os.mkfifo(path)
        return open_it(name, flags)

    monkeypatch.setattr(os, "open", swap)
    with pytest.raises(OSError, match="a FIFO, not a file"):
        read_file(path)


@pytest.mark.parametrize(("mode", "exposed"), [
    (0o600, False), (0o644, False), (0o555, False), (0o664, True), (0o646, True), (0o622, True),
])  # fmt: skip
def test_a_file_is_exposed_where_others_may_write_it(tmp_path, mode, exposed):
    path = tmp_path / "x"
    path.write_bytes(b"")
    path.chmod(mode)
    assert (exposure(path) is not None) == exposed
    assert exposure(path) in (None, f"writable by others (mode {mode:04o})")


def test_a_folder_is_judged_where_a_link_leads(tmp_path):
    (tmp_path / "real").mkdir(0o755)
    (tmp_path / "link").symlink_to("real")
    assert folder_exposure(tmp_path / "link") is None
    (tmp_path / "real").chmod(0o777)
    assert folder_exposure(tmp_path / "link") == "writable by others (mode 0777)"
    assert folder_exposure(tmp_path / "nothing") is None
