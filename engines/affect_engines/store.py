"""Where network files live, and how they get there.

Networks of others are kept in one folder of the user's cache (``REALTIME_AFFECT_MODELS`` names
another) under the file names of their cards; our own are shipped in the package. Nothing is used
whose SHA-256 differs from its card's.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from affect_engines.cards import ModelCard, list_cards, load_card
from affect_engines.errors import ModelError
from affect_engines.external_data import has_external_data
from affect_engines.files import MOST_BYTES, read_file
from affect_kernels.atomic import SHARED, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ENVIRONMENT = "REALTIME_AFFECT_MODELS"
_PIP_TIMEOUT_S = 600
_MOST_BYTES_OF_A_CARD = 64 << 20  # of networks that have a card; the largest is a tenth of that


@dataclass(frozen=True, slots=True)
class StoredModel:
    """One card and what lies at its place.

    Attributes
    ----------
    card : ModelCard
    path : Path
        Where the file is, or would be.
    state : {"ok", "missing", "damaged"}
        ``"damaged"``: there is something, and it is not the card's file.
    """

    card: ModelCard
    path: Path
    state: Literal["ok", "missing", "damaged"]


def models_folder() -> Path:
    """Return the folder of the network files; it need not exist."""
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(named).expanduser()
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("realtime-affect")) / "models"


def read_model(card: ModelCard) -> bytes:
    """Return the network of `card`, read once: the very bytes that were compared with its hash.

    Raises
    ------
    ModelError
        The file is missing, no regular file, too large, its SHA-256 differs, or it is an ONNX file
        with weights in other files; the hint says how to provide it, with and without a network.
    """
    path = _place_of(card)
    try:
        content = read_file(path, _most_bytes(card))
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise ModelError(
            thing=f"model {card.name}" if missing else f"model {card.name} ({path})",
            got=f"no file {path}" if missing else error.strerror or str(error),
            expected=card.file,
            hint=_how_to_mend(card),
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != card.sha256:
        raise ModelError(
            thing=f"model {card.name} ({path})",
            got=f"SHA-256 {digest}",
            expected=card.sha256,
            hint="It is damaged or another file. " + _how_to_mend(card),
        )
    if path.suffix == ".onnx":
        _require_own_weights(card, path, content)
    return content


def model_path(card: ModelCard) -> Path:
    """Return the file of `card` after checking it; what runs it takes :func:`read_model`.

    Raises
    ------
    ModelError
        As :func:`read_model`.
    """
    read_model(card)
    return _place_of(card)


def list_models() -> tuple[StoredModel, ...]:
    """Return every card with the state of its file, by name; all forms of those with several."""
    found = []
    for card in _cards():
        path = _place_of(card)
        state: Literal["ok", "missing", "damaged"] = "ok"
        try:
            read_model(card)
        except ModelError as error:
            state = "missing" if isinstance(error.__cause__, FileNotFoundError) else "damaged"
        found.append(StoredModel(card, path, state))
    return tuple(found)


def verify_models() -> tuple[Path, ...]:
    """Return the paths of all files after checking every hash.

    Raises
    ------
    ModelError
        As :func:`model_path`, for the first file that is missing or differs.
    """
    return tuple(model_path(card) for card in _cards())


def cards_without_file() -> tuple[ModelCard, ...]:
    """Return the cards of networks whose weights whoever uses them must bring, by name."""
    cards = (load_card(name) for name in list_cards())
    return tuple(card for card in cards if not card.has_file)


def _cards() -> list[ModelCard]:
    """Return the cards of all files there are or should be."""
    cards = [load_card(name) for name in list_cards()]
    return [form for card in cards if card.has_file for form in card.all_forms()]


def fetch_models(
    wheel: Path | None = None, progress: Callable[[str], None] | None = None
) -> tuple[Path, ...]:
    """Put every missing or damaged network file in its place.

    Parameters
    ----------
    wheel : Path, optional
        The wheel the cards name, or a folder that holds the network files. None downloads the
        wheel with pip: the only use of the network, and none where all files are already right.
    progress : callable, optional
        Called with one line of text a step.

    Returns
    -------
    tuple of Path
        All files, checked.

    Raises
    ------
    ModelError
        The download failed, the wheel or folder lacks a file, a hash differs, or the folder
        cannot be written. Files already in place stay as they are.
    """
    say = progress or _ignore
    fetched = [model for model in list_models() if not model.card.shipped]
    wanted = [m.card for m in fetched if m.state != "ok" or wheel is not None]
    if wheel is not None:
        _take_from(wheel, wanted, say)
    elif wanted:
        for package in sorted({card.package for card in wanted}):
            with tempfile.TemporaryDirectory(prefix="realtime-affect-") as temporary:
                say(f"downloading {package}")
                found = _download(package, Path(temporary))
                _take_from(found, [card for card in wanted if card.package == package], say)
    return verify_models()


def _download(package: str, folder: Path) -> Path:
    """Download the wheel of `package` into `folder` and return its path.

    The platform is named because the newest wheel with these files exists for a few platforms
    only; the files themselves are the same on all.
    """
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"),
        *("--disable-pip-version-check", "--no-input", "--quiet", "--python-version", "311"),
        *("--platform", "manylinux_2_28_x86_64", "--platform", "manylinux_2_17_x86_64"),
        *("--implementation", "cp", "--dest", str(folder), package),
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PIP_TIMEOUT_S, check=False
        )
        problem = done.stderr.strip().splitlines()[-1:] if done.returncode else []
        failed = done.returncode != 0
    except (OSError, subprocess.TimeoutExpired) as error:
        problem, failed = [str(error)], True
    wheels = sorted(folder.glob("*.whl"))
    if failed or not wheels:
        raise ModelError(
            thing=f"download of {package}",
            got=" ".join(problem) or "no wheel",
            expected="a wheel from the package index",
            hint=_how_to_provide(package, models_folder()),
        )
    return wheels[0]


def _take_from(source: Path, cards: Iterable[ModelCard], say: Callable[[str], None]) -> None:
    """Copy the files of `cards` out of a wheel or a folder, each checked before it is placed."""
    try:
        if source.is_dir():
            for card in cards:
                _place(card, _read_loose(source, card), source, say)
            return
        with zipfile.ZipFile(io.BytesIO(read_file(source))) as archive:
            for card in cards:
                # The name inside is the card's, and only that entry is read: nothing in the
                # archive decides where anything is written. A byte too many is enough to refuse.
                with archive.open(card.member) as member:
                    content = member.read(_MOST_BYTES_OF_A_CARD + 1)
                _place(card, content, source, say)
    except KeyError as error:
        raise ModelError(
            thing=f"wheel {source}",
            got=str(error.args[0]),
            expected="the wheel named by the cards",
            hint=_how_to_provide(next(iter(cards)).package, models_folder()),
        ) from error
    except (OSError, zipfile.BadZipFile) as error:
        raise ModelError(
            thing=f"wheel {source}",
            got=getattr(error, "strerror", None) or str(error),
            expected="a readable wheel, or a folder with the network files",
            hint=_how_to_provide(next(iter(cards)).package, models_folder()),
        ) from error


def _read_loose(folder: Path, card: ModelCard) -> bytes:
    """Return the bytes of a network file in `folder` or in its unpacked wheel."""
    for path in (folder / card.file, folder / card.member):
        if path.is_file():
            return read_file(path, _MOST_BYTES_OF_A_CARD)
    raise ModelError(
        thing=f"folder {folder}",
        got=f"no {card.file}",
        expected="the network files by their names",
        hint=_how_to_provide(card.package, models_folder()),
    )


def _place(card: ModelCard, content: bytes, source: Path, say: Callable[[str], None]) -> None:
    """Write `content` to the place of `card`, whole or not at all."""
    digest = hashlib.sha256(content).hexdigest()
    if digest != card.sha256:
        raise ModelError(
            thing=f"{card.file} in {source}",
            got=f"SHA-256 {digest}",
            expected=card.sha256,
            hint=_how_to_provide(card.package, models_folder()),
        )
    folder = models_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / card.file, content, mode=SHARED)
    except OSError as error:
        raise ModelError(
            thing=f"model folder {folder}",
            got=str(error),
            expected="a folder that can be written",
            hint=f"Make it writable or name another one with {ENVIRONMENT}.",
        ) from error
    say(f"{card.name}: {folder / card.file}")


def _place_of(card: ModelCard) -> Path:
    if card.shipped:  # or wherever it lies, for a file that whoever uses it brings
        return Path(str(resources.files("affect_engines") / "weights" / card.file))
    return models_folder() / card.file


def _how_to_mend(card: ModelCard) -> str:
    if card.shipped:
        return "Install again: pip install --force-reinstall realtime-affect."
    return _how_to_provide(card.package, models_folder())


def _most_bytes(card: ModelCard) -> int:
    """Return how large its file may be; one that whoever uses it brings, as large as any can."""
    return MOST_BYTES if Path(card.file).is_absolute() else _MOST_BYTES_OF_A_CARD


def _require_own_weights(card: ModelCard, path: Path, content: bytes) -> None:
    try:
        elsewhere = has_external_data(content)
        got = "weights in other files (external data), which no hash covers"
    except ValueError as error:
        elsewhere, got = True, str(error)
    if elsewhere:
        raise ModelError(
            thing=f"model {card.name} ({path})",
            got=got,
            expected="one ONNX file with all its weights",
            hint="Write it so: onnx.save(onnx.load(FILE), NEW_FILE, save_as_external_data=False).",
        )


def _how_to_provide(package: str, folder: Path) -> str:
    """Say how network files get into place, with and without a network."""
    name, _, version = package.partition("==")
    return (
        "With a network: realtime-affect models fetch. Without one: download the wheel "
        f"{name}-{version}-*.whl elsewhere and give it: realtime-affect models fetch --wheel FILE; "
        f"or copy the .tflite files named by `realtime-affect models list` into {folder}."
    )


def _ignore(_: str) -> None:
    """Say nothing."""
