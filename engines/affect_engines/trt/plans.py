"""Where TensorRT's plans are kept, and when one may be used.

Building takes minutes, so a plan is kept in the user's cache (``REALTIME_AFFECT_ENGINES`` names
another folder). It fits one network file, one TensorRT, one kind of GPU and one precision: these
are its key, and beside each plan lies a JSON file with the key and the plan's SHA-256.

A plan is code that will run. The hash beside it shows damage and nothing else: who can change the
one can change the other. What guards against intent is whose they are: the folder and the files
must belong to this user or root, and nobody else may write them, or none is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from affect_engines.errors import ModelError
from affect_engines.files import exposure, folder_exposure, read_file
from affect_kernels.atomic import SHARED, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable

ENVIRONMENT: Final = "REALTIME_AFFECT_ENGINES"
_FORMAT: Final = 1
_FOLDER_MODE: Final = 0o755
_MOST_BYTES_BESIDE: Final = 1 << 20  # of a side file


@dataclass(frozen=True, slots=True)
class PlanKey:
    """What a plan fits; a plan of another key is never used.

    Attributes
    ----------
    onnx_sha256 : str
        Of the network file it was made from, as its card states it.
    tensorrt : str
        Version, exactly: plans are not portable between versions.
    gpu, capability : str
        Name and compute capability of the GPU it was timed on.
    precision : {"fp32", "fp16", "int8"}
    max_batch : int
        Most faces in one run.
    plugins : str
        Version of our plugins that it calls; empty for none.
    """

    onnx_sha256: str
    tensorrt: str
    gpu: str
    capability: str
    precision: str
    max_batch: int
    plugins: str = ""

    def digest(self) -> str:
        """Return a short name for this key."""
        values = [value for name, value in asdict(self).items() if name != "plugins" or value]
        text = json.dumps([_FORMAT, *values])  # without plugins as before there were any
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def differs(self, other: PlanKey) -> tuple[str, ...]:
        """Return what is not the same, as ``"tensorrt 10.3.0, not 10.16.1"``."""
        mine, theirs = asdict(self), asdict(other)
        return tuple(f"{k} {mine[k]}, not {theirs[k]}" for k in mine if mine[k] != theirs[k])


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan in the cache.

    Attributes
    ----------
    model : str
        Name of the card.
    key : PlanKey
    path : Path
    sha256 : str
        What its side file says.
    n_bytes : int
    built_s : float
        Seconds that building it took.
    state : {"ok", "missing", "damaged"}
        ``"damaged"``: its hash is not the side file's, or others may write it or the folder.
    """

    model: str
    key: PlanKey
    path: Path
    sha256: str
    n_bytes: int
    built_s: float
    state: Literal["ok", "missing", "damaged"]


def plans_folder() -> Path:
    """Return the folder of the plans; it need not exist."""
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(named).expanduser()
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("realtime-affect")) / "engines"


def list_plans() -> tuple[StoredPlan, ...]:
    """Return every plan in the cache with its state, by model and precision."""
    found = [_look(side) for side in plans_folder().glob("*.plan.json")]
    plans = [plan for plan in found if plan is not None]
    return tuple(sorted(plans, key=lambda plan: (plan.model, plan.key.precision, plan.path)))


def has_plan(key: PlanKey, model: str) -> bool:
    """Return whether there is a plan with this key; whether it is whole, reading it tells."""
    path = _path(key, model)
    return path.is_file() and _side(path).is_file()


def require_safe_folder() -> None:
    """Make sure that only this user and root can put plans into the folder; it need not exist.

    Raises
    ------
    ModelError
        Others can.
    """
    folder = plans_folder()
    try:
        why = folder_exposure(folder)
    except OSError as error:
        raise _unwritable(error) from error
    if why is not None:
        raise ModelError(
            thing=f"folder of TensorRT plans {folder}",
            got=why,
            expected="a folder of yours or root's that nobody else may write: a plan is code",
            hint=f"chmod go-w {folder}, or name another one with {ENVIRONMENT}; then "
            "realtime-affect engines build --rebuild.",
        )


def read_plan(key: PlanKey, model: str) -> bytes:
    """Return a plan after checking whose it is and its hash.

    Raises
    ------
    ModelError
        There is none with this key, it differs from its side file, or others may write it, that
        or the folder.
    """
    path = _path(key, model)
    plan = _look(_side(path)) if has_plan(key, model) else None
    with_plugins = " --plugins" if key.plugins else ""
    again = (
        f"Build it: realtime-affect engines build {model} --precision {key.precision}"
        f"{with_plugins}."
    )
    if plan is None or plan.key != key:
        raise ModelError(
            thing=f"TensorRT plan of {model}",
            got=f"none for {key.precision}, TensorRT {key.tensorrt}, {key.gpu}",
            expected=f"a plan in {plans_folder()}",
            hint=again,
        )
    require_safe_folder()
    for file in (path, _side(path)):
        why = exposure(file)
        if why is not None:
            raise ModelError(
                thing=f"TensorRT plan {file}",
                got=f"a file {why}",
                expected="one of yours or root's that nobody else may write: a plan is code",
                hint=f"It is not used. Delete it, then: {again[0].lower()}{again[1:]}",
            )
    try:
        content = read_file(path)
    except OSError as error:
        raise ModelError(
            thing=f"TensorRT plan {path}", got=error.strerror or str(error),
            expected=f"a plan of {plan.n_bytes} bytes", hint=again,
        ) from error  # fmt: skip
    digest = hashlib.sha256(content).hexdigest()
    if digest != plan.sha256:
        raise ModelError(
            thing=f"TensorRT plan {path}",
            got=f"SHA-256 {digest}",
            expected=plan.sha256,
            hint="It is not used. " + again,
        )
    return content


def store_plan(key: PlanKey, model: str, content: bytes, built_s: float) -> StoredPlan:
    """Put a plan into the cache, whole or not at all, its side file last.

    Raises
    ------
    ModelError
        The folder cannot be written, or others may write it too.
    """
    path = _path(key, model)
    about = {
        "format": _FORMAT, "model": model, "key": asdict(key), "built_s": round(built_s, 1),
        "sha256": hashlib.sha256(content).hexdigest(), "n_bytes": len(content),
    }  # fmt: skip
    try:
        _side(path).unlink(missing_ok=True)  # for a moment there is none, never one that is wrong
    except OSError as error:
        raise _unwritable(error) from error
    _write(path, content)
    _write(_side(path), (json.dumps(about, indent=2) + "\n").encode())
    return StoredPlan(model, key, path, str(about["sha256"]), len(content), built_s, "ok")


def clear_plans(models: Iterable[str] = ()) -> tuple[Path, ...]:
    """Delete the plans of some models, or of all and what was timed for them; return their paths.

    Raises
    ------
    ModelError
        A file cannot be deleted.
    """
    wanted = set(models)
    gone = []
    try:
        for plan in list_plans():
            if not wanted or plan.model in wanted:
                plan.path.unlink(missing_ok=True)
                _side(plan.path).unlink()
                gone.append(plan.path)
        if not wanted:
            for path in sorted(plans_folder().glob("*.timing*")):
                path.unlink()
                gone += [path] if path.suffix == ".timing" else []
    except OSError as error:
        raise _unwritable(error) from error
    return tuple(gone)


def read_timings(tensorrt: str, gpu: str) -> bytes:
    """Return what earlier builds timed on this GPU; nothing where it is missing or not safe."""
    path = _timings_path(tensorrt, gpu)
    try:
        content = read_file(path)
        beside = path.with_suffix(".timing.sha256")
        digest = read_file(beside, _MOST_BYTES_BESIDE).decode("ascii").strip()
        exposed = folder_exposure(plans_folder()) or exposure(path) or exposure(beside)
    except (OSError, UnicodeDecodeError):
        return b""
    return b"" if exposed or hashlib.sha256(content).hexdigest() != digest else content


def store_timings(tensorrt: str, gpu: str, content: bytes) -> None:
    """Keep what a build timed, for the next one.

    Raises
    ------
    ModelError
        The folder cannot be written.
    """
    path = _timings_path(tensorrt, gpu)
    _write(path, content)
    _write(path.with_suffix(".timing.sha256"), hashlib.sha256(content).hexdigest().encode())


def _look(side: Path) -> StoredPlan | None:
    """Return what a side file says, and whether its plan is so; None if it says nothing of ours."""
    try:
        about: dict[str, Any] = json.loads(read_file(side, _MOST_BYTES_BESIDE))
        if about["format"] != _FORMAT:
            return None
        key = PlanKey(**about["key"])
        path = side.with_suffix("")
        state: Literal["ok", "missing", "damaged"] = "ok"
        if not path.is_file():
            state = "missing"
        elif (
            folder_exposure(path.parent) or exposure(path) or exposure(side)
            or hashlib.sha256(read_file(path)).hexdigest() != about["sha256"]
        ):  # fmt: skip
            state = "damaged"
        return StoredPlan(
            str(about["model"]), key, path, str(about["sha256"]), int(about["n_bytes"]),
            float(about["built_s"]), state,
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _path(key: PlanKey, model: str) -> Path:
    return plans_folder() / f"{model}-{key.precision}-{key.digest()}.plan"


def _side(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _timings_path(tensorrt: str, gpu: str) -> Path:
    return plans_folder() / (re.sub(r"[^A-Za-z0-9.]+", "-", f"{tensorrt}-{gpu}") + ".timing")


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, for this user alone to change."""
    try:
        path.parent.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
        require_safe_folder()
        write_atomically(path, content, mode=SHARED)
    except OSError as error:
        raise _unwritable(error) from error


def _unwritable(error: OSError) -> ModelError:
    return ModelError(
        thing=f"folder of TensorRT plans {plans_folder()}",
        got=str(error),
        expected="a folder that can be written",
        hint=f"Make it writable or name another one with {ENVIRONMENT}.",
    )
