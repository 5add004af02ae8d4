"""How the service and its machine are: numbers for a file, a stream and a supervisor."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import psutil

from affect_kernels.atomic import PRIVATE, write_atomically
from realtime_affect.errors import OutputError
from realtime_affect.redact import redact
from realtime_affect.slots import LatestSlot, SlotClosed
from realtime_affect.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

State = Literal[
    "starting", "waiting", "online", "offline", "stalled", "restarting", "stopping", "ended",
    "failed",
]  # fmt: skip
"""starting: before the first reading. waiting: the source cannot be opened yet. offline: it was
lost and is being reopened. stalled: frames come and readings do not. restarting: a part failed.
ended: the source has ended, or the service was stopped. failed: it gave up."""

_LOG = logging.getLogger(__name__)
_CLOSE_WAIT_S: Final = 2.0
_SYS: Final = Path("/sys")
_AGES: Final = 600
_AGE_WINDOW_NS: Final = 10_000_000_000


@dataclass(frozen=True, slots=True)
class Machine:
    """What the system says of itself; None where it says nothing.

    Attributes
    ----------
    memory_mb : float
        Resident memory of this process.
    peak_memory_mb : float or None
        The most it ever was.
    free_memory_mb : float
        What programs could still have of the whole machine's.
    temperature_c : float or None
        Of the hottest sensor.
    hottest : str
        Its name.
    temperatures_c : mapping
        Every sensor by name; the hottest of those with the same name.
    cpu_mhz, cpu_limit_mhz, cpu_top_mhz : float or None
        The slowest core's present clock, what a power mode or heat allows it, what it can do.
    """

    memory_mb: float
    peak_memory_mb: float | None
    free_memory_mb: float
    temperature_c: float | None
    hottest: str
    temperatures_c: Mapping[str, float]
    cpu_mhz: float | None
    cpu_limit_mhz: float | None
    cpu_top_mhz: float | None


def look_at_machine(sys: Path = _SYS) -> Machine:
    """Read memory, temperatures and clocks.

    Parameters
    ----------
    sys : Path
        Where the kernel's own numbers are, which psutil does not give: thermal zones (a Jetson has
        its temperatures there alone) and the cores' highest clocks.
    """
    temperatures = _temperatures(sys)
    hottest = max(temperatures, key=lambda name: temperatures[name], default="")
    clocks = _clocks()
    return Machine(
        memory_mb=_megabytes(psutil.Process().memory_info().rss),
        peak_memory_mb=_peak_mb(),
        free_memory_mb=_megabytes(psutil.virtual_memory().available),
        temperature_c=temperatures.get(hottest),
        hottest=hottest,
        temperatures_c=temperatures,
        cpu_mhz=min((clock.current for clock in clocks if clock.current > 0), default=None),
        cpu_limit_mhz=min((clock.max for clock in clocks if clock.max > 0), default=None),
        cpu_top_mhz=_slowest_top(sys),
    )


class Ages:
    """How old readings were when they went out, over the last ten seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples: deque[tuple[int, float]] = deque(maxlen=_AGES)
        self.newest_ns: int | None = None
        """Monotonic time of the newest reading."""

    def add(self, now_ns: int, age_ms: float) -> None:
        """Note a reading; any thread may call."""
        with self._lock:
            self.newest_ns = now_ns
            self._samples.append((now_ns, age_ms))

    def percentiles(self, now_ns: int | None = None) -> tuple[float | None, float | None]:
        """Return the median and the 99th percentile in milliseconds; None where none came."""
        now_ns = time.monotonic_ns() if now_ns is None else now_ns
        with self._lock:
            recent = [age for at_ns, age in self._samples if now_ns - at_ns <= _AGE_WINDOW_NS]
        if not recent:
            return None, None
        p50, p99 = np.percentile(recent, [50, 99])
        return round(float(p50), 1), round(float(p99), 1)


@dataclass(frozen=True, slots=True)
class Health:
    """How the service is at one moment; what the health file holds.

    Attributes
    ----------
    state : str
        See :data:`State`.
    pid : int
    uptime_s : float
    fps : float
        Frames analysed a second, over the last two seconds.
    age_p50_ms, age_p99_ms : float or None
        From a frame's capture until its line was ready, over the last ten seconds.
    frames : int
        Analysed since the pipeline was last started.
    drops : mapping
        "frames" and "decisions" replaced by newer ones, "left_out" by the pace on purpose,
        "lines" that clients were too slow for.
    faces : int
        In the newest reading.
    clients : int
    rate_fps, rate_decisions_hz : float
        What load and heat allow now.
    lowered : bool
        Whether that is less than the settings ask for.
    busy_vision, busy_affect : float
        Share of the last second that the two workers worked.
    restarts : int
        How often the pipeline was started again.
    last_error : str
        Empty where there was none.
    files : str
        What is wrong with the files of ``serve.out``; empty where nothing is.
    lost : int
        Readings that they lost since the service began.
    machine : Machine
    """

    state: State
    pid: int
    uptime_s: float
    fps: float
    age_p50_ms: float | None
    age_p99_ms: float | None
    frames: int
    drops: Mapping[str, int]
    faces: int
    clients: int
    rate_fps: float
    rate_decisions_hz: float
    lowered: bool
    busy_vision: float
    busy_affect: float
    restarts: int
    last_error: str
    files: str
    lost: int
    machine: Machine

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        errors = {"last_error": redact(self.last_error), "files": redact(self.files)}
        return {**asdict(self), **errors}

    def in_a_line(self) -> str:
        """Return what ``systemctl status`` shows."""
        age = "" if self.age_p50_ms is None else f", {self.age_p50_ms:.0f} ms old"
        less = ", lowered" if self.lowered else ""
        error = f"; {redact(self.last_error)}" if self.last_error and self.state != "online" else ""
        files = f"; files: {redact(self.files)}" if self.files else ""
        return f"{self.state}, {self.fps:.1f} fps, {self.faces} faces{age}{less}{error}{files}"


def write_health(path: str | Path, health: Mapping[str, Any]) -> None:
    """Replace the health file in one step: a reader finds the old or the new, never a half.

    Only its owner may read it: it tells where the camera is and what failed.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    try:
        write_atomically(path, json.dumps(health, indent=1) + "\n", mode=PRIVATE)
    except (OSError, ValueError) as error:  # ValueError: a NUL inside the name
        raise OutputError(
            thing=f"health file {path}",
            got=getattr(error, "strerror", None) or str(error),
            expected="a file that can be written",
            hint="Its folder must exist and be ours; /run/realtime-affect is, under the unit.",
        ) from error


class HealthFile:
    """The health file, written by a thread of its own: a disk that fails or hangs ends nothing.

    Parameters
    ----------
    path : str

    Raises
    ------
    OutputError
        Its folder does not exist: a name that is wrong from the start.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        if not path or "\0" in path or not Path(path).absolute().parent.is_dir():
            raise OutputError(
                thing=f"health file {path!r}",
                got="a folder that does not exist",
                expected="a file in a folder that is there",
                hint="Its folder must exist and be ours; /run/realtime-affect is, under the unit.",
            )
        self.error = ""
        """Why the newest could not be written; empty where it was."""
        self._slot: LatestSlot[Mapping[str, Any]] = LatestSlot()
        self._worker = Worker("health file", self._write)
        self._worker.start()

    def put(self, health: Mapping[str, Any]) -> None:
        """Write it as soon as the disk takes it; a newer one replaces what waits."""
        with contextlib.suppress(SlotClosed):
            self._slot.put(health)

    def close(self) -> None:
        """Write what waits, if the disk takes it in time."""
        self._slot.close()
        self._worker.wait(_CLOSE_WAIT_S)

    def _write(self) -> None:
        while True:
            try:
                health = self._slot.get()
            except SlotClosed:
                return
            try:
                write_health(self._path, health)
            except OutputError as error:
                if not self.error:
                    _LOG.error("%s", error)
                self.error = str(error)
            else:
                if self.error:
                    _LOG.warning("the health file is written again")
                self.error = ""


def _temperatures(sys: Path) -> dict[str, float]:
    """Return every sensor and thermal zone in degrees; one that cannot be read is switched off."""
    found: dict[str, float] = {}
    for chip, sensors in getattr(psutil, "sensors_temperatures", dict)().items():
        for sensor in sensors:
            _keep_hottest(found, sensor.label or chip, sensor.current)
    for zone in sorted((sys / "class" / "thermal").glob("thermal_zone*")):
        try:
            name = (zone / "type").read_text().strip()
            _keep_hottest(found, name, int((zone / "temp").read_text()) / 1000)
        except (OSError, ValueError):
            continue
    return found


def _keep_hottest(found: dict[str, float], name: str, degrees: float) -> None:
    # Zones without a sensor say -256 or 0 for ever; nothing we run on is below freezing point.
    if degrees > 0:
        found[name] = max(degrees, found.get(name, degrees))


def _clocks() -> Sequence[Any]:
    """Return the cores' clocks; none where the machine does not tell them."""
    try:
        return psutil.cpu_freq(percpu=True) or ()
    except (AttributeError, NotImplementedError, OSError):  # as in virtual machines
        return ()


def _megabytes(n_bytes: int) -> float:
    """Return bytes in units of 2^20."""
    return round(n_bytes / 2**20, 1)


def _peak_mb() -> float | None:
    """Return the most this process ever had; getrusage's number may be that of its parent."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    peak = next((line.split()[1] for line in lines if line.startswith("VmHWM:")), None)
    return None if peak is None else _megabytes(int(peak) * 1024)


def _slowest_top(sys: Path) -> float | None:
    clocks = []
    for path in (sys / "devices" / "system" / "cpu").glob("cpu[0-9]*/cpufreq/cpuinfo_max_freq"):
        try:
            clocks.append(int(path.read_text()) / 1000)
        except (OSError, ValueError):
            continue
    return min(clocks, default=None)
