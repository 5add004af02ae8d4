import functools
import http.server
import itertools
import socket
import threading
from pathlib import Path

import av
import pytest

from realtime_affect.capture import CaptureConfig, SourceState, open_source
from realtime_affect.capture.streams import StreamDevice, _name, _options
from realtime_affect.errors import InputError
from tests.realtime_affect.capture.media import (
    Sender,
    free_port,
    picture,
    read_all,
    wait_until,
    write_video,
)

QUICK = CaptureConfig(open_timeout_s=60.0, reconnect_first_s=0.1)


@pytest.fixture
def served(tmp_path):
    """A web server on this machine: its folder and address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield tmp_path, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(60)


def read_some(source, n):
    frames = []

    def take():
        try:
            frames.append(source.read(0.05))
        except TimeoutError:
            return False
        return len(frames) >= n

    assert wait_until(take)
    return frames


def assert_survives_its_sender(url, container, config):
    """Frames, then OFFLINE when the sender ends, then ONLINE with the next sender."""
    with Sender(url, container):
        source = open_source(url, config, live=True)
        try:
            assert source.state is SourceState.ONLINE
            assert (source.info.kind, source.info.live) == ("stream", True)
            assert (source.info.width, source.info.height) == (160, 120)
            frames = read_some(source, 10)
        except BaseException:
            source.close()
            raise
    try:
        assert wait_until(lambda: source.state is SourceState.OFFLINE)
        with Sender(url, container):
            assert wait_until(lambda: source.state is SourceState.ONLINE)
            frames += read_some(source, 10)
            assert source.warnings[0].startswith("lost once")
    finally:
        source.close()
    assert source.state is SourceState.ENDED
    for before, after in itertools.pairwise(frames):
        assert after.index > before.index
        assert after.t_ns > before.t_ns


def test_a_udp_stream_goes_offline_and_comes_back_with_its_sender():
    assert_survives_its_sender(f"udp://127.0.0.1:{free_port()}", "mpegts", QUICK)


def test_an_rtsp_session_that_ends_is_offline_until_the_next_one():
    config = CaptureConfig(
        open_timeout_s=60.0,
        reconnect_first_s=0.1,
        stream_options=("rtsp_flags=listen", "listen_timeout=60"),
    )
    url = f"rtsp://127.0.0.1:{free_port(socket.SOCK_STREAM)}/live"
    assert_survives_its_sender(url, "rtsp", config)


def test_a_stream_that_nobody_sends_is_an_error():
    config = CaptureConfig(open_timeout_s=0.3)
    with pytest.raises(InputError, match=r"(no data|no image) within 0\.3 s"):
        open_source(f"udp://127.0.0.1:{free_port()}", config, live=True)


@pytest.mark.parametrize("scheme", ["rtsp", "tcp", "rtmp", "http"])
def test_a_refused_connection_is_an_error_without_the_password(scheme):
    url = f"{scheme}://me:secret@127.0.0.1:{free_port(socket.SOCK_STREAM)}/live"
    with pytest.raises(InputError) as caught:
        open_source(url, QUICK, live=True)
    assert "127.0.0.1" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_file_on_a_web_server_is_read_to_its_end(served):
    folder, address = served
    write_video(folder / "clip.mp4", n=30)
    source = open_source(f"{address}/clip.mp4", QUICK, live=False)
    assert (source.info.kind, source.info.n_frames, source.info.live) == ("video", 30, False)
    assert len(read_all(source)) == 30
    source.close()
    with pytest.raises(InputError, match="Not Found"):
        open_source(f"{address}/none.mp4", QUICK, live=False)


def test_a_finished_hls_list_is_a_file_and_an_unfinished_one_is_live(served):
    folder, address = served
    with av.open(
        str(folder / "list.m3u8"), "w", format="hls", options={"hls_time": "1"}
    ) as container:
        stream = container.add_stream("mpeg2video", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.gop_size = 10
        stream.codec_context.max_b_frames = 0
        for i in range(90):
            frame = av.VideoFrame.from_ndarray(picture(i), format="bgr24")
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    source = open_source(f"{address}/list.m3u8", QUICK, live=False)
    assert source.info.kind == "video"
    assert len(read_all(source)) >= 60
    source.close()

    finished = (folder / "list.m3u8").read_text()
    (folder / "live.m3u8").write_text(finished.replace("#EXT-X-ENDLIST", ""))
    live = open_source(f"{address}/live.m3u8", QUICK, live=True)
    try:
        assert live.info.kind == "stream"
        frames = read_some(live, 20)
    finally:
        live.close()
    # A piece of a second arrives at once; its images are spread over that second.
    assert frames[-1].t_ns - frames[0].t_ns >= 0.5 * 19 / 30 * 1e9


def test_the_users_options_override_ours():
    config = CaptureConfig(stream_options=("probesize=1000", "rtsp_flags = listen"))
    options = _options("rtsp://host/live", config)
    assert options["probesize"] == "1000"
    assert options["rtsp_flags"] == "listen"
    assert options["rtsp_transport"] == "tcp"
    assert options["fflags"] == "nobuffer"
    slow = _options("rtsp://host/live", CaptureConfig(low_latency=False, rtsp_transport="udp"))
    assert slow == {"rtsp_transport": "udp"}


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("rtsp://me:secret@10.0.0.2:554/live/main?token=x", "10.0.0.2-554-live-main"),
        (
            "rtsp://me:sec/r@et@10.0.0.2/live/user=me&password=x.sdp",
            "10.0.0.2-live-user-me-password",
        ),
        ("https://h/0f3a9c2b7d6e5f41/live.m3u8", "h-live.m3u8"),
        ("udp://@:5000", "5000"),
        ("srt://", "stream"),
    ],
)
def test_a_stream_is_named_after_its_place_fit_for_a_file(url, name):
    assert _name(url) == name
    assert Path(name).name == name


@pytest.mark.survival(11)
def test_a_hundred_sessions_leave_no_thread_and_no_buffer_behind(tmp_path):
    import gc
    import weakref

    import psutil

    path = str(write_video(tmp_path / "clip.ts", n=90, size=(160, 120)))
    process = psutil.Process()

    def one():
        device = StreamDevice(path, CaptureConfig())
        assert device.read() is not None
        device.close()
        return weakref.ref(device)

    one()
    gc.collect()
    gc.disable()
    try:
        threads = process.num_threads()
        gone = [one() for _ in range(100)]
        assert process.num_threads() <= threads + 2
        assert not any(device() for device in gone), "none waits for the garbage collector"
    finally:
        gc.enable()


def test_a_file_by_http_without_a_length_is_read_to_where_its_server_ends(tmp_path):
    clip = write_video(tmp_path / "clip.webm", n=12, codec="libvpx").read_bytes()

    class Endless(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)  # HTTP 1.0: no length, the end of the connection is the end
            self.end_headers()
            self.wfile.write(clip)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/clip.webm"
        source = open_source(url, live=False)
        assert len(read_all(source)) == 12
        source.close()
        server.shutdown()
