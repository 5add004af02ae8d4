"""What works on this machine, what does not, and what to do about it.

Every check is a small function that returns findings; one that raises becomes a finding itself, so
the doctor never falls ill. Nothing is opened for longer than the check takes.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import platform
import tempfile
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from realtime_affect.cores import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

Status = Literal["ok", "absent", "warn", "fail"]

_MARKS: Final[dict[Status, str]] = {
    "ok": "[green]works[/]",
    "absent": "[dim]absent[/]",
    "warn": "[yellow]look[/]",
    "fail": "[red]fails[/]",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    name : str
    status : {"ok", "absent", "warn", "fail"}
        "absent" is optional and not there; "fail" keeps the main job from running.
    detail : str
        What was found.
    hint : str
        What to do; empty where there is nothing to do.
    """

    name: str
    status: Status
    detail: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, in the order of the checks."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether the main job can run."""
        return not any(finding.status == "fail" for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {"ok": self.ok, "findings": [asdict(finding) for finding in self.findings]}

    def print(self, console: Console) -> None:
        """Print a table and one closing line."""
        from rich.markup import escape
        from rich.table import Table

        from realtime_affect.printable import printable

        table = Table(box=None, pad_edge=False, show_header=False)
        for _ in ("what", "mark", "found and what to do"):
            table.add_column(overflow="fold")
        for finding in self.findings:
            text = escape(printable(finding.detail))
            if finding.hint:
                text += f"\n[dim]{escape(printable(finding.hint))}[/]"
            table.add_row(escape(finding.name), _MARKS[finding.status], text)
        console.print(table)
        console.print(
            "The main job can run here: make run, or realtime-affect run demo."
            if self.ok
            else "The main job cannot run here until the failing lines above are mended."
        )


def diagnose() -> Report:
    """Look at everything the product may use."""
    findings: list[Finding] = []
    for check in _CHECKS:
        name = check.__name__.strip("_").replace("_", " ")
        try:
            findings.extend(check())
        except Exception as error:  # noqa: BLE001  (a broken check is news, not the end)
            text = f"could not be looked at: {error!r}"
            findings.append(Finding(name, "warn", text, "Please report this line."))
    return Report(tuple(findings))


_ON_CPU: Final = "Nothing needs one: every network runs on the CPU."


def _python() -> Iterator[Finding]:
    yield Finding("Python", "ok", f"{platform.python_version()} on {platform.platform(terse=True)}")
    if platform.system() != "Linux":
        hint = "Linux is what is tested; expect rough edges."
        yield Finding("platform", "warn", platform.system(), hint)


def _machine() -> Iterator[Finding]:
    cores = len(usable_cores())
    enough = cores >= 2
    hint = "" if enough else "Capture, vision and affect share one core: expect dropped frames."
    yield Finding("cores", "ok" if enough else "warn", f"{cores} usable", hint)
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    yield Finding("memory", "ok" if pages >= 2 else "warn", f"{pages:.1f} GiB")


_LIBRARIES: Final = (
    "numpy", "scipy", "opencv-contrib-python-headless", "av", "ai-edge-litert", "onnxruntime",
)  # fmt: skip


def _libraries() -> Iterator[Finding]:
    have = {dist.metadata["Name"].lower() for dist in metadata.distributions()}
    missing = [name for name in _LIBRARIES if name not in have]
    text = ", ".join(f"{name} {metadata.version(name)}" for name in _LIBRARIES if name in have)
    if missing:
        hint = "Install again: pip install realtime-affect."
        yield Finding("libraries", "fail", f"missing: {', '.join(missing)}", hint)
    else:
        yield Finding("libraries", "ok", text)
    opencv = sorted(name for name in have if name.startswith("opencv-"))
    if len(opencv) > 1:
        hint = f"They overwrite each other's files. pip uninstall {' '.join(opencv)}, then install."
        yield Finding("OpenCV", "fail", f"{len(opencv)} distributions: {', '.join(opencv)}", hint)


# Versions that were read for what they send; docs/privacy.md says what was found.
READ_FOR_TELEMETRY: Final = {
    "ai-edge-litert": "2.3.0", "av": "18.1.0", "cv2-enumerate-cameras": "1.4.0",
    "httpx": "0.28.1", "jinja2": "3.1.6", "matplotlib": "3.11.2", "numba": "0.68.1",
    "numpy": "2.4.6", "onnxruntime": "1.32.0", "opencv-contrib-python-headless": "5.0.0.93",
    "pillow": "13.0.0", "platformdirs": "4.14.7", "psutil": "7.2.2", "pyarrow": "26.0.1",
    "pydantic": "2.14.3", "pylsl": "1.18.6", "PyQt6": "6.11.0", "pyqtgraph": "0.14.0",
    "python-osc": "1.10.2", "ray": "2.60.0", "rich": "15.0.0", "scipy": "1.17.1",
    "typer": "0.29.2", "websockets": "17.4",
}  # fmt: skip


def _telemetry() -> Iterator[Finding]:
    """Say that nothing reports home, and why that is known: a switch, and versions read."""
    from affect_engines.ort import import_onnxruntime, telemetry_is_off

    import_onnxruntime()
    if not telemetry_is_off():
        yield Finding("telemetry", "fail", "onnxruntime's is on", "Please report this line.")
        return
    have = {name: v for name in READ_FOR_TELEMETRY if (v := _version(name)) is not None}
    newer = [f"{name} {v}" for name, v in have.items() if v != READ_FOR_TELEMETRY[name]]
    text = "none: onnxruntime's is switched off (ORT_DISABLE_TELEMETRY=1, set before its import); "
    if newer:
        text += f"read for others at other versions than here: {', '.join(newer)}"
        yield Finding("telemetry", "warn", text, "docs/privacy.md says how to watch for yourself.")
        return
    listed = ", ".join(f"{name} {version}" for name, version in have.items())
    yield Finding("telemetry", "ok", text + f"these versions were read for others: {listed}")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _models() -> Iterator[Finding]:
    from affect_engines.store import list_models, models_folder

    models = list_models()
    if all(model.state == "ok" for model in models):
        text = f"{len(models)} of {len(models)} verified, in {models_folder()}"
        yield Finding("models", "ok", text)
        return
    for model in models:
        good = model.state == "ok"
        hint = "" if good else "realtime-affect models fetch"
        name = f"model {model.card.name}"
        yield Finding(name, "ok" if good else "fail", f"{model.state}, {model.path}", hint)


def _self_test() -> Iterator[Finding]:
    """Find the two faces of the demo clip: the whole chain in one number."""
    from affect_engines.store import list_models

    if any(model.state != "ok" for model in list_models()):
        return  # said above; nothing can be run before they are there
    hint = "Install again. If it stays, please report it with realtime-affect doctor --json."
    try:
        faces = _count_faces_in_demo()
    except Exception as error:  # noqa: BLE001  (whatever it is, the main job would meet it too)
        yield Finding("self-test", "fail", str(error) or repr(error), hint)
        return
    good = faces == 2
    text = f"{faces} of 2 faces found in the demo"
    yield Finding("self-test", "ok" if good else "fail", text, "" if good else hint)


def _count_faces_in_demo() -> int:
    from realtime_affect.capture import CaptureConfig, open_source
    from realtime_affect.face.vision import Vision

    with contextlib.closing(open_source("demo", CaptureConfig(), live=False)) as source:
        frame = source.read(10.0)
    if frame is None:
        return 0
    with contextlib.closing(Vision()) as vision:
        return len(vision.analyse_still(frame).tracks)


def _cameras() -> Iterator[Finding]:
    devices = sorted(Path("/dev").glob("video*"))
    if not devices:
        hint = "Plug one in, or give a file, a URL or demo as SOURCE."
        yield Finding("camera", "absent", "no /dev/video*", hint)
    for device in devices:
        try:
            os.close(os.open(device, os.O_RDWR | os.O_NONBLOCK))
        except PermissionError:
            hint = "sudo usermod -aG video $USER, then log in again."
            yield Finding(f"camera {device.name}", "warn", "no permission", hint)
        except OSError as error:
            hint = "Close the program that uses it."
            yield Finding(f"camera {device.name}", "warn", str(error.strerror), hint)
        else:
            yield Finding(f"camera {device.name}", "ok", "opens")


def _display() -> Iterator[Finding]:
    try:
        window = importlib.import_module("affect_gui.app")
    except ImportError as error:
        hint = "pip install 'realtime-affect[gui]' for the window; files are written without it."
        yield Finding("window", "absent", str(error), hint)
        return
    there, reason = window.display_available()
    hint = "" if there else "Runs without one: results are written to out/."
    yield Finding("window", "ok" if there else "absent", reason or "PyQt6 and a display", hint)


def _gpu() -> Iterator[Finding]:
    from affect_kernels.cuda.driver import LIBRARY, has_driver, list_gpus
    from affect_kernels.errors import DeviceError

    if not has_driver():
        yield Finding("GPU, CUDA", "absent", f"no NVIDIA driver ({LIBRARY})", _ON_CPU)
        return
    hint = f"Update or reinstall the driver, or ignore this: {_ON_CPU[0].lower()}{_ON_CPU[1:]}"
    try:
        gpus = list_gpus()
    except DeviceError as error:
        text = f"an NVIDIA driver, but no GPU answers: {error.got}"
        yield Finding("GPU, CUDA", "warn", text, hint)
        return
    if not gpus:
        yield Finding("GPU, CUDA", "warn", "an NVIDIA driver, but no GPU", hint)
        return
    names = ", ".join(gpu.name for gpu in gpus)
    text = f"{names}; CUDA {gpus[0].cuda}"
    yield Finding("GPU, CUDA", "ok", text, "Which networks use it: below.")


def _tensorrt() -> Iterator[Finding]:
    from affect_engines.trt.engine import is_real

    if importlib.util.find_spec("tensorrt") is None:
        hint = "Of use with an NVIDIA GPU only: pip install 'realtime-affect[tensorrt]'."
        yield Finding("TensorRT", "absent", "not installed", hint)
        return
    try:
        version = str(importlib.import_module("tensorrt").__version__)
    except Exception as error:  # noqa: BLE001  (a broken install raises anything)
        hint = "Reinstall it, or ignore this: every network runs on the CPU."
        yield Finding("TensorRT", "warn", f"cannot be imported: {error!r}", hint)
        return
    if is_real(version):
        from affect_engines.cards import ran_by_tensorrt

        yield Finding("TensorRT", "ok", version, tensorrt_proof(ran_by_tensorrt()))
    else:
        hint = "Nothing that ran with it counts as having run."
        yield Finding("TensorRT", "warn", f"{version}: a stand-in for tests", hint)


def tensorrt_proof(ran: Sequence[str]) -> str:
    """Say with which versions of TensorRT, and where, plans of ours have really run."""
    if ran:
        return f"Plans of ours have run with {', '.join(ran)}."
    return (
        "Unproved: no plan of ours has run yet, with any TensorRT on any GPU. Its calls were "
        "compared with the bindings of 10.3 to 11.4; engines verify compares answers."
    )


def _backends() -> Iterator[Finding]:
    from affect_engines.selection import probe

    states = probe()
    for state in states:
        hint = state.hint or ("" if state.usable else "Please report this line.")
        status: Status = "ok" if state.usable else "absent"
        yield Finding(f"backend {state.name}", status, state.why, hint)
    first = next((state.name for state in states if state.usable), None)
    if first is None:
        yield Finding("our networks", "fail", "no backend runs them", "Install again.")
    else:
        yield Finding("our networks", "ok", f"run by {first}, the first of these that is usable")


def _streams() -> Iterator[Finding]:
    names = ("websockets", "pylsl", "python-osc")
    missing = [name for name in names if _version(name) is None]
    if missing:
        hint = "pip install 'realtime-affect[streams]'; JSON lines need none."
        yield Finding("streams", "absent", f"not installed: {', '.join(missing)}", hint)
    else:
        yield Finding("streams", "ok", ", ".join(f"{name} {_version(name)}" for name in names))


def _video() -> Iterator[Finding]:
    import av
    import cv2

    codecs = [codec for codec in ("h264", "hevc", "vp9", "mjpeg") if codec in av.codecs_available]
    yield Finding("video", "ok", f"FFmpeg in PyAV {av.__version__}: {', '.join(codecs)}")
    if "GStreamer:                   YES" not in cv2.getBuildInformation():
        hint = "No pip wheel of OpenCV has it. Give an RTSP or UDP URL instead of a pipeline."
        yield Finding("GStreamer", "absent", "not in this OpenCV", hint)
    else:
        yield Finding("GStreamer", "ok", "in this OpenCV")


def _output() -> Iterator[Finding]:
    try:
        with tempfile.TemporaryFile(dir=Path.cwd()):
            yield Finding("output", "ok", f"{Path.cwd()} can be written")
    except OSError as error:
        hint = "Give another folder: --out DIR."
        yield Finding("output", "warn", f"{Path.cwd()}: {error.strerror}", hint)


_CHECKS: Final[tuple[Callable[[], Iterator[Finding]], ...]] = (
    _python,
    _machine,
    _libraries,
    _telemetry,
    _models,
    _self_test,
    _cameras,
    _display,
    _gpu,
    _tensorrt,
    _backends,
    _video,
    _streams,
    _output,
)
