import json
import threading

import pytest

from realtime_affect.outputs import sinks
from realtime_affect.serve import files as files_module
from tests.realtime_affect.serve.test_service import (
    Camera,
    running,
    service_of,
    settings,
    wait_until,
)


def config_for(out, **values):
    return settings(out=str(out), **values).with_values({"record.video": False})


def manifests(out):
    return [json.loads(p.read_text()) for p in sorted(out.glob("*/summary.json"))]


@pytest.mark.survival(22)
def test_a_folder_that_is_removed_is_said_and_a_new_one_begun(tmp_path):
    import shutil

    out = tmp_path / "out"
    service = service_of([Camera(None, every_s=0.01)], config_for(out))
    with running(service) as raised:
        wait_until(lambda: list(out.glob("*/fake.csv")))
        wait_until(lambda: service.health().state == "online")
        first = next(out.iterdir())
        shutil.rmtree(out)
        wait_until(lambda: "removed or moved" in service.health().files or out.exists())
        wait_until(lambda: list(out.glob("*/fake.csv")))
        wait_until(lambda: service.health().files == "")
        assert service.health().restarts == 0
        frames = service.health().frames
        wait_until(lambda: service.health().frames > frames)
    assert raised == []
    assert not first.exists()
    assert [content["outcome"] for content in manifests(out)] == ["complete"]


@pytest.mark.survival(22)
def test_a_disk_that_cannot_be_written_at_the_start_is_tried_again(tmp_path):
    out = tmp_path / "disk"
    out.write_text("a file where the folder should be")
    service = service_of([Camera(None, every_s=0.01)], config_for(out))
    with running(service) as raised:
        wait_until(lambda: service.health().files)
        wait_until(lambda: service.health().state == "online")
        out.unlink()
        wait_until(lambda: service.health().files == "" and list(out.glob("*/fake.csv")))
    assert raised == []


@pytest.mark.parametrize("where", ["write", "open"])
@pytest.mark.survival(22, stand_in="a write that waits")
def test_a_disk_that_hangs_stops_no_reading_and_is_said_until_it_goes_on(
    tmp_path, monkeypatch, where
):
    hang, hanging = threading.Event(), threading.Event()
    original = getattr(sinks.RowSink, where)

    def slow(self, *arguments):
        if hanging.is_set() or where == "open":
            hang.wait(60)
        return original(self, *arguments)

    monkeypatch.setattr(sinks.RowSink, where, slow)
    monkeypatch.setattr(files_module, "_HANGS_S", 0.1)
    monkeypatch.setattr(files_module, "_BEGIN_WAIT_S", 0.05)
    service = service_of([Camera(None, every_s=0.01)], config_for(tmp_path / "out"))
    with running(service) as raised:
        wait_until(lambda: service.health().state == "online")
        hanging.set()
        wait_until(lambda: "hangs" in service.health().files
                   or "does not answer" in service.health().files)  # fmt: skip
        frames = service.health().frames
        wait_until(lambda: service.health().frames > frames + 5)
        hang.set()
        wait_until(lambda: service.health().files == "")
    assert raised == []
    assert [content["outcome"] for content in manifests(tmp_path / "out")] == ["complete"]


@pytest.mark.survival(22)
def test_a_health_file_whose_folder_goes_ends_nothing_and_comes_back(tmp_path):
    folder = tmp_path / "health"
    folder.mkdir()
    path = folder / "health.json"
    service = service_of([Camera(None, every_s=0.01)], settings(health_file=str(path)))
    with running(service) as raised:
        wait_until(path.exists)
        folder.rename(tmp_path / "away")
        wait_until(lambda: service._health_file.error)
        assert service.health().state == "online"
        folder.mkdir()
        wait_until(path.exists)
    assert raised == []
    assert json.loads(path.read_text())["state"] == "ended"
