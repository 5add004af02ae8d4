import json
import stat
from types import SimpleNamespace

import psutil
import pytest

from realtime_affect.errors import OutputError
from realtime_affect.serve.health import Ages, look_at_machine, write_health


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def jetson(tmp_path):
    """The files of a Jetson, as far as we read them."""
    zones = [("cpu-thermal", "51406"), ("gpu-thermal", "48968"), ("cv0-thermal", "-256000")]
    for number, (name, value) in enumerate(zones):
        put(tmp_path / f"sys/class/thermal/thermal_zone{number}/type", f"{name}\n")
        put(tmp_path / f"sys/class/thermal/thermal_zone{number}/temp", f"{value}\n")
    for core in range(2):
        top = tmp_path / f"sys/devices/system/cpu/cpu{core}/cpufreq/cpuinfo_max_freq"
        put(top, "1728000")
    return tmp_path / "sys"


@pytest.fixture
def told(monkeypatch):
    """What psutil says, as a dict to change."""
    said = {"sensors_temperatures": {}, "cpu_freq": []}
    monkeypatch.setattr(
        psutil, "sensors_temperatures", lambda: said["sensors_temperatures"], raising=False
    )
    monkeypatch.setattr(psutil, "cpu_freq", lambda percpu: said["cpu_freq"], raising=False)
    return said


def test_temperatures_of_thermal_zones_and_clocks_are_read(jetson, told):
    told["cpu_freq"] = [
        SimpleNamespace(current=1510.4, max=1510.4), SimpleNamespace(current=729.6, max=1510.4),
    ]  # fmt: skip
    machine = look_at_machine(jetson)
    assert (machine.temperature_c, machine.hottest) == (51.406, "cpu-thermal")
    assert machine.temperatures_c == {"cpu-thermal": 51.406, "gpu-thermal": 48.968}
    assert (machine.cpu_mhz, machine.cpu_limit_mhz, machine.cpu_top_mhz) == (729.6, 1510.4, 1728.0)


def test_sensors_of_chips_count_by_label_and_the_hottest_wins(jetson, told):
    told["sensors_temperatures"] = {
        "coretemp": [
            SimpleNamespace(label="Core 0", current=61.0),
            SimpleNamespace(label="Core 1", current=70.5),
        ],
        "nvme": [SimpleNamespace(label="", current=40.0), SimpleNamespace(label="", current=44.0)],
    }
    machine = look_at_machine(jetson)
    assert (machine.temperature_c, machine.hottest) == (70.5, "Core 1")
    assert machine.temperatures_c["nvme"] == 44.0
    assert machine.temperatures_c["cpu-thermal"] == 51.406


def test_a_machine_that_says_nothing_is_not_an_error(tmp_path, told):
    told["cpu_freq"] = [SimpleNamespace(current=0.0, max=0.0)]  # as in a container
    machine = look_at_machine(tmp_path)
    assert machine.temperature_c is None
    assert (machine.cpu_mhz, machine.cpu_limit_mhz, machine.cpu_top_mhz) == (None, None, None)


def test_this_machine_knows_its_own_memory():
    machine = look_at_machine()
    assert machine.memory_mb > 1
    assert machine.peak_memory_mb is None or machine.peak_memory_mb + 1 >= machine.memory_mb
    assert machine.free_memory_mb > 1


def test_ages_are_those_of_the_last_ten_seconds():
    ages = Ages()
    second = 1_000_000_000
    ages.add(0, 900.0)
    for i in range(100):
        ages.add(20 * second + i, float(i))
    assert ages.percentiles(20 * second + 100) == (49.5, pytest.approx(98.0, abs=0.1))
    assert ages.percentiles(40 * second) == (None, None)
    assert ages.newest_ns == 20 * second + 99


def test_the_health_file_is_replaced_whole(tmp_path):
    path = tmp_path / "health.json"
    write_health(path, {"state": "online", "n": 1})
    inode = path.stat().st_ino
    write_health(path, {"state": "offline"})
    assert json.loads(path.read_text()) == {"state": "offline"}
    assert path.stat().st_ino != inode  # another file, moved over the old one
    assert [p.name for p in tmp_path.iterdir()] == ["health.json"]


def test_the_health_file_is_its_owner_s_alone(tmp_path):
    path = tmp_path / "health.json"
    path.touch(mode=0o644)
    write_health(path, {})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_health_file_that_cannot_be_written_says_so(tmp_path):
    with pytest.raises(OutputError, match=r"health file .*No such file"):
        write_health(tmp_path / "nowhere" / "health.json", {})
