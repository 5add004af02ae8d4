import stat

from realtime_affect.outputs.summary import write_traceback


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_traceback_is_kept_without_secrets_and_for_its_owner(tmp_path):
    path = tmp_path / "error.log"
    for _ in range(2):
        write_traceback(path, ValueError("cannot read rtsp://me:sec/r@et@host/live"))
    assert path.read_text().count("ValueError: cannot read rtsp://***@host/live") == 2
    assert mode_of(path) == 0o600


def test_a_log_of_tracebacks_does_not_grow_without_end(tmp_path):
    path = tmp_path / "error.log"
    path.write_text("x" * (1 << 20) + "y")
    write_traceback(path, ValueError("new"))
    assert "ValueError: new" in path.read_text()
    assert path.stat().st_size < 1000
    assert (tmp_path / "error.log.1").stat().st_size > 1 << 20


def test_one_long_traceback_is_cut_and_acts_on_no_terminal(tmp_path):
    path = tmp_path / "error.log"
    write_traceback(path, ValueError("x \n" * (1 << 17) + "\x1b[2J"))
    assert path.stat().st_size < 1 << 19
    assert path.read_text().endswith("x \n\\x1b[2J\n\n")


def test_where_no_traceback_can_be_kept_there_is_none(tmp_path):
    assert write_traceback(tmp_path / "nowhere" / "error.log", ValueError("x")) is None
