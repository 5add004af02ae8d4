"""A headless Chromium, spoken to by its DevTools protocol: what the page's tests see it with."""

import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

from websockets.sync.client import connect

LIMIT_S = 120.0  # for a busy machine


def find_chromium():
    """Return the program, or None."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


class Browser:
    """One page of it."""

    def __init__(self, devtools):
        self._socket = devtools
        self._numbers = itertools.count(1)
        self.said = []  # what the page complained about

    def call(self, method, **params):
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            told = json.loads(self._socket.recv(LIMIT_S))
            if told.get("id") == number:
                assert "error" not in told, told
                return told["result"]
            if told.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.said.append(told["params"])

    def open(self, url, width=1280, height=900, scheme="light"):
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        self.call("Page.navigate", url=url)

    def value(self, expression):
        """Evaluate JavaScript."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def wait_until(self, expression):
        end = time.monotonic() + LIMIT_S
        while not self.value(expression):
            assert time.monotonic() < end, (expression, self.value("document.body.innerText"))
            time.sleep(0.1)

    def screenshot(self, path):
        Path(path).write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


@contextmanager
def browser(program, folder):
    """Start a browser that knows nothing of the user's, and end it."""
    process = subprocess.Popen(
        [
            program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--remote-debugging-port=0", f"--user-data-dir={folder}/profile",
            "about:blank",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        env=os.environ | {"HOME": str(folder)},
    )  # fmt: skip
    try:
        told = Path(folder) / "profile" / "DevToolsActivePort"
        end = time.monotonic() + LIMIT_S
        while not (told.exists() and len(told.read_text().split()) == 2):
            assert process.poll() is None, "the browser ended"
            assert time.monotonic() < end, "the browser did not start"
            time.sleep(0.1)
        port = told.read_text().split()[0]
        page = _page_of(port)
        with connect(page, max_size=None, open_timeout=LIMIT_S, compression=None) as devtools:
            yield Browser(devtools)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _page_of(port):
    """Return the address of the first page, by the browser's own list."""
    import urllib.request

    end = time.monotonic() + LIMIT_S
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
            pages = [page for page in json.load(answer) if page["type"] == "page"]
        if pages:
            return pages[0]["webSocketDebuggerUrl"]
        assert time.monotonic() < end, "the browser has no page"
        time.sleep(0.1)
