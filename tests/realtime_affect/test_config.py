import json

import pytest

from realtime_affect.config import Config, load_config
from realtime_affect.errors import UsageError
from realtime_affect.face.track import TrackConfig


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """No test reads the settings of the person who runs it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "realtime-affect"
    folder.mkdir(parents=True)
    return folder


def toml(tmp_path, text):
    path = tmp_path / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_files_the_defaults_hold():
    assert load_config() == Config()


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path):
    path = toml(tmp_path, '[track]\nmax_faces = 3\nreentry_ms = 500\n[detect]\nrange = "full"\n')
    config = load_config(path)
    assert config.track == TrackConfig(max_faces=3, reentry_ms=500.0)
    assert config.detect.range == "full"
    assert config.record == Config().record


def test_the_user_s_file_is_read_unless_another_is_named(home, tmp_path):
    (home / "config.toml").write_text("[track]\nmax_faces = 5\n")
    assert load_config().track.max_faces == 5
    assert load_config(toml(tmp_path, "")).track.max_faces == TrackConfig().max_faces


def test_overrides_win_over_files_and_later_ones_over_earlier(tmp_path):
    path = toml(tmp_path, "[track]\nmax_faces = 3\nreentry_ms = 500\n")
    config = load_config(
        path, ["track.max_faces=4", "track.max_faces = 6", "record.landmarks=true"]
    )
    assert config.track == TrackConfig(max_faces=6, reentry_ms=500.0)
    assert config.record.landmarks is True


@pytest.mark.parametrize(("text", "value"), [("full", "full"), ('"short"', "short")])
def test_text_in_an_override_stands_with_or_without_quotes(text, value):
    assert load_config(overrides=[f"detect.range={text}"]).detect.range == value


def test_none_empties_an_optional_value():
    config = load_config(overrides=["detect.min_score=0.5", "detect.min_score=none"])
    assert config.detect.min_score is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[trak]\nmax_faces = 3", r"section 'trak': got an unknown name.*Did you mean track\?"),
        ("[trak]", r"section 'trak': got an unknown name.*Did you mean track\?"),
        ("[track]\nmax_face = 3", r"key 'track.max_face'.*Did you mean track.max_faces\?"),
        ("[track]\nzzz = 3", r"key 'track.zzz'.*one of track.max_faces, .*docs/configuration.md"),
        ("max_faces = 3", "key 'max_faces': got a key outside any section, expected"),
        ("[track]\nmax_faces = 'many'", r"got 'many' \(str\), expected a whole number"),
        ("[track]\nmax_faces = 2.5", r"got 2.5 \(float\), expected a whole number"),
        ("[track]\nmax_faces = true", r"got True \(bool\), expected a whole number"),
        ("[track]\nreentry_ms = nan", r"got nan \(float\), expected a finite number"),
        ("[detect]\nrange = 'far'", "got 'far' .*expected one of 'auto', 'short', 'full'"),
        ("[record]\nlandmarks = 1", r"got 1 \(int\), expected true or false"),
        ("[track\nmax_faces = 3", "settings.toml: got .*expected TOML"),
        ("[track.max_faces]\nx = 1", r"got {'x': 1} \(dict\), expected a whole number"),
    ],
)
def test_what_is_not_ours_is_refused_with_the_nearest_known(tmp_path, text, message):
    with pytest.raises(UsageError, match=message) as caught:
        load_config(toml(tmp_path, text))
    assert caught.value.hint


@pytest.mark.parametrize("text", ["track.max_faces", "max_faces=3", "=", "track.max_faces="])
def test_a_malformed_override_is_a_usage_error(text):
    with pytest.raises(UsageError):
        load_config(overrides=[text])


def test_a_file_that_is_missing_or_unreadable_says_so(tmp_path):
    with pytest.raises(UsageError, match=r"missing.toml: got No such file"):
        load_config(tmp_path / "missing.toml")
    with pytest.raises(UsageError, match=r"config file .*got Is a directory"):
        load_config(tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="expected TOML"):
        load_config(tmp_path / "bytes.toml")


def test_every_section_is_json_with_all_of_its_keys():
    plain = Config().as_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["track"]["max_faces"] == TrackConfig().max_faces
    assert set(plain) == {
        *("capture", "detect", "track", "action_units", "affect", "micro", "interpret"),
        *("overlay", "record", "serve", "websocket", "osc", "lsl"),
    }


def test_every_default_is_of_the_type_its_field_declares():
    flat = {
        f"{section}.{key}": value
        for section, keys in Config().as_dict().items()
        for key, value in keys.items()
    }
    assert Config().with_values(flat) == Config()


@pytest.mark.survival(28)
def test_lists_in_lists_without_end_are_a_usage_error(tmp_path):
    path = tmp_path / "deep.toml"
    path.write_text("[track]\nmax_faces = " + "[" * 100_000)
    with pytest.raises(UsageError, match=r"deep\.toml"):
        load_config(path)
    with pytest.raises(UsageError, match=r"track\.max_faces"):
        load_config(None, ["track.max_faces=" + "[" * 100_000])


@pytest.mark.survival(28)
def test_what_may_never_end_is_no_config_file(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "large.toml").write_bytes(b"#" * (1 << 21))
    for name in ("pipe.toml", "large.toml", ".", "a\0b"):
        with pytest.raises(UsageError, match="config file"):
            load_config(tmp_path / name)


@pytest.mark.parametrize("pair", ["capture.offline_after_s=1e300", "serve.stall_s=1e10",
                                  "track.max_faces=" + "9" * 30, "record.crf=-5"])  # fmt: skip
def test_numbers_that_no_clock_or_library_takes_are_refused(pair):
    with pytest.raises(UsageError, match=pair.partition("=")[0]):
        load_config(None, [pair])
