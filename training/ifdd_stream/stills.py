"""FER+ as stills with soft labels: pictures 48x48, ten votes each.

Barsoum et al., "Training deep networks for facial expression recognition with crowd-sourced label
distribution", 2016. Votes for what is no face or unknown do not count, nor does a single vote.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from realtime_affect.names import EXPRESSIONS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Stills:
    """Pictures and what people saw in them.

    Attributes
    ----------
    pictures : (n, 48, 48) uint8
        Grey.
    votes : (n, 8) float32
        Shares in the order of EXPRESSIONS, sum 1.
    majority : (n,) int64
        Index of the strict majority, -1 where there is none.
    """

    pictures: NDArray[np.uint8]
    votes: NDArray[np.float32]
    majority: NDArray[np.int64]


def read_stills(pack: Path, split: str) -> Stills:
    """Read ``ferplus_train_valid.npz``.

    Parameters
    ----------
    pack : Path
    split : {"train", "valid", "all"}
        Of ``train``, pictures in which nobody agrees with anybody are left out; others are whole.
    """
    with np.load(pack, allow_pickle=False) as stored:
        packed, offsets, names = stored["webp"], stored["offsets"], stored["vote_names"].tolist()
        splits = stored["split"]
        wanted = splits if split == "all" else ("train", "valid").index(split)
        chosen = np.flatnonzero(splits == wanted)
        votes, labels = stored["votes"][chosen], stored["label"][chosen]
    columns = [names.index(name) for name in EXPRESSIONS]
    agreed = np.where(votes >= 2, votes, 0)[:, columns].astype(np.float32)
    order = {names.index(name): k for k, name in enumerate(EXPRESSIONS)}
    majority = np.array([order.get(int(label), -1) for label in labels], np.int64)
    kept = np.flatnonzero(agreed.sum(axis=1) > 0) if split == "train" else np.arange(len(chosen))
    totals = np.maximum(agreed.sum(axis=1, keepdims=True), 1)
    pictures = np.array([
        cv2.imdecode(packed[offsets[i] : offsets[i + 1]], cv2.IMREAD_GRAYSCALE)
        for i in chosen[kept].tolist()
    ])  # fmt: skip
    return Stills(pictures, (agreed / totals)[kept], majority[kept])
