"""Cameras by name, on every system, without opening one; nothing of Linux is needed elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from affect_gui import cameras


def test_linux_cameras_are_listed_by_name_without_their_metadata_nodes(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    for node, name, index in (("video2", "Café Cam", 0), ("video0", "HD", 0), ("video1", "HD", 1)):
        (tmp_path / node).mkdir()
        (tmp_path / node / "name").write_text(f"{name}\n")
        (tmp_path / node / "index").write_text(f"{index}\n")
    found = cameras.list_cameras(tmp_path)
    assert [(c.spec, c.name) for c in found] == [("0", "HD"), ("2", "Café Cam")]
    assert cameras.list_cameras(tmp_path / "nothing") == ()


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_elsewhere_opencvs_own_list_is_asked_and_may_be_missing(monkeypatch, platform):
    monkeypatch.setattr(sys, "platform", platform)
    library = ModuleType("cv2_enumerate_cameras")
    library.enumerate_cameras = lambda: [SimpleNamespace(index=1400, name="FaceTime")]
    monkeypatch.setitem(sys.modules, "cv2_enumerate_cameras", library)
    assert cameras.list_cameras() == (cameras.Camera("1400", "FaceTime"),)
    monkeypatch.setitem(sys.modules, "cv2_enumerate_cameras", None)
    assert cameras.list_cameras() == ()


@pytest.mark.fault(9)
@pytest.mark.gui
def test_the_app_imports_where_nothing_of_linux_is():
    code = """
import os, sys
os.environ["QT_QPA_PLATFORM"] = "offscreen"
# Libraries first: theirs is to be there, ours is to need nothing of Linux.
import PyQt6.QtWidgets, pyqtgraph, av, cv2, psutil, matplotlib, multiprocessing.context, numba
import onnxruntime, platformdirs, pydantic, scipy.special, subprocess, tempfile, asyncio, PIL.Image
ours = ("affect_", "realtime_affect")
for platform in ("win32", "darwin"):
    sys.platform = platform
    for name in ("fcntl", "termios", "pwd", "grp", "resource", "syslog"):
        sys.modules[name] = None
    for name in [name for name in sys.modules if name.startswith(ours)]:
        del sys.modules[name]
    import affect_gui.app, affect_gui.window, realtime_affect.sessions, realtime_affect.analysis
    import realtime_affect.runtime.pipeline, realtime_affect.outputs.recording
    import realtime_affect.config
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
