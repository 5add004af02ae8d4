from itertools import pairwise

import pytest

from realtime_affect.config import Config
from realtime_affect.errors import UsageError
from realtime_affect.serve.config import ServeConfig
from realtime_affect.serve.presets import load_settings, preset_names

JETSONS = [
    "jetson-agx-orin.toml",
    "jetson-orin-nano.toml",
    "jetson-orin-nx.toml",
    "jetson-thor.toml",
]


def test_there_is_a_preset_for_every_jetson_and_each_is_accepted():
    assert preset_names() == JETSONS
    for name in preset_names():
        config = load_settings(name)
        assert config != Config()
        assert config.serve.fps == config.capture.fps
        assert load_settings(name.removesuffix(".toml")) == config


def test_a_smaller_machine_is_asked_for_no_more_than_a_larger_one():
    order = ("jetson-orin-nano", "jetson-orin-nx", "jetson-agx-orin", "jetson-thor")
    sizes = [
        (c.capture.width, c.track.max_faces, c.serve.fps, c.serve.decisions_hz)
        for c in map(load_settings, order)
    ]
    assert all(a <= b for low, high in pairwise(sizes) for a, b in zip(low, high, strict=True))


def test_no_preset_listens_where_others_reach_it():
    assert all(not load_settings(name).serve.allow_remote for name in preset_names())


def test_a_file_comes_before_a_preset_and_overrides_before_both(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jetson-thor.toml").write_text("[serve]\nfps = 12.0\n")
    assert load_settings("jetson-thor.toml").serve.fps == 12.0
    assert load_settings("jetson-thor.toml", ["serve.fps=9"]).serve.fps == 9.0
    assert load_settings("jetson-thor").serve.fps == 30.0


def test_neither_file_nor_preset_names_the_presets():
    with pytest.raises(UsageError, match=r"'jetson-nano'.*jetson-orin-nano\.toml"):
        load_settings("jetson-nano")


def test_an_unknown_key_of_the_service_names_the_nearest(tmp_path):
    (tmp_path / "a.toml").write_text("[serve]\nmax_client = 3\n")
    with pytest.raises(UsageError, match=r"Did you mean serve\.max_clients\?"):
        load_settings(str(tmp_path / "a.toml"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "camera.example"])
@pytest.mark.survival(28)
def test_an_address_that_others_reach_must_be_asked_for(host):
    with pytest.raises(UsageError, match=r"other machines may reach.*allow_remote"):
        ServeConfig(host=host)
    assert ServeConfig(host=host, allow_remote=True).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_needs_no_asking(host):
    assert ServeConfig(host=host).host == host


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"port": 70_000}, r"serve\.port.*70000.*0 to 65535"),
        ({"flip": 9}, r"serve\.flip"),
        ({"fps": 0.0}, r"serve\.fps.*above 0"),
        ({"min_fps": 31.0}, r"serve\.min_fps.*not more than serve\.fps"),
        ({"max_restarts": -1}, r"serve\.max_restarts"),
    ],
)
def test_a_value_out_of_range_is_refused(values, match):
    with pytest.raises(UsageError, match=match):
        ServeConfig(**values)


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_a_unix_socket_needs_a_path(path):
    with pytest.raises(UsageError, match=r"serve\.socket.*path of a file"):
        ServeConfig(socket=path)
