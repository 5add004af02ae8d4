"""Which backend runs a network, and why not another.

What is asked for by name is opened or is an error. ``"auto"`` takes the first that works: of an
ONNX network TensorRT with a plan that fits, onnxruntime's CUDA provider, onnxruntime on the CPU,
and the next one when a GPU fails while it runs; of a ``.tflite`` network our compiled pass where
its layers and the processor allow, LiteRT for all others.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from affect_engines.base import Closeable
from affect_engines.errors import DeviceError, ModelError
from affect_kernels.errors import AffectError, DependencyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from affect_engines.base import Engine, Feed, TensorSpec
    from affect_engines.cards import ModelCard
    from affect_engines.trt.plans import StoredPlan

ONNX_BACKENDS: Final = ("tensorrt", "cuda", "onnxruntime")
"""Backends of ONNX networks, in the order in which ``"auto"`` tries them."""

TFLITE_BACKENDS: Final = ("blocks", "litert")
"""Backends of ``.tflite`` networks, in the order in which ``"auto"`` tries them."""

WITH_PLUGINS: Final = "tensorrt with plugins"
"""What the log calls a plan that calls kernels of ours; tried first where one was built."""

_TRIED: Final = "action_units"  # shipped and small: what a backend is tried with
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BackendState:
    """Whether a backend can be used on this machine.

    Attributes
    ----------
    name : str
    usable : bool
    why : str
        Its version and device, or what it lacks.
    hint : str
        What to do about that; empty where there is nothing to do.
    """

    name: str
    usable: bool
    why: str
    hint: str = ""


class FallbackEngine(Closeable):
    """The first backend that opens, and the next one when its GPU fails.

    Parameters
    ----------
    name : str
        Of the network, for the log.
    openers : sequence of (str, callable)
        Backends by name, the best first.

    Raises
    ------
    AffectError
        None opens: the last one's error.
    """

    def __init__(self, name: str, openers: Sequence[tuple[str, Callable[[], Engine]]]) -> None:
        self._name = name
        self._left = list(openers)
        self._why: list[str] = []
        self._engine: Engine | None = None
        self._open_next()

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Inputs of the backend in use."""
        return self._current().inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Outputs of the backend in use."""
        return self._current().outputs

    def infer(self, feeds: Mapping[str, Feed]) -> Mapping[str, NDArray[Any]]:
        """Run once, on the next backend if this one's GPU fails and another is left."""
        while True:
            engine = self._current()
            try:
                return engine.infer(feeds)
            except DeviceError as error:
                if not self._left:
                    raise
                _LOG.warning("%s: %s failed: %s", self._name, self.backend, error)
                self._why.append(f"{self.backend} failed: {error.got}")
                engine.close()
                self._open_next()

    def warm_up(self) -> None:
        """Run once on zeros."""
        self._current().warm_up()

    def close(self) -> None:
        """Close what is open. Idempotent."""
        self._left = []
        if self._engine is not None:
            self._engine.close()

    def only(self) -> Engine | None:
        """Return the engine itself where no other is left to go on with."""
        return None if self._left else self._engine

    def _current(self) -> Engine:
        if self._engine is None:  # the last one left could not be opened
            raise ModelError(
                self._name, got="no engine", expected="an open engine", hint="Open it anew."
            )
        return self._engine

    def _open_next(self) -> None:
        self._engine = None
        while True:
            self.backend, opener = self._left.pop(0)
            try:
                self._engine = opener()
            except (DependencyError, DeviceError, ModelError, UsageError) as error:
                if not self._left:
                    raise
                self._why.append(f"not {self.backend}: {reason(error)}")
            else:
                _LOG.info("%s", "; ".join([f"{self._name}: {self.backend}", *self._why]))
                return


def open_onnx(card: ModelCard, backend: str, precision: str, *, build: bool) -> Engine:
    """Open an ONNX network; see :func:`affect_engines.open_engine`."""
    openers: dict[str, Callable[[], Engine]] = {
        "tensorrt": partial(_open_tensorrt, card, precision, build=build),
        "cuda": partial(_open_cuda, card, precision),
        "onnxruntime": partial(_open_cpu, card, precision),
    }
    asked = ONNX_BACKENDS if backend == "auto" else (backend,)
    left = [(name, openers[name]) for name in asked]
    if "tensorrt" in asked and _has_plugins(card):
        # It is TensorRT either way: where the plugins fail, its plain plan is next.
        first = partial(_open_tensorrt, card, precision, build=False, plugins=True)
        left.insert(0, (WITH_PLUGINS, first))
    if len(left) == 1:
        engine = left[0][1]()
        _LOG.info("%s: %s, as asked for", card.name, backend)
        return engine
    chosen = FallbackEngine(card.name, left)
    return chosen.only() or chosen


def open_tflite(card: ModelCard, backend: str) -> Engine:
    """Open a ``.tflite`` network; see :func:`affect_engines.open_engine`."""
    from affect_engines.litert import LiteRtEngine
    from affect_engines.store import read_model

    model = read_model(card)
    why = "as asked for"
    if backend != "litert":
        from affect_engines.blocks import BlocksEngine

        try:
            engine = BlocksEngine(model, card.name)
        except UsageError as error:
            if backend != "auto":
                raise
            why = f"not blocks: {error.got}"
        else:
            _LOG.info("%s: blocks", card.name)
            return engine
    _LOG.info("%s: litert; %s", card.name, why)
    return LiteRtEngine(model, card.name)


def find_plan(card: ModelCard, precision: str, *, plugins: bool = False) -> StoredPlan:
    """Return the plan for this network, TensorRT and GPU; ``"auto"`` prefers fp16, then int8.

    With `plugins` only plans that call our plugins count, else only those that call none.

    Raises
    ------
    DeviceError, DependencyError, UsageError
        As :func:`affect_engines.trt.build.build_plan`.
    ModelError
        There is none; the error says what there is, and how to build it.
    """
    from affect_engines.trt.build import plan_key, source_form
    from affect_engines.trt.engine import import_tensorrt
    from affect_engines.trt.plans import list_plans, plans_folder
    from affect_engines.trt.precision import PRECISIONS
    from affect_kernels.cuda.driver import find_gpu

    if precision != "auto":
        source_form(card, precision, plugins=plugins)
    gpu = find_gpu()  # first: it answers at once, and without it nothing else matters
    version = str(import_tensorrt().__version__)
    ours = [
        plan
        for plan in list_plans()
        if plan.model == card.name and bool(plan.key.plugins) == plugins
    ]
    wanted = PRECISIONS if precision == "auto" else (precision,)
    foreign: set[str] = set()
    for name in wanted:
        if precision == "auto" and name == "int8" and (plugins or not _has_int8(card)):
            continue
        for plan in ours:
            if plan.key.precision == name:
                key = plan_key(card, name, plan.key.max_batch, gpu, version, plugins=plugins)
                if plan.key == key:
                    return plan
                foreign.update(plan.key.differs(key))
    asked = "" if precision == "auto" else f" --precision {precision}"
    asked += " --plugins" if plugins else ""
    raise ModelError(
        thing=f"TensorRT plan of {card.name}",
        got="only foreign ones: " + ", ".join(sorted(foreign)) if foreign else "none",
        expected=f"one for TensorRT {version} on {gpu.name} in {plans_folder()}",
        hint=f"Build it, once: realtime-affect engines build {card.name}{asked}.",
    )


def probe() -> tuple[BackendState, ...]:
    """Look at every backend of ONNX networks; where a GPU is, this takes a second or two."""
    checks: dict[str, Callable[[], str]] = {
        "tensorrt": _look_at_tensorrt, "cuda": _look_at_cuda, "onnxruntime": _look_at_cpu,
    }  # fmt: skip
    found = []
    for name in ONNX_BACKENDS:
        try:
            found.append(BackendState(name, usable=True, why=checks[name]()))
        except AffectError as error:
            found.append(BackendState(name, usable=False, why=reason(error), hint=error.hint))
    return tuple(found)


def probe_tflite() -> tuple[BackendState, ...]:
    """Look at the backends of ``.tflite`` networks."""
    from importlib.metadata import version

    from affect_kernels.separable_blocks.llvm import missing_features

    missing = missing_features()
    why = f"this processor lacks {', '.join(missing)}" if missing else "our compiled pass"
    litert = f"LiteRT {version('ai-edge-litert')} on the CPU"
    return (
        BackendState("blocks", usable=not missing, why=f"the face mesh: {why}"),
        BackendState("litert", usable=True, why=litert),
    )


def reason(error: AffectError) -> str:
    """Return an error's first half: what is wrong."""
    return f"{error.thing}: {error.got}"


def open_plan(plan: StoredPlan) -> Engine:
    """Open a plan as it is, after checking its hash; it must fit this machine.

    Raises
    ------
    DependencyError, DeviceError, ModelError
        As :class:`affect_engines.trt.engine.TrtEngine`.
    """
    from affect_engines.trt.engine import TrtEngine
    from affect_engines.trt.plans import read_plan

    content = read_plan(plan.key, plan.model)
    return _settled(TrtEngine(content, plan.model, plugins=bool(plan.key.plugins)))


def _open_tensorrt(
    card: ModelCard, precision: str, *, build: bool, plugins: bool = False
) -> Engine:
    from affect_engines.trt.build import build_plan

    try:
        plan = find_plan(card, precision, plugins=plugins)
    except ModelError:
        if not build:
            raise
        plan = build_plan(card, "fp16" if precision == "auto" else precision)
    return open_plan(plan)


def _open_cuda(card: ModelCard, precision: str) -> Engine:
    from affect_engines.ort import OrtEngine
    from affect_engines.store import read_model
    from affect_kernels.cuda.driver import find_gpu

    if precision == "auto" and card.precision:
        card = card.form("fp32")  # int8 form is made for CPUs
    card = _ort_form(card, precision)
    find_gpu()
    return _settled(OrtEngine(read_model(card), card.name, "cuda"))


def _settled(engine: Engine) -> Engine:
    """Warm an engine up on its GPU: what that lacks shows now, and not at the first decision."""
    try:
        engine.warm_up()
    except BaseException:
        engine.close()
        raise
    return engine


def _open_cpu(card: ModelCard, precision: str) -> Engine:
    from affect_engines.ort import OrtEngine
    from affect_engines.store import read_model

    card = _ort_form(card, precision)
    return OrtEngine(read_model(card), card.name)


def _ort_form(card: ModelCard, precision: str) -> ModelCard:
    """Return the form onnxruntime runs in a precision; ``"auto"`` is the card as it is."""
    if precision == "fp16":
        raise UsageError(
            thing=f"precision of {card.name}",
            got="fp16",
            expected="fp32 or int8, which onnxruntime runs",
            hint="fp16 is what TensorRT's plans are built in.",
        )
    if precision == "auto" or (precision == "fp32" and not card.precision):
        return card
    return card.form(precision)


def _has_int8(card: ModelCard) -> bool:
    return "int8" in {card.precision, *card.forms}


def _has_plugins(card: ModelCard) -> bool:
    """Return whether a plan with plugins was built of this network, for whatever machine."""
    from affect_engines.trt.plans import list_plans

    return card.plugins is not None and any(
        plan.model == card.name and plan.key.plugins for plan in list_plans()
    )


def _look_at_tensorrt() -> str:
    from affect_engines.trt.engine import import_tensorrt, is_real
    from affect_engines.trt.plans import list_plans
    from affect_kernels.cuda.driver import find_gpu

    gpu = find_gpu()
    version = str(import_tensorrt().__version__)
    if not is_real(version):
        raise DependencyError(
            thing="TensorRT",
            got=f"{version}, a stand-in for tests",
            expected="TensorRT",
            hint="Nothing that is measured with it counts.",
        )
    fitting = [
        plan
        for plan in list_plans()
        if plan.key == replace(plan.key, tensorrt=version, gpu=gpu.name, capability=gpu.capability)
    ]
    if not fitting:
        raise ModelError(
            thing=f"TensorRT {version} on {gpu.name}",
            got="no plan is built yet",
            expected="a plan for each network",
            hint="realtime-affect engines build (minutes, once).",
        )
    names = ", ".join(f"{plan.model} {plan.key.precision}" for plan in fitting)
    return f"TensorRT {version} on {gpu.name}: {names}"


def _look_at_cuda() -> str:
    from affect_engines.cards import load_card
    from affect_engines.ort import import_onnxruntime
    from affect_kernels.cuda.driver import find_gpu

    gpu = find_gpu()
    onnxruntime = import_onnxruntime()
    # Whether CUDA's libraries are all there shows only once a network is opened.
    _open_cuda(load_card(_TRIED), "fp32").close()
    return f"onnxruntime {onnxruntime.__version__} on {gpu.name}"


def _look_at_cpu() -> str:
    from affect_engines.ort import import_onnxruntime

    return f"onnxruntime {import_onnxruntime().__version__} on the CPU"
