import os
import subprocess
import sys

import pytest

from affect_engines.cards import load_card
from affect_engines.errors import ModelError
from affect_engines.litert import LiteRtEngine
from affect_engines.store import read_model


@pytest.mark.parametrize("content", [b"", b"no network", b"TFL3" * 100])
def test_what_is_no_network_is_refused_by_name(content):
    with pytest.raises(ModelError, match="model broken"):
        LiteRtEngine(content, "broken")


def test_a_network_cut_short_is_refused(models):
    with pytest.raises(ModelError, match="model short"):
        LiteRtEngine(read_model(load_card("face_mesh"))[:1000], "short")


def test_a_file_that_is_cut_short_or_gone_while_its_network_runs_does_no_harm(tmp_path, models):
    """In a process of its own: reading what was cut off a mapped file ends the process."""
    card = load_card("face_mesh")
    (tmp_path / card.file).write_bytes(read_model(card))
    program = (
        "import os, sys\n"
        "from affect_engines import open_engine\n"
        "with open_engine('face_mesh') as engine:\n"
        "    os.truncate(sys.argv[1], 0)\n"
        "    engine.warm_up()\n"
        "    print('alive')\n"
    )
    environment = {
        **os.environ, "REALTIME_AFFECT_MODELS": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / card.file)], env=environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr
