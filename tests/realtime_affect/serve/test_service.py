import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest

from realtime_affect.capture import SourceState
from realtime_affect.config import Config
from realtime_affect.errors import (
    DependencyError,
    InputMissingError,
    OutputError,
    UsageError,
)
from realtime_affect.face.action_units import UnitEstimate
from realtime_affect.runtime.pipeline import Pipeline, WorkerError
from realtime_affect.serve import factory
from realtime_affect.serve.factory import Paces, is_awaited, open_service_source
from realtime_affect.serve.health import Machine
from realtime_affect.serve.pacing import PacedAffect, PacedFrames, PacedVision
from realtime_affect.serve.service import Service
from realtime_affect.serve.systemd import Supervisor
from realtime_affect.types import ActionUnits
from tests.realtime_affect.runtime.test_pipeline import FakeAffect, FakeSource
from tests.realtime_affect.world import Person, World

LIMIT_S = 60.0
COOL = Machine(100.0, 100.0, 4000.0, 50.0, "cpu-thermal", {}, None, None, None)
QUICK = {
    "serve.port": None,
    "serve.retry_first_s": 0.02,
    "serve.retry_max_s": 0.05,
}


def wait_until(true):
    end = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


@dataclass
class Camera(FakeSource):
    kind: str = "camera"


class BlindUnits:
    """Reads no action unit; stands in for the network, which none of this is about."""

    def read(self, points, crops, angles_rad, neutrals):
        nothing = ActionUnits(*(np.full(shape, np.nan) for shape in (17, 18, (2, 2))), 0.0)
        return [UnitEstimate(nothing, np.zeros(1, np.float32), at_rest=False) for _ in points]

    def close(self):
        pass


def settings(**values):
    return Config().with_values(QUICK | {f"serve.{key}": value for key, value in values.items()})


def pipelines(sources, affect=FakeAffect):
    """Return what makes one pipeline after the other, each from the next source or error."""
    left = iter(sources)

    def make(config: Config, paces: Paces):
        source = next(left)
        if isinstance(source, Exception):
            raise source
        world = World(lambda index: [Person("a", 200, 150)])
        vision = PacedVision(detector=world, mesher=world, units=BlindUnits())
        vision.pace = paces.frames
        return Pipeline(
            PacedFrames(source, paces.frames),
            config,
            live=True,
            vision=vision,
            affect=PacedAffect(affect(), paces.decisions),
        )

    return make


def service_of(sources, config=None, machine=COOL, **options):
    options.setdefault("supervisor", Supervisor({}))
    return Service(config or settings(), make=pipelines(sources), look=lambda: machine, **options)


@contextmanager
def running(service):
    """Run the service in a thread; yields a list that gets what it raised."""
    raised = []

    def run():
        try:
            service.run()
        except BaseException as error:  # noqa: BLE001
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield raised
    finally:
        service.stop()
        thread.join(LIMIT_S)
    assert not thread.is_alive()


def no_camera():
    return InputMissingError("camera 0", got="no device", expected="one", hint="Plug it in.")


def test_a_source_that_ends_ends_the_service(tmp_path):
    path = tmp_path / "health.json"
    service_of([FakeSource(10)], settings(health_file=str(path))).run()
    told = json.loads(path.read_text())
    assert told["state"] == "ended"
    assert told["last_error"] == ""
    assert told["machine"]["memory_mb"] == 100.0


def test_clients_get_readings_and_health(tmp_path):
    service = service_of([Camera(None, every_s=0.01)], settings(port=0))
    with running(service) as raised:
        with (
            socket.create_connection(("127.0.0.1", service.server.port), LIMIT_S) as client,
            client.makefile("rb") as stream,
        ):
            kinds, told = set(), {}
            while kinds != {"reading", "health"} or not told["health"]["faces"]:
                line = json.loads(stream.readline())
                kinds.add(line["kind"])
                told[line["kind"]] = line
        assert told["reading"]["faces"][0]["id"] == 1
        assert told["health"]["state"] == "online"
        assert told["health"]["fps"] > 0
        assert told["health"]["age_p99_ms"] >= told["health"]["age_p50_ms"] >= 0
        assert set(told["health"]["drops"]) == {"frames", "decisions", "left_out", "lines"}
    assert raised == []
    assert service.health().state == "ended"


def test_a_camera_that_is_not_there_is_waited_for():
    service = service_of([no_camera(), no_camera(), Camera(None, every_s=0.01)])
    with running(service) as raised:
        wait_until(lambda: service.health().state == "online")
        assert "no device" in service.health().last_error
        assert service.health().restarts == 0
    assert raised == []


def test_a_file_that_is_not_there_is_not_waited_for(tmp_path):
    service = service_of([no_camera()], settings(source=str(tmp_path / "clip.mp4")))
    with pytest.raises(InputMissingError):
        service.run()
    assert service.health().state == "failed"


@pytest.mark.survival(20)
def test_a_part_that_fails_is_started_again_and_faces_are_read_on():
    sources = [Camera(None, every_s=0.01, fail_at=5), Camera(None, every_s=0.01)]
    service = service_of(sources)
    with running(service) as raised:
        wait_until(lambda: service.health().restarts == 1)
        wait_until(lambda: service.health().state == "online")
        assert "driver gone" in service.health().last_error
    assert raised == []


@pytest.mark.survival(20)
def test_too_many_failures_end_the_service():
    sources = [Camera(None, fail_at=0) for _ in range(4)]
    service = service_of(sources, settings(max_restarts=3))
    with pytest.raises(WorkerError, match="driver gone"):
        service.run()
    assert service.health().restarts == 3


def test_what_trying_again_would_not_mend_ends_it_at_once():
    missing = DependencyError("a", got="no gst-launch-1.0", expected="it", hint="Install it.")
    with pytest.raises(DependencyError):
        service_of([missing]).run()
    service = service_of([Camera(None)], settings(health_file="/nowhere/at/all.json"))
    with pytest.raises(OutputError, match="health file"):
        service.run()


@pytest.mark.survival(1, stand_in="a fake camera")
def test_a_camera_that_is_lost_is_a_state_and_still_alive():
    camera = Camera(None, every_s=0.01)
    service = service_of([camera])
    with running(service):
        wait_until(lambda: service.health().state == "online")
        camera.state = SourceState.OFFLINE
        wait_until(lambda: service.health().state == "offline")
        assert service.health().fps == 0.0
        camera.state = SourceState.ONLINE
        wait_until(lambda: service.health().state == "online")


def test_files_are_written_for_each_start_and_whole(tmp_path):
    config = settings(out=str(tmp_path)).with_values({"record.video": False})
    service_of([Camera(20, every_s=0.005)], config).run()
    (folder,) = tmp_path.iterdir()
    assert {p.name for p in folder.iterdir()} == {"fake.csv", "summary.json"}
    manifest = json.loads((folder / "summary.json").read_text())
    assert (manifest["command"], manifest["outcome"]) == ("serve", "complete")
    assert manifest["inputs"][0]["frames"] > 0
    assert (folder / "fake.csv").read_text().count("\n") > 1


class HeardSupervisor(Supervisor):
    def __init__(self, watchdog_s=None):
        super().__init__({})
        self.watchdog_s = watchdog_s
        self.heard = []

    def _send(self, message):
        self.heard.append(message.partition("\n")[0])


def test_systemd_is_told_ready_once_then_alive_then_stopping():
    heard = HeardSupervisor(watchdog_s=0.3)
    with running(service_of([Camera(None, every_s=0.01)], supervisor=heard)):
        wait_until(lambda: heard.heard.count("WATCHDOG=1") > 3)
    assert heard.heard.count("READY=1") == 1
    assert "STOPPING=1" in heard.heard


def hanging_world():
    """A network that hangs for ever at the fifth frame, as a broken driver does."""
    gate = threading.Event()

    class Hanging(World):
        def estimate(self, image, region):
            if len(self.meshes) > 5:
                gate.wait(LIMIT_S)
            return super().estimate(image, region)

    return gate, Hanging(lambda index: [Person("a", 200, 150)])


@pytest.mark.parametrize("watched", [True, False])
def test_a_service_that_hangs_lets_the_watchdog_end_it_or_leaves_by_itself(watched):
    gate, world = hanging_world()
    left = []

    def abort(code):
        left.append(code)
        gate.set()

    def make(config, paces):
        vision = PacedVision(detector=world, mesher=world, units=BlindUnits())
        vision.pace = paces.frames
        frames = PacedFrames(Camera(None, every_s=0.01), paces.frames)
        return Pipeline(frames, config, live=True, vision=vision, affect=FakeAffect())

    heard = HeardSupervisor(watchdog_s=0.3 if watched else None)
    service = Service(
        settings(stall_s=0.4), make=make, look=lambda: COOL, supervisor=heard, abort=abort
    )
    with running(service):
        wait_until(lambda: len(world.meshes) > 5)  # a slow start is no hang
        wait_until(lambda: service.health().state == "stalled")
        if watched:
            del heard.heard[:]
            wait_until(lambda: len(heard.heard) > 2)
            assert "WATCHDOG=1" not in heard.heard[:3]
        else:
            wait_until(lambda: left)
        gate.set()
    assert left == ([] if watched else [1])


@pytest.mark.survival(19, stand_in="made-up temperatures")
def test_heat_lowers_how_much_is_done_and_says_so():
    hot = Machine(1.0, 1.0, 1.0, 97.0, "cpu-thermal", {"cpu-thermal": 97.0}, None, None, None)
    heard = HeardSupervisor(watchdog_s=0.15)
    service = service_of([Camera(None, every_s=0.01)], machine=hot, supervisor=heard)
    with running(service):
        wait_until(lambda: service.health().lowered)
        wait_until(lambda: service.health().rate_fps == 5.0)
        assert service.health().rate_decisions_hz < 30.0
        wait_until(lambda: service.health().drops["left_out"] > 0)


@pytest.mark.parametrize(
    ("spec", "awaited"),
    [("0", True), ("csi://0", True), ("rtsp://a/b", True), ("a ! b", True), ("demo", False),
     ("clip.mp4", False)],
)  # fmt: skip
def test_cameras_and_streams_may_come_yet_and_files_may_not(spec, awaited):
    assert is_awaited(spec) is awaited


def test_csi_and_pipelines_go_through_gst_launch_and_the_rest_as_ever(monkeypatch):
    from realtime_affect.capture import gst

    opened = []
    monkeypatch.setattr(gst, "open_csi", lambda n, config, flip: opened.append(("csi", n, flip)))
    monkeypatch.setattr(gst, "open_launch", lambda text, config: opened.append(("gst", text)))
    monkeypatch.setattr(factory, "open_source", lambda spec, c, live: opened.append((spec, live)))
    config = settings(flip=2)
    for spec in ("csi://1", "videotestsrc ! identity", "rtsp://a/b"):
        open_service_source(spec, config)
    assert opened == [("csi", 1, 2), ("gst", "videotestsrc ! identity"), ("rtsp://a/b", True)]
    with pytest.raises(UsageError, match="csi:// and the number"):
        open_service_source("csi://front", config)


@pytest.mark.usefixtures("models")
def test_every_section_of_the_settings_reaches_the_networks():
    config = settings(source="demo").with_values({"interpret.profile": "nobody"})
    with pytest.raises(UsageError, match="nobody"):
        factory.make_pipeline(config, Paces.of(config.serve))


@pytest.mark.usefixtures("models")
def test_a_signal_drains_and_ends_with_exit_code_0(tmp_path):
    health = tmp_path / "health.json"
    program = "from realtime_affect.cli.main import main; main()"
    options = ("port=0", "stdout=true", "stall_s=250", f"health_file={health}")
    with subprocess.Popen(
        [
            *(sys.executable, "-c", program, "serve", "--source", "demo"),
            *(word for option in options for word in ("--set", f"serve.{option}")),
        ],
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        try:
            first = json.loads(child.stdout.readline())
            child.send_signal(signal.SIGTERM)
            rest, said = child.communicate(timeout=250)
        finally:
            child.kill()
    assert child.returncode == 0, said
    assert first["v"] == 2
    assert not rest or rest.endswith(b"\n")
    assert json.loads(health.read_text())["state"] == "ended"
    assert b"serving on 127.0.0.1:" in said


def test_streams_get_readings_and_health_and_go_on_after_a_restart(tmp_path):
    from websockets.sync.client import connect

    failing = Camera(None, every_s=0.01, fail_at=20)
    config = settings(port=None).with_values({"websocket.enabled": True, "websocket.port": 0})
    service = service_of([failing, Camera(None, every_s=0.01)], config)
    port = service._feeds.websocket.port
    with running(service) as raised:
        with connect(f"ws://127.0.0.1:{port}/stream", compression=None) as client:
            states, again, last = set(), False, 0
            while not (again and {"online", "restarting"} <= states):
                line = json.loads(client.recv(LIMIT_S))
                if line["kind"] == "health":
                    states.add(line["state"])
                elif line["kind"] == "reading":
                    again, last = again or line["frame"] < last, line["frame"]
        assert service.health().restarts == 1
    assert raised == []
