import pytest

from realtime_affect.config import Config
from realtime_affect.errors import UsageError
from realtime_affect.outputs.manifest import Manifest

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"websocket.host": "0.0.0.0"}, "other machines may reach.*allow_remote"),
        ({"websocket.host": "0.0.0.0", "websocket.allow_remote": True}, "a token, as other"),
        ({"websocket.token": "short"}, "16 characters"),
        ({"websocket.key": "k.pem"}, "the PEM file that websocket.key belongs to"),
        ({"osc.host": "192.0.2.7"}, "other machines may reach.*allow_remote"),
        ({"osc.prefix": "affect"}, "an OSC address"),
        ({"osc.groups": ["souls"]}, "osc.groups"),
        ({"lsl.faces": 0}, "1 to 16"),
    ],
)
def test_what_would_surprise_is_refused(values, why):
    with pytest.raises(UsageError, match=why):
        Config().with_values(values)


def test_remote_is_possible_where_it_is_asked_for_with_a_token():
    asked = {"websocket.host": "::", "websocket.allow_remote": True, "websocket.token": TOKEN}
    assert Config().with_values(asked).websocket.host == "::"


def test_a_token_reaches_no_record_and_no_error(tmp_path):
    config = Config().with_values({"websocket.token": TOKEN})
    manifest = Manifest(tmp_path, "run", config, ["demo"])
    assert TOKEN not in manifest.path.read_text()
    with pytest.raises(UsageError) as error:
        config.with_values({"websocket.token": "secret"})
    assert "secret'" not in str(error.value)
