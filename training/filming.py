"""Film many people into one file each, a process a core.

A file (``train_00017.npz``) is written whole or not at all: a run that was stopped goes on where it
was.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from affect_kernels.atomic import replacing
from training.synthetic.studio import SPLITS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Film = Callable[[Any, str, int], Mapping[str, NDArray[Any]]]
    """Tools, split and number of a person -> the arrays of its file."""

_tools: list[Any] = []
"""Of this process: what ``open_tools`` returned."""


def add_options(parser: argparse.ArgumentParser, people: str) -> None:
    """Add which people to film, how many at a time, and where to; `people` are the default."""
    from pathlib import Path

    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--people", default=people, help="FIRST:LAST, the last not included")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))


def film_people(
    options: argparse.Namespace, film: Film, open_tools: Callable[[], Any]
) -> list[Path]:
    """Film the people that `options` name unless they are there; return their files.

    Parameters
    ----------
    options : Namespace
        With those of :func:`add_options`.
    film : callable
        Tools, split and number -> arrays. It and `open_tools` go to other processes, so they are
        functions of a module, or partials of such.
    open_tools : callable
        Called once in each process: what all its people are filmed with.
    """
    from rich.progress import track

    first, last = (int(text) for text in options.people.split(":"))
    paths = [options.out / f"{options.split}_{number:05d}.npz" for number in range(first, last)]
    options.out.mkdir(parents=True, exist_ok=True)
    work = partial(film_person, film=film, split=options.split)
    # Spawned: a fork copies the locks of the networks' threads, and hangs.
    pool = ProcessPoolExecutor(options.workers, get_context("spawn"), _open, (open_tools,))
    with pool:
        done = pool.map(work, paths, range(first, last))
        for _ in track(done, f"filming {options.split}", total=last - first):
            pass
    return paths


def film_person(path: Path, number: int, film: Film, split: str) -> None:
    """Film a person into `path` unless it is there, with this process's tools."""
    if not path.exists():
        write_arrays(path, film(_tools[0], split, number))


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a file of arrays, whole or not at all."""
    with replacing(path) as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]


def _open(open_tools: Callable[[], Any]) -> None:
    cv2.setNumThreads(1)
    _tools[:] = [open_tools()]
