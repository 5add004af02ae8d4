"""The command that opens the window, and the desktop's menu."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from realtime_affect.cli import gui
from realtime_affect.cli.main import app
from realtime_affect.errors import UsageError


def test_the_menu_entry_and_its_icon_are_written_by_one_command(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    entry, icon = gui.install_desktop_entry(tmp_path)
    text = entry.read_text(encoding="utf-8")
    assert "gui %F" in text
    assert "Icon=realtime-affect" in text
    assert entry.parts[-2:] == ("applications", "realtime-affect.desktop")
    assert icon.read_text(encoding="utf-8").startswith("<svg")
    assert icon.stem == "realtime-affect"


def test_elsewhere_the_menu_entry_is_refused_with_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(UsageError, match="realtime-affect gui"):
        gui.install_desktop_entry(tmp_path)


def test_without_a_window_the_command_says_why_and_what_works(monkeypatch):
    monkeypatch.setattr(gui, "find_window", lambda: (None, "there is no display"))
    done = CliRunner().invoke(app, ["gui"])
    assert done.exit_code == 6
    assert "there is no display" in done.stderr
    assert "--headless" in done.stderr


def test_the_window_is_opened_with_what_is_named(monkeypatch):
    opened = []

    class Window:
        @staticmethod
        def run_app(config, opener, spec):
            opened.append((opener, spec, config))
            return 0

    monkeypatch.setattr(gui, "find_window", lambda: (Window, ""))
    done = CliRunner().invoke(app, ["gui", "demo", "--stream", "websocket=0"])
    assert done.exit_code == 0, done.output
    ((opener, spec, config),) = opened
    assert (opener.func, spec) == (gui.open_live, "demo")
    assert opener.keywords["streams"].names == ("websocket",)
    assert config.websocket.enabled


def test_what_the_window_opens_feeds_the_streams(monkeypatch):
    made, fed = [], []
    monkeypatch.setattr(
        "realtime_affect.runtime.pipeline.Pipeline", lambda *given, live: made.append(given) or "it"
    )
    streams = SimpleNamespace(attach=fed.append)
    assert gui.open_live("0", "settings", streams) == "it"
    assert (made, fed) == ([("0", "settings")], ["it"])
