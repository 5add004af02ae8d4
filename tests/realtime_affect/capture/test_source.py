import pytest

from realtime_affect.capture import CaptureConfig, SourceState
from realtime_affect.config import Config
from realtime_affect.errors import UsageError


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("width", 0),
        ("fps", -1.0),
        ("offline_after_s", 0.0),
        ("open_timeout_s", float("nan")),
        ("still_s", float("inf")),
        ("fourcc", "MJPEG"),
        ("rtsp_transport", "pigeon"),
        ("stream_options", ("nothing",)),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_name(key, value):
    with pytest.raises(UsageError, match=f"capture.{key}"):
        CaptureConfig(**{key: value})


def test_none_leaves_a_camera_at_its_own_settings():
    assert CaptureConfig(width=None, height=None, fps=None, fourcc=None).width is None


def test_every_key_can_be_set_from_a_settings_file():
    config = Config().with_values(
        {"capture.stream_options": ["rtsp_flags=listen"], "capture.rtsp_transport": "udp"}
    )
    assert config.capture.stream_options == ("rtsp_flags=listen",)
    assert config.capture.rtsp_transport == "udp"


def test_states_say_themselves_in_lower_case():
    assert [state.value for state in SourceState] == ["online", "offline", "ended"]
