"""Workers of a Ray cluster: an actor for each, with networks of its own.

Ray reports nothing from here: its usage statistics, its dashboard and its metrics are off. Without
an address it listens on the loopback interface alone, behind a token of its own.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import tempfile
from typing import TYPE_CHECKING, Any, Final

from realtime_affect.cores import usable_cores
from realtime_affect.corpus.analyst import Analyst
from realtime_affect.corpus.workers import (
    Lost,
    end_with_parent_or_above,
    environment,
)
from realtime_affect.errors import DeviceError
from realtime_affect.outputs.extra import import_extra

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from realtime_affect.corpus.analyst import Finished, Job, Started
    from realtime_affect.corpus.inputs import CorpusInput
    from realtime_affect.corpus.workers import CorpusWorker

LOCAL: Final = "local"
"""Instead of an address: Ray is started on this machine, for this corpus."""

SILENT: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
}
"""What the environment says before Ray is imported; its processes inherit it."""

_ON_LOOPBACK: Final = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # on Linux too: 127.0.0.1 alone
_LOOPBACK: Final = "127.0.0.1"
# Its process of usage statistics asks clouds for their name (169.254.169.254), also when those are
# off. A proxy that nobody listens at lets it ask nobody; Ray's own calls go past it.
_NO_WAY_OUT: Final = {
    "http_proxy": f"http://{_LOOPBACK}:9", "https_proxy": f"http://{_LOOPBACK}:9",
    "no_proxy": f"{_LOOPBACK},localhost",
}  # fmt: skip
_LONGEST, _SHORT = 40, "/tmp"
_NODE_DIED: Final = "node has died"
_KNOCK_S: Final = 5.0
_SAID: Final = 200  # characters of what Ray says of a worker's end


class RayActors:
    """Start actors in a cluster that is there, or in one of this machine's own.

    Parameters
    ----------
    job : Job
    address : str
        ``"host:port"`` or ``"auto"``: a cluster whose machines see the inputs and the output folder
        under the same paths and have this package; or :data:`LOCAL`.
    n : int or None
        Workers, each on one core; None = as many as there are cores.

    Raises
    ------
    DependencyError
        Ray is not installed.
    DeviceError
        There is no cluster at the address.
    """

    def __init__(self, job: Job, address: str, n: int | None) -> None:
        self._job = job
        self._memory_mb = float("inf")
        self._own: str | None = None
        self._ray = import_ray(loopback=address == LOCAL)
        how: dict[str, Any] = {"address": address}
        if address == LOCAL:
            where = tempfile.gettempdir()
            self._own = tempfile.mkdtemp(
                prefix="ray-", dir=where if len(where) < _LONGEST else _SHORT
            )
            how = {
                "num_cpus": n or len(usable_cores()), "include_dashboard": False,
                "_temp_dir": self._own,
            }  # fmt: skip
        try:
            _knock(address)
            with environment(_NO_WAY_OUT if address == LOCAL else {}):
                self._ray.init(configure_logging=False, log_to_driver=False, **how)
        except (OSError, RuntimeError, ValueError) as error:
            self.close()
            raise DeviceError(
                thing=f"Ray cluster {address}",
                got=str(error).partition("\n")[0],
                expected="a cluster that answers",
                hint="Start one with `ray start --head`, or use --ray local.",
            ) from error
        here = self._ray.util.get_node_ip_address()
        if address == LOCAL and here != _LOOPBACK:
            self.close()
            raise DeviceError(
                thing="Ray on this machine",
                got=f"one that listens on {here}",
                expected=f"one on {_LOOPBACK} alone",
                hint="Ray was imported before this package could tell it so: analyse first.",
            )
        self.cores = max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        """Of the cluster, as it is now."""
        self._actor = self._ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(RayAnalyst)

    def divide(self, n: int, memory_mb: float) -> None:
        """Prepare for workers of at most so much memory; Ray finds each a core."""
        del n
        self._memory_mb = memory_mb

    def start(self) -> CorpusWorker:
        """Start one."""
        return _Actor(self._ray, self._actor.remote(self._job, self._memory_mb), self._memory_mb)

    def wait(self, workers: Sequence[CorpusWorker], timeout_s: float) -> None:
        """Wait until one has an answer."""
        waiting = [w.answer for w in workers if isinstance(w, _Actor) and w.answer is not None]
        if waiting:
            self._ray.wait(waiting, num_returns=1, timeout=timeout_s)

    def close(self) -> None:
        """Leave the cluster; one of this machine's own ends. Idempotent."""
        self._ray.shutdown()
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)


class RayAnalyst(Analyst):
    """An analyst as an actor: a process of the cluster.

    Parameters
    ----------
    job : Job
    memory_mb : float
    """

    def __init__(self, job: Job, memory_mb: float) -> None:
        end_with_parent_or_above(memory_mb)
        super().__init__(job)

    def node(self) -> str:
        """Return the id of the cluster's node that it is on."""
        import ray

        return str(ray.get_runtime_context().get_node_id())


class _Actor:
    """One actor."""

    def __init__(self, ray: ModuleType, actor: Any, memory_mb: float) -> None:
        self._ray, self._actor, self._memory_mb = ray, actor, memory_mb
        self._node = actor.node.remote()
        self.answer: Any = actor.start.remote()

    @property
    def frames(self) -> int:
        """Nothing: actors tell of inputs that are done."""
        return 0

    def give(self, one: CorpusInput) -> None:
        """Let it analyse an input."""
        self.answer = self._actor.analyse.remote(one)

    def take(self) -> Started | Finished | Lost | None:
        """Return what it has done; None while it works."""
        if self.answer is None or not self._ray.wait([self.answer], timeout=0)[0]:
            return None
        answer, self.answer = self.answer, None
        try:
            return self._ray.get(answer)  # type: ignore[no-any-return]
        except self._ray.exceptions.RayActorError as error:
            said = " ".join(str(error).split())
            if _NODE_DIED in said or not self._node_lives():
                return Lost("its machine has left the cluster", innocent=True)
            limit = f"; it may hold {self._memory_mb:.0f} MiB"
            return Lost(f"its process died ({said.partition('Worker exit')[2][:_SAID]}){limit}")

    def spread(self) -> None:
        """Do nothing: its node leaves it all cores."""

    def close(self, *, now: bool = False) -> None:
        """End it; what it does is cut."""
        del now  # whoever closes a worker has its answer
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.kill(self._actor)

    def _node_lives(self) -> bool:
        try:
            mine = self._ray.get(self._node, timeout=0)
        except self._ray.exceptions.RayError:
            return True  # it died before it said where
        return any(node["NodeID"] == mine and node["Alive"] for node in self._ray.nodes())


def _knock(address: str) -> None:
    """Raise OSError where nobody listens: Ray would try for minutes."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon and port.isdecimal():
        with socket.create_connection((host.strip("[]"), int(port)), _KNOCK_S):
            pass


def import_ray(*, loopback: bool) -> ModuleType:
    """Import Ray with everything off that reports.

    Parameters
    ----------
    loopback : bool
        Whether what this process starts of it listens on the loopback interface alone.

    Raises
    ------
    DependencyError
        It is not installed.
    """
    os.environ.update(SILENT)
    if loopback:
        os.environ.update(_ON_LOOPBACK)
        # Without it, Ray keeps one in the home.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    return import_extra("ray", "a corpus on many machines", "batch")
