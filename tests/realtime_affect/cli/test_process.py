import os
import signal
import subprocess
import sys

import pytest

from realtime_affect.cli.process import missing_library
from realtime_affect.worker import ENDING_SIGNALS, uninterrupted

ENVIRONMENT = {**os.environ, "PYTHONPATH": ":".join(sys.path)}


def run(program, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=250,
        env=ENVIRONMENT,
        check=False,
        **options,
    )


def test_closed_standard_streams_are_opened_on_nothing():
    program = """
import os, sys
os.close(1); os.close(2)
sys.stdout = sys.stderr = None  # as Python starts where they are closed
from realtime_affect.cli.process import open_standard_streams
open_standard_streams()
number = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
print("no row"); print("no row", file=sys.stderr); os.write(2, b"no row")
sys.exit(0 if number > 2 and not os.path.getsize(sys.argv[1]) else 1)
"""
    assert run(program, os.devnull).returncode == 0


@pytest.mark.parametrize("number", ENDING_SIGNALS)
def test_a_signal_before_anything_has_begun_ends_silently_with_130(number):
    program = """
import os, sys
sys.argv[0] = "/usr/bin/realtime-affect"
import realtime_affect.cli  # as the console script does before all else
os.kill(os.getpid(), int(sys.argv[1]))
"""
    done = run(program, str(int(number)))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_signal_that_the_caller_ignores_stays_ignored():
    program = """
import os, signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
from realtime_affect.cli.process import end_at_once_on_signals, ending_signals_interrupt
end_at_once_on_signals()
with ending_signals_interrupt():
    os.kill(os.getpid(), signal.SIGHUP)
print("alive")
"""
    assert run(program).stdout == "alive\n"


def test_an_opencv_that_cannot_be_imported_is_named_with_what_to_do(tmp_path):
    (tmp_path / "cv2.py").write_text(
        'raise ImportError("libGL.so.1: cannot open shared object file: No such file")'
    )
    program = "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
    program += "from realtime_affect.cli.main import main; main()"
    for command in (["run", "demo", "--headless"], ["analyze", "demo"]):
        done = run(program, str(tmp_path), *command, cwd=tmp_path)
        assert done.returncode == 6, done.stderr
        assert "library cv2: got libGL.so.1" in done.stderr
        assert "libgl1" in done.stderr
        assert "internal error" not in done.stderr


def test_a_module_of_ours_that_cannot_be_imported_is_a_defect():
    error = ImportError("cannot import name 'x'", name="realtime_affect.types")
    with pytest.raises(ImportError, match="cannot import name 'x'"):
        missing_library(error)


def test_signals_wait_until_the_last_steps_are_done():
    done = []

    def end():
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append(1)

    with pytest.raises(KeyboardInterrupt):
        end()
    assert done == [1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.survival(28)
def test_what_is_typed_acts_on_no_terminal_where_it_is_refused(tmp_path):
    program = "from realtime_affect.cli.main import main; main()"
    for words in (["run", "-\x1b]0;owned\x07.mp4"], ["\x1b[2Jx"], ["run", "a", "\x9b2J"]):
        done = run(program, *words, cwd=tmp_path)
        assert done.returncode == 2
        assert "b'" not in done.stderr
        assert not [c for c in done.stderr + done.stdout if c not in "\n\t" and not c.isprintable()]


def test_an_error_of_a_command_is_said_as_it_is(tmp_path):
    program = "from realtime_affect.cli.main import main; main()"
    done = run(program, "analyze", "missing.mp4", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.startswith("error: input missing.mp4: got no such file"), done.stderr
