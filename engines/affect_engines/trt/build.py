"""A network file -> a TensorRT plan for this GPU, once, in minutes.

One way for 10.3 to 11.x: the network is strongly typed, and its precision stands in the file
(:mod:`affect_engines.trt.precision`). What was timed is kept and makes the next build shorter.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from affect_engines.errors import ModelError
from affect_engines.store import read_model
from affect_engines.trt.engine import complaint, device_error, import_tensorrt, make_log
from affect_engines.trt.plans import (
    PlanKey,
    has_plan,
    list_plans,
    read_timings,
    require_safe_folder,
    store_plan,
    store_timings,
)
from affect_engines.trt.plugins import VERSION, register
from affect_engines.trt.precision import PRECISIONS, in_precision
from affect_kernels.cuda.driver import find_gpu
from affect_kernels.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from affect_engines.cards import ModelCard
    from affect_engines.trt.plans import StoredPlan
    from affect_kernels.cuda.driver import Gpu

MAX_BATCH: Final = 8
"""Most faces in one run of a plan; as many as the product measures in one frame by default."""

_WORKSPACE_BYTES: Final = 1 << 30
_MIN_WORKSPACE_BYTES: Final = 1 << 26


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """How far a build is.

    Attributes
    ----------
    phase : str
        What TensorRT calls what it does.
    share : float
        0 to 1, never less than before.
    """

    phase: str
    share: float


class Phases:
    """TensorRT's nested phases as one number; its threads call, so a lock guards it.

    Parameters
    ----------
    tell : callable
        Called with a :class:`BuildProgress` at every step.
    """

    def __init__(self, tell: Callable[[BuildProgress], None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._steps: dict[str, tuple[int, int]] = {}
        self._parents: dict[str, str | None] = {}
        self._share = 0.0

    def start(self, name: str, parent: str | None, n_steps: int) -> None:
        """Begin a phase of so many steps, inside `parent` if that is known."""
        with self._lock:
            self._steps[name] = 0, max(1, n_steps)
            self._parents[name] = parent if parent in self._steps else None
            self._say(name)

    def step(self, name: str, step: int) -> None:
        """Note that step number `step`, from 0, of a phase is done."""
        with self._lock:
            if name in self._steps:
                self._steps[name] = step + 1, self._steps[name][1]
                self._say(name)

    def finish(self, name: str) -> None:
        """End a phase, with whatever steps are left."""
        with self._lock:
            if name in self._steps:
                total = self._steps[name][1]
                self._steps[name] = total, total
                self._say(name)
                del self._steps[name], self._parents[name]

    def _say(self, name: str) -> None:
        shares = [self._share_of(root) for root, parent in self._parents.items() if parent is None]
        self._share = max(self._share, *shares) if shares else self._share
        self._tell(BuildProgress(name, self._share))

    def _share_of(self, name: str) -> float:
        done, total = self._steps[name]
        inside = [child for child, parent in self._parents.items() if parent == name]
        return min(1.0, (done + min(1.0, sum(map(self._share_of, inside)))) / total)


def plan_key(  # noqa: PLR0913  (each is a part of the key)
    card: ModelCard, precision: str, max_batch: int, gpu: Gpu, tensorrt: str, *,
    plugins: bool = False,
) -> PlanKey:  # fmt: skip
    """Return what a plan of `card` must fit here.

    Raises
    ------
    UsageError
        The card has no form to build this precision from.
    """
    source = source_form(card, precision, plugins=plugins)
    return PlanKey(
        source.sha256, tensorrt, gpu.name, gpu.capability, precision, max_batch,
        VERSION if plugins else "",
    )  # fmt: skip


def source_form(card: ModelCard, precision: str, *, plugins: bool = False) -> ModelCard:
    """Return the form of a network that a plan of this precision is built from.

    Raises
    ------
    UsageError
        It is no ONNX file, the precision is unknown, or the card has no quantised form, or none
        with plugins.
    """
    if not card.file.endswith(".onnx"):
        raise UsageError(
            thing=f"TensorRT plan of {card.name}",
            got=card.file or "no weights",
            expected="a network in ONNX",
            hint="Networks of MediaPipe stay on the CPU.",
        )
    if precision not in PRECISIONS:
        raise UsageError(
            thing=f"precision of {card.name}",
            got=repr(precision),
            expected="one of " + ", ".join(PRECISIONS),
            hint="fp16 is the fastest that loses next to nothing.",
        )
    if precision == "int8" and "int8" not in {card.precision, *card.forms}:
        raise UsageError(
            thing=f"precision of {card.name}",
            got="int8",
            expected="fp16 or fp32",
            hint="It has no quantised form to build from.",
        )
    if plugins:
        if card.plugins is None or precision == "int8":
            raise UsageError(
                thing=f"plugins in {card.name}",
                got="no file with nodes of ours" if card.plugins is None else "int8",
                expected="NAME.plugins.onnx beside NAME.onnx, in fp16 or fp32",
                hint="Build with --no-plugins; the exporter of IFDD writes one with --plugins.",
            )
        form = card.plugins
        return replace(card, file=form.file, sha256=form.sha256, precision="", plugins=None)
    if precision == "int8":
        return card.form("int8")
    return card.form("fp32") if card.precision else card


def build_plan(  # noqa: PLR0913  (options by name)
    card: ModelCard,
    precision: str = "fp16",
    *,
    max_batch: int = MAX_BATCH,
    rebuild: bool = False,
    plugins: bool = False,
    progress: Callable[[BuildProgress], None] | None = None,
) -> StoredPlan:
    """Build and keep a plan for GPU 0, or return the one there is.

    Ctrl-C cancels the build at TensorRT's next step. With `plugins` it calls kernels of ours, which
    no GPU has proved yet.

    Raises
    ------
    UsageError
        As :func:`source_form`.
    DependencyError
        TensorRT, or for fp16 and int8 onnx, is not installed; or it takes no plugins of ours.
    DeviceError
        No driver, no GPU, or not enough of its memory.
    ModelError
        The network's file is missing or damaged, TensorRT refuses it, or the plan cannot be kept
        where only this user may write.
    """
    source = source_form(card, precision, plugins=plugins)
    content = read_model(source)
    trt = import_tensorrt()
    version, gpu = str(trt.__version__), find_gpu()
    key = plan_key(card, precision, max_batch, gpu, version, plugins=plugins)
    if not rebuild and has_plan(key, card.name):
        there = [plan for plan in list_plans() if plan.key == key and plan.model == card.name]
        if there and there[0].state == "ok":
            return there[0]
    require_safe_folder()  # now, not after minutes
    content = in_precision(card.name, content, precision)
    if plugins:
        register(trt)
    began = time.monotonic()
    timings = read_timings(version, gpu.name)
    compiler = _Compiler(trt, card.name, precision, max_batch, progress or _ignore)
    plan, timings = compiler.run(content, timings)
    store_timings(version, gpu.name, timings)
    return store_plan(key, card.name, plan, time.monotonic() - began)


class _Compiler:
    """One build, on a thread of its own so that Ctrl-C is heard."""

    def __init__(
        self, trt: Any, name: str, precision: str, max_batch: int,
        tell: Callable[[BuildProgress], None],
    ) -> None:  # fmt: skip
        self._trt = trt
        self._name = name
        self._precision = precision
        self._max_batch = max_batch
        self._phases = Phases(tell)
        self._cancelled = threading.Event()
        self._broken: list[BaseException] = []
        self._log = make_log(trt, name)

    def run(self, content: bytes, timings: bytes) -> tuple[bytes, bytes]:
        """Return the plan, and what was timed by now."""
        found: list[tuple[bytes, bytes]] = []
        failed: list[BaseException] = []

        def work() -> None:
            try:
                found.append(self._compile(content, timings))
            except BaseException as error:  # noqa: BLE001  (raised where it was asked for)
                failed.append(error)

        thread = threading.Thread(target=work, name=f"build {self._name}", daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(0.1)
        except KeyboardInterrupt:
            self._cancelled.set()
            thread.join()
            raise
        for error in (*self._broken, *failed):
            raise error
        return found[0]

    def _compile(self, content: bytes, timings: bytes) -> tuple[bytes, bytes]:
        trt = self._trt
        try:
            builder = trt.Builder(self._log)
        except TypeError as error:  # what the bindings make of a builder that is null
            raise device_error(self._name, self._log, f"no builder: {error}") from error
        network = builder.create_network(
            1 << trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED.value
        )
        parser = trt.OnnxParser(network, self._log)
        if not parser.parse(content):
            raise self._refused(parser)
        config = builder.create_builder_config()
        watch = self._monitor()  # named, so that it lives as long as the build
        config.progress_monitor = watch
        if self._precision == "fp32":
            config.clear_flag(trt.BuilderFlag.TF32)  # fp32 is asked for, not 10 bits of it
        config.add_optimization_profile(self._profile(builder, network))
        cache = config.create_timing_cache(timings)
        if not config.set_timing_cache(cache, False):
            cache = config.create_timing_cache(b"")  # of another build of TensorRT: begin anew
            config.set_timing_cache(cache, False)
        plan = self._build(builder, network, config)
        cache = config.get_timing_cache()
        return bytes(plan), bytes(cache.serialize())

    def _build(self, builder: Any, network: Any, config: Any) -> Any:
        """Build, with less scratch memory where it is short."""
        trt = self._trt
        workspace = _WORKSPACE_BYTES
        while True:
            config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
            plan = builder.build_serialized_network(network, config)
            if plan is not None:
                return plan
            failure = device_error(self._name, self._log, "no plan")
            if "memory" not in failure.expected or self._cancelled.is_set():
                raise self._unbuilt()
            if workspace <= _MIN_WORKSPACE_BYTES:
                raise failure
            workspace //= 4
            self._log.errors.clear()

    def _profile(self, builder: Any, network: Any) -> Any:
        """Return the range of the first lengths: from one face to the most."""
        profile = builder.create_optimization_profile()
        for i in range(network.num_inputs):
            tensor = network.get_input(i)
            shape = tuple(tensor.shape)
            if -1 in shape[1:]:
                raise ModelError(
                    thing=f'{self._name} input "{tensor.name}"',
                    got=str(shape),
                    expected="lengths that are fixed but for the first, the number of faces",
                    hint="Export the network so.",
                )
            if shape[:1] == (-1,):
                few, most = (1, *shape[1:]), (self._max_batch, *shape[1:])
                # One face is what most images have: timed best for that.
                profile.set_shape(tensor.name, few, few, most)
        return profile

    def _monitor(self) -> Any:
        """Return what TensorRT tells its progress, from threads of its own."""
        trt: Any = self._trt
        phases, cancelled, guarded = self._phases, self._cancelled, self._guarded

        class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
            def __init__(self) -> None:
                trt.IProgressMonitor.__init__(self)

            def phase_start(
                self, phase_name: str, parent_phase: str | None, num_steps: int
            ) -> None:
                guarded(lambda: phases.start(phase_name, parent_phase, num_steps))

            def step_complete(self, phase_name: str, step: int) -> bool:
                guarded(lambda: phases.step(phase_name, step))
                return not cancelled.is_set()

            def phase_finish(self, phase_name: str) -> None:
                guarded(lambda: phases.finish(phase_name))

        return Monitor()

    def _guarded(self, tell: Callable[[], None]) -> None:
        """Keep what telling raises: going through TensorRT it would end the process."""
        try:
            tell()
        except BaseException as error:  # noqa: BLE001  (raised again once TensorRT has returned)
            self._broken.append(error)
            self._cancelled.set()

    def _refused(self, parser: Any) -> ModelError:
        told = []
        for i in range(parser.num_errors):
            fault = parser.get_error(i)
            told.append(f"{fault.node_operator()} {fault.node_name()}: {fault.desc()}")
        return ModelError(
            thing=f"{self._name} in {self._precision}",
            got="; ".join(told) or complaint(self._log, "an error without words"),
            expected="a network TensorRT can read",
            hint="Try --precision fp32, and please report this.",
        )

    def _unbuilt(self) -> ModelError:
        return ModelError(
            thing=f"TensorRT plan of {self._name} in {self._precision}",
            got="cancelled" if self._cancelled.is_set() else complaint(self._log, "no plan"),
            expected="a plan",
            hint="Try --precision fp32, and please report this.",
        )


def _ignore(_: BuildProgress) -> None:
    """Say nothing."""
