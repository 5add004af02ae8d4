import json

import pytest
from typer.testing import CliRunner

from realtime_affect.cli.main import app
from realtime_affect.cli.streams import with_streams
from realtime_affect.config import Config
from realtime_affect.errors import UsageError
from realtime_affect.outputs.line_schema import line_schema


@pytest.fixture(autouse=True)
def nobody_s_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def call(*arguments):
    return CliRunner().invoke(app, ["streams", *map(str, arguments)])


@pytest.mark.parametrize(
    ("wanted", "changes"),
    [
        ([], {}),
        (["websocket=0"], {"websocket.enabled": True, "websocket.port": 0}),
        (["osc=[::1]:7000"], {"osc.enabled": True, "osc.host": "::1", "osc.port": 7000}),
        (["osc=7000"], {"osc.enabled": True, "osc.port": 7000}),
        (["lsl=me"], {"lsl.enabled": True, "lsl.name": "me"}),
        (["tcp"], {"serve.in_run": True}),
        (["tcp=0"], {"serve.in_run": True, "serve.port": 0}),
        (["stdout"], {"serve.in_run": True, "serve.stdout": True, "serve.port": None}),
        (["unix=s"], {"serve.in_run": True, "serve.socket": "s", "serve.port": None}),
    ],
)
def test_an_option_switches_on_what_the_settings_call(wanted, changes):
    assert with_streams(Config(), wanted) == Config().with_values(changes)


@pytest.mark.parametrize("text", ["", "mqtt", "websocket=x", "osc=host:", "stdout=1", "tcp=-1"])
def test_another_word_is_refused(text):
    with pytest.raises(UsageError):
        with_streams(Config(), [text])


def test_a_remote_address_is_refused_unless_it_is_meant():
    result = call("list", "--stream", "osc=192.0.2.7:9000")
    assert result.exit_code == 2
    assert "osc.allow_remote = true" in result.stderr


def test_the_list_says_what_is_on_and_hides_the_token():
    token = "0123456789abcdef"
    result = call("list", "--stream", "websocket", "--set", f"websocket.token={token}")
    assert result.exit_code == 0, result.stderr
    assert "websocket  on   http://127.0.0.1:8766/" in result.stdout
    assert "a token" in result.stdout
    assert token not in result.stdout
    assert "lsl        off" in result.stdout


def test_the_pattern_goes_to_what_is_on_and_tells_the_counts():
    result = call("test", "--stream", "websocket=0", "--faces", 1, "--seconds", 0.2)
    assert result.exit_code == 0, result.stderr
    assert "websocket: sent 0, missed 0, clients 0" in result.stdout
    assert call("test").exit_code == 2


def test_the_schema_is_printed():
    assert json.loads(call("schema").stdout) == line_schema()
