"""What ``realtime-affect engines`` does: build, list, check and clear TensorRT plans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from affect_engines import open_engine
from affect_engines.cards import card_of_file, list_cards, load_card
from affect_engines.errors import DeviceError, ModelError
from affect_engines.parity import TOLERANCES, difference
from affect_engines.selection import find_plan, open_plan, probe, probe_tflite, reason
from affect_engines.trt.build import MAX_BATCH, build_plan, source_form
from affect_engines.trt.plans import clear_plans, list_plans, plans_folder, read_plan
from affect_kernels.errors import DependencyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from affect_engines.trt.build import BuildProgress
    from affect_engines.trt.plans import StoredPlan

    Say = Callable[[str], None]


def buildable() -> tuple[str, ...]:
    """Return the networks that a plan can be built of: ours, in ONNX, with weights."""
    return tuple(name for name in list_cards() if load_card(name).file.endswith(".onnx"))


def list_engines(say: Say) -> None:
    """Tell every backend and every plan there is."""
    for state in (*probe_tflite(), *probe()):
        say(f"{state.name:<12} {'usable' if state.usable else 'no':<7} {state.why}")
        if state.hint:
            say(f"{'':<20} {state.hint}")
    plans = list_plans()
    say("")
    for plan in plans:
        key = plan.key
        faces = f"{key.max_batch} face{'s' * (key.max_batch > 1)}"
        say(
            f"{plan.model:<16} {key.precision:<5} {_state(plan):<8} {plan.n_bytes / 1e6:.1f} MB, "
            f"TensorRT {key.tensorrt}{_plugins(plan)}, {key.gpu} ({key.capability}), "
            f"up to {faces}, "
            f"built in {plan.built_s:.0f} s"
        )
    if not plans:
        say(f"No TensorRT plans in {plans_folder()}.")


def build_engines(  # noqa: PLR0913  (a command's options)
    models: Sequence[str],
    precision: str,
    say: Say,
    *,
    max_batch: int = MAX_BATCH,
    rebuild: bool = False,
    plugins: bool = False,
    progress: Callable[[str, BuildProgress], None] | None = None,
) -> tuple[StoredPlan, ...]:
    """Build the plans of some networks, or of all that have one of this precision.

    Networks are named by their cards, or are .onnx files of whoever brings them.

    Raises
    ------
    UsageError, DependencyError, DeviceError, ModelError
        As :func:`affect_engines.trt.build.build_plan`, for the first network that fails.
    """
    cards = [
        card_of_file(Path(name)) if name.endswith(".onnx") else load_card(name)
        for name in models or buildable()
    ]
    built = []
    for card in cards:
        try:
            source_form(card, precision, plugins=plugins)
        except UsageError as error:
            if models or not (plugins or precision == "int8"):
                raise
            say(f"{card.name:<16} left out: {reason(error)}; {error.hint}")
            continue

        def tell(now: BuildProgress, name: str = card.name) -> None:
            if progress is not None:
                progress(name, now)

        plan = build_plan(
            card, precision, max_batch=max_batch, rebuild=rebuild, plugins=plugins, progress=tell
        )
        say(
            f"{card.name:<16} {precision:<5} ok  {plan.path} ({plan.built_s:.0f} s{_plugins(plan)})"
        )
        built.append(plan)
    return tuple(built)


def verify_engines(say: Say) -> None:
    """Check every plan's hash; where one fits this machine, run it beside the CPU.

    Raises
    ------
    ModelError
        A plan is damaged, or says something else than the CPU; all others were looked at.
    DeviceError
        A plan that fits cannot be run.
    """
    wrong: list[ModelError] = []
    plans = list_plans()
    for plan in plans:
        try:
            read_plan(plan.key, plan.model)
            say(f"{plan.model:<16} {plan.key.precision:<5} ok  {_verdict(plan)}")
        except ModelError as error:
            say(f"{plan.model:<16} {plan.key.precision:<5} NO  {reason(error)}")
            wrong.append(error)
    if not plans:
        say(f"No TensorRT plans in {plans_folder()}.")
    if wrong:
        raise wrong[0]


def clear_engines(models: Sequence[str], say: Say) -> None:
    """Delete the plans of some networks, or all, and say which.

    Raises
    ------
    UsageError
        A name is neither a network's nor a plan's.
    ModelError
        A file cannot be deleted.
    """
    kept = {plan.model for plan in list_plans()}
    for name in models:
        if name not in kept:
            load_card(name)
    gone = clear_plans(models)
    for path in gone:
        say(f"deleted {path}")
    if not gone:
        say(f"Nothing to delete in {plans_folder()}.")


def _plugins(plan: StoredPlan) -> str:
    return f", plugins {plan.key.plugins}" if plan.key.plugins else ""


def _state(plan: StoredPlan) -> str:
    """Return a plan's state, "foreign" where it is whole and not for this machine."""
    if plan.state != "ok":
        return plan.state
    return "ok" if _fits(plan) or plan.model not in list_cards() else "foreign"


def _fits(plan: StoredPlan) -> bool:
    try:
        card, plugins = load_card(plan.model), bool(plan.key.plugins)
        return find_plan(card, plan.key.precision, plugins=plugins).key == plan.key
    except (DependencyError, DeviceError, ModelError, UsageError):
        return False


def _verdict(plan: StoredPlan) -> str:
    """Run a plan and the CPU on the same inputs, if it fits here; return what came out."""
    if not _fits(plan):
        brought = plan.model not in list_cards()
        why = "its network is not one of ours" if brought else "for another machine"
        return f"whole; {why}, not run"
    precision = plan.key.precision
    same = "int8" if precision == "int8" else "fp32"
    with (
        open_plan(plan) as engine,
        open_engine(plan.model, "onnxruntime", same) as cpu,
    ):
        worst = max(difference(engine, cpu, n) for n in {1, plan.key.max_batch})
    if not worst <= TOLERANCES[precision]:
        raise ModelError(
            thing=f"TensorRT plan of {plan.model} in {precision}",
            got=f"answers that differ from the CPU's by {worst:.1%} of the largest",
            expected=f"at most {TOLERANCES[precision]:.1%}",
            hint="Do not use it: realtime-affect engines clear, then build in another precision.",
        )
    return f"whole; differs from the CPU by {worst:.2%} of the largest answer"
