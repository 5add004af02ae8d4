import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_affect.redact import redact, redact_source, redact_values, safe_cause

SECRETS = st.text(min_size=1, max_size=30)
ON_ONE_LINE = st.text(st.characters(blacklist_characters="\n\r"), min_size=1, max_size=30)
USERS = st.text(st.characters(blacklist_categories=("Cs",)), max_size=8)
HOSTS = st.sampled_from(["10.0.0.2", "camera.local:554", "[fe80::1]:8554", "h"])
RESTS = st.sampled_from(["", "/", "/live", "/a/b/c.m3u8?channel=1", "/live?x=1#there"])
SCHEMES = st.sampled_from(["rtsp", "rtsps", "http", "https", "rtmp", "srt", "ftp", "RTSP"])
KEYS = st.sampled_from([
    "password", "pwd", "passphrase", "token", "access_token", "api_key", "key", "sig", "Signature",
    "X-Amz-Credential", "X-Amz-Security-Token", "auth", "session_id", "user-pw", "jwt", "streamid",
])  # fmt: skip
# What a query can hold: what ends a value, white space and quotes stand there percent-encoded.
VALUES = st.text("abcXYZ0189%-._~+:=!$*()|", min_size=1, max_size=24)


@given(SCHEMES, USERS, SECRETS, SECRETS, HOSTS, RESTS)
@pytest.mark.survival(30)
def test_what_is_shown_of_a_source_does_not_depend_on_its_password(
    scheme, user, one, other, host, rest
):
    """With `/`, `@`, `?`, spaces and line breaks in it."""
    shown = redact(f"{scheme}://{user}:{one}@{host}{rest}")
    assert shown == redact(f"{scheme}://{user}:{other}@{host}{rest}")
    assert shown.startswith(f"{scheme}://***@{host}")


@given(SCHEMES, ON_ONE_LINE, ON_ONE_LINE, HOSTS)
def test_nor_does_what_a_message_shows(scheme, one, other, host):
    def message(password):
        return redact(f"stream {scheme}://me:{password}@{host}/live: got nothing, expected images.")

    swallows = ("://", "'", '"')  # a URL that begins in a password is taken for another one
    if not any(mark in text for mark in swallows for text in (one, other)):
        assert message(one) == message(other)
        assert message(one).endswith("got nothing, expected images.")


@given(SCHEMES, HOSTS, KEYS, VALUES, VALUES, st.sampled_from("?/;&"))
def test_values_of_secret_keys_are_hidden_in_query_and_path(scheme, host, key, one, other, before):
    shown = redact(f"{scheme}://{host}/live{before}{key}={one}&channel=2")
    assert shown == redact(f"{scheme}://{host}/live{before}{key}={other}&channel=2")
    assert shown.endswith(f"{key}=***&channel=2")


@given(SECRETS)
def test_headers_of_an_option_are_hidden_whole(secret):
    assert redact(f"headers=Authorization: Bearer {secret}") == "headers=***"
    assert redact(f"cookies={secret}") == "cookies=***"


@given(ON_ONE_LINE)
def test_authorization_is_hidden_wherever_it_stands(secret):
    assert redact(f"sent Authorization: Basic {secret}\nthen") == "sent Authorization: ***\nthen"


@given(
    st.text(max_size=60)
    | st.builds("{}://{}:{}@{}{}".format, SCHEMES, USERS, SECRETS, HOSTS, RESTS)
)
def test_hiding_twice_is_hiding_once(text):
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize("text", [
    "rtsp://10.0.0.2:554/live/ch1",
    "https://example.org/clips/BigBuckBunny_320x180_2016.mp4",
    "udp://@:5000",
    "udp://0.0.0.0:5000?fifo_size=1000000",
    "http://camera/video?channel=1&resolution=1280x720",
    "videotestsrc pattern=ball ! video/x-raw,width=640 ! videoconvert",
    "/home/me/10:30 at home.mp4",
    "clip@home.mp4",
    "config key 'serve.port': got '70000', expected 0 to 65535. Rates are a second.",
    "Another service may run; --set serve.port=0 takes a free port.",
    "rtmp://localhost/live/stream",
    "option --set 'nonsense': got no section, key and value, expected section.key=value.",
    "",
])  # fmt: skip
def test_what_is_no_secret_stays(text):
    assert redact(text) == text


@pytest.mark.parametrize(("text", "shown"), [
    ("rtsp://me:secret@10.0.0.2/live", "rtsp://***@10.0.0.2/live"),
    ("rtsp://me@10.0.0.2/live", "rtsp://***@10.0.0.2/live"),
    ("admin:secret@10.0.0.2/live", "***@10.0.0.2/live"),
    ("rtsp://10.0.0.2/user=admin&password=tlJwpbo6&channel=1.sdp",
     "rtsp://10.0.0.2/user=admin&password=***&channel=1.sdp"),
    ("https://h/live/0f3a9c2b7d6e5f41/index.m3u8", "https://h/live/***/index.m3u8"),
    ("https://h/3f2504e0-4f89-41d3-9a0c-0305e82c3301.mp4", "https://h/***"),
    ("https://h/token/abc/live", "https://h/token/***/live"),
    ("https://h/x?t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "https://h/x?t=***"),
    ("rtmp://a.example/live2/abcd-1234-efgh-5678", "rtmp://a.example/live2/***"),
    ("rtmp://a.example/app/live_4711", "rtmp://a.example/app/***"),
    ("srt://h:9000?passphrase=longenough1&latency=20", "srt://h:9000?passphrase=***&latency=20"),
    ("https://proxy/?url=rtsp%3A%2F%2Fme%3Asecret%40h%2Flive",
     "https://proxy/?url=rtsp://***@h/live"),
    ('rtspsrc location=rtsp://h/x user-id=me user-pw="my secret" ! decodebin',
     "rtspsrc location=rtsp://h/x user-id=me user-pw=*** ! decodebin"),
    ("from rtsp://a:b@h1/x to rtsp://c:d@h2/y", "from rtsp://***@h1/x to rtsp://***@h2/y"),
])  # fmt: skip
def test_examples(text, shown):
    assert redact(text) == shown


@pytest.mark.parametrize(("unit", "n"), [("x", 100_000), ("x-", 10_000), ("a:", 30_000)])
def test_a_long_text_is_searched_in_a_time_that_grows_with_its_length_alone(unit, n):
    """A second; with its square, minutes, and the limit that every test has ends it."""
    redact(unit * n)


def test_the_path_of_a_file_is_told_as_it_is(tmp_path):
    odd = tmp_path / "key=1" / "me:10@1.2.3.4"
    odd.mkdir(parents=True)
    assert redact_source(str(odd)) == redact_source(odd) == str(odd)
    assert redact_source("me:10@1.2.3.4/a") == "***@1.2.3.4/a"
    assert redact_source("rtsp://me:\0@h/" + "x" * 5000).startswith("rtsp://***@h/x")


def test_a_cause_is_kept_where_its_text_has_no_secret():
    plain = OSError(5, "Input/output error")
    assert safe_cause(plain) is plain
    assert safe_cause(OSError(5, "Input/output error", "rtsp://me:secret@h/x")) is None
    assert safe_cause(None) is None


def test_settings_are_redacted_by_the_names_of_their_keys_too():
    settings = {"serve": {"source": "rtsp://a:b@h/x", "token": "abc", "port": 1}, "n": ("x=1", 2)}
    assert redact_values(settings) == {
        "serve": {"source": "rtsp://***@h/x", "token": "***", "port": 1}, "n": ("x=1", 2),
    }  # fmt: skip
