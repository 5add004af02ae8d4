import json
import stat

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
    for core, now in enumerate((1510400, 729600)):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{core}/cpufreq"
        put(folder / "scaling_cur_freq", str(now))
        put(folder / "scaling_max_freq", "1510400")
        put(folder / "cpuinfo_max_freq", "1728000")
    put(tmp_path / "proc/self/status", "Name:\tpython\nVmHWM:\t 409600 kB\nVmRSS:\t 204800 kB\n")
    put(tmp_path / "proc/meminfo", "MemTotal: 7800000 kB\nMemAvailable:    2097152 kB\n")
    return tmp_path


def test_memory_temperatures_and_clocks_are_read(jetson):
    machine = look_at_machine(jetson / "sys", jetson / "proc")
    assert (machine.temperature_c, machine.hottest) == (51.406, "cpu-thermal")
    assert machine.temperatures_c == {"cpu-thermal": 51.406, "gpu-thermal": 48.968}
    assert (machine.memory_mb, machine.peak_memory_mb) == (200.0, 400.0)
    assert machine.free_memory_mb == 2048.0
    assert (machine.cpu_mhz, machine.cpu_limit_mhz, machine.cpu_top_mhz) == (729.6, 1510.4, 1728.0)


def test_a_machine_that_says_nothing_is_not_an_error(tmp_path):
    machine = look_at_machine(tmp_path / "sys", tmp_path / "proc")
    assert machine.temperature_c is None
    assert machine.memory_mb is None
    assert machine.cpu_mhz is None


def test_this_machine_knows_its_own_memory():
    memory_mb = look_at_machine().memory_mb
    assert memory_mb is None or memory_mb > 1


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
