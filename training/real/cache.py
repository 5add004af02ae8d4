"""What the product saw of real faces, kept in the user's cache: it never enters the project.

A file's name holds a digest of what it was made with, so that nothing stale is ever read.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affect_engines import load_card
from training.action_units.dataset import load_arrays
from training.filming import write_arrays

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]


def default_folder() -> Path:
    """Return where files are kept unless the user names a folder."""
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("realtime-affect")) / "training" / "real"


def digest_of(cards: Iterable[str], modules: Iterable[str], *others: str | bytes) -> str:
    """Return 12 hexadecimal digits of networks, of the product's code and of anything else.

    Kernels and engines count always. Comments, docstrings and layout of code do not count.

    Parameters
    ----------
    cards : iterable of str
        Names of cards; with their files' hashes and constants.
    modules : iterable of str
        Files or folders of ``realtime_affect``, such as ``"face"``.
    *others : str or bytes
    """
    digest = hashlib.sha256()
    for name in cards:
        card = load_card(name)
        digest.update(f"{card.sha256} {sorted(card.decode.items())} {card.units}".encode())
    root = Path(str(resources.files("realtime_affect")))
    for name in modules:
        digest.update(_meaning_of(root / name))
    for name in ("affect_engines", "affect_kernels"):
        digest.update(_meaning_of(Path(str(resources.files(name)))))
    for other in others:
        digest.update(other if isinstance(other, bytes) else other.encode())
    return digest.hexdigest()[:12]


@cache
def _meaning_of(place: Path) -> bytes:
    """Return what a file, or all files of a folder, mean to Python."""
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    return b"".join(_meaning(file.read_text("utf-8")) for file in files)


def kept(folder: Path, name: str, digest: str, make: Callable[[], Arrays]) -> dict[str, Any]:
    """Return the arrays of ``NAME-DIGEST.npz``, making the file where there is none.

    Files of the same name and another digest are removed: nobody will ask for them again.
    """
    path = _place(folder, name, digest)
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_arrays(path, dict(make()))
        for old in folder.glob(f"{name}-{'?' * len(digest)}.npz"):
            if old != path:
                old.unlink()
    return load_arrays(path)


def forget(folder: Path, name: str, digest: str) -> None:
    """Remove a file that :func:`kept` made."""
    _place(folder, name, digest).unlink()


def _meaning(code: str) -> bytes:
    """Return what code says to the interpreter."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [  # type: ignore[attr-defined]
                line
                for line in body
                if not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
            ]
    return ast.dump(tree).encode()


def _place(folder: Path, name: str, digest: str) -> Path:
    return folder / f"{name}-{digest}.npz"
