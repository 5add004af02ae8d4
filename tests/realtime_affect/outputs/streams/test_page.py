"""The page, in a real browser."""

import shutil

import pytest

from realtime_affect.config import Config
from realtime_affect.outputs.streams.opened import OpenStreams
from realtime_affect.outputs.streams.pattern import pattern_pipeline
from tests.realtime_affect.outputs.streams.chromium import browser, find_chromium


@pytest.mark.slow
def test_a_browser_shows_faces_bars_spikes_health_and_takes_a_marker(tmp_path):
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium is installed (apt install chromium)")
    config = Config().with_values({"websocket.enabled": True, "websocket.port": 0})
    with (
        browser(program, tmp_path) as page,
        pattern_pipeline(2) as pipeline,
        OpenStreams(config) as streams,
    ):
        streams.attach(pipeline)
        pipeline.start()
        page.open(streams.websocket.url, 390, 844, "dark")
        page.wait_until("document.querySelectorAll('article').length == 2")
        page.wait_until("document.getElementById('state').textContent == 'online'")
        page.wait_until("document.body.innerText.includes('AU12 lip corner puller')")
        page.wait_until("[...document.querySelectorAll('.fill')].some(f => f.offsetWidth > 9)")
        page.wait_until("document.body.innerText.includes('spike')")
        assert page.value(
            "document.documentElement.scrollWidth <= innerWidth"
        )  # nothing sticks out
        label = "<img src=x onerror=alert(1)>"
        page.value(
            f"document.querySelector('#mark input').value = {label!r};"
            "document.querySelector('#mark').requestSubmit()"
        )
        page.wait_until(f"document.getElementById('markers').textContent.includes({label!r})")
        page.screenshot(tmp_path / "page.png")
        assert page.said == []  # no error, nothing that the policy refused
    assert (tmp_path / "page.png").stat().st_size > 10_000
    shutil.rmtree(tmp_path / "profile", ignore_errors=True)
