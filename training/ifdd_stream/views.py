"""What backbone and teacher make of all that clips are made of, made once.

    python -m training.ifdd_stream.views --kind ferplus --ferplus PACK --lfw PACK --stills FOLDER \
        --sequences FOLDER --teacher RUN --out FOLDER [--views 0:2]

writes one file a view: every image of a kind once more turned, scaled, lit, partly hidden, as the
backbone's tokens; most real faces as the product cuts them, some as they came. Of clips all moments
are treated alike: still faces that talk (``mouth``), rendered sequences, and smile onsets of the
Face Research Lab London Set. Beside them stands what is to be learned: of real faces the mean of
the raters' votes and of what the teacher sees, through a talking clip in the mean. The backbone is
held, so nothing is lost by looking only once. About four ms an image.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np
import torch

from realtime_affect.names import EXPRESSIONS
from training.action_units.dataset import load_arrays
from training.filming import write_arrays
from training.ifdd_stream.augmentation import augment
from training.ifdd_stream.cuts import Cuts, join
from training.ifdd_stream.mouth import Mouths, draw_mouths, speak
from training.ifdd_stream.sequences import SLOTS_FILMED, read_onset_file, read_sequences
from training.ifdd_stream.teacher import (
    TALKING,
    TAUGHT,
    TURNED,
    Pair,
    draw,
    draw_faces,
    load_pair,
    read_faces,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind = Literal["ferplus", "lfw", "talking", "sequences", "onsets"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
VIEWS: Final[dict[Kind, int]] = {
    "ferplus": 2, "lfw": 2, "talking": 1, "sequences": 1, "onsets": 4,
}  # fmt: skip
FACES: Final = 12_000  # of FER+: more than the lifting needs
TALKERS: Final = 300  # faces whose mouths move through a clip, and as many neutral ones
TALKERS_POWER: Final = 0.5
_NEUTRAL: Final = EXPRESSIONS.index("neutral")
_BATCH: Final = 128


@dataclass(frozen=True, slots=True)
class Images:
    """Images of one kind.

    Attributes
    ----------
    pictures : (n, 48, 48) uint8
    votes : (n, 8) float32
    mouth : Mouths, or (n, 5, 2) float32, or None
        How their mouths move, or where they are, so that some may.
    together : int
        Consecutive images that are one clip.
    real : bool
        Whether the teacher has a say in what they show.
    """

    pictures: NDArray[np.uint8]
    votes: NDArray[np.float32]
    mouth: Mouths | NDArray[np.float32] | None = None
    together: int = 1
    real: bool = False


def draw_talkers(faces: Cuts, rng: np.random.Generator) -> NDArray[np.int64]:
    """Choose faces that talk: TALKERS of all, rare expressions more often, and TALKERS neutral."""
    known = np.flatnonzero(np.isfinite(faces.mouth).all((1, 2)))
    neutral = known[faces.votes[known, _NEUTRAL] > 0.7]
    some = known[draw(faces.votes[known], TALKERS, rng, TALKERS_POWER)]
    return np.concatenate([some, rng.choice(neutral, min(TALKERS, len(neutral)), replace=False)])


def talk(faces: Cuts, rng: np.random.Generator) -> Images:
    """Make some faces talk for SLOTS_FILMED moments each."""
    rows = draw_talkers(faces, rng)
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    repeated = np.repeat(rows, SLOTS_FILMED)
    mouths = speak(faces.mouth[rows], SLOTS_FILMED, generator)
    return Images(faces.cut[repeated], faces.votes[repeated], mouths, SLOTS_FILMED, real=True)


def talking_clips(faces: Cuts, n: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Make neutral faces talk before a slightly restless camera.

    Returns
    -------
    clips : (n or less, 24, 48, 48)
    rows : (n or less,)
        Which faces.
    """
    known = np.isfinite(faces.mouth).all((1, 2)) & (faces.majority == _NEUTRAL)
    rows = np.random.default_rng(6).permutation(np.flatnonzero(known))[:n]
    generator = torch.Generator().manual_seed(6)
    mouths = speak(faces.mouth[rows], SLOTS_FILMED, generator)
    still = torch.from_numpy(np.repeat(faces.cut[rows], SLOTS_FILMED, 0).astype(np.float32))
    seen = augment(still, generator, SLOTS_FILMED, mouths, 0.3, erase=False).numpy()
    return seen.reshape(-1, SLOTS_FILMED, *seen.shape[1:]).astype(np.uint8), rows


def read_images(kind: Kind, options: argparse.Namespace, rng: np.random.Generator) -> Images:
    """Read the images of a kind that may be learned from."""
    if kind == "onsets":
        onsets = read_onset_file(options.sequences)
        votes = np.zeros((*onsets.shape[:2], len(EXPRESSIONS)), np.float32)
        return _in_a_row(onsets, votes)
    if kind == "sequences":
        filmed = read_sequences(sorted(options.sequences.glob("train_*.npz")))
        return _in_a_row(filmed.pictures, filmed.shown)
    real = read_faces(options, choosing=False)
    if kind == "talking":
        return talk(join(*real.values()), rng)
    rows = np.random.default_rng(7).permutation(len(real[kind]))  # the same of every view
    faces = real[kind].take(rows[:FACES])
    pictures, mouths = draw_faces(faces, rng)
    return Images(pictures, faces.votes, mouths, real=True)


def _in_a_row(clips: NDArray[np.uint8], votes: NDArray[np.float32]) -> Images:
    pictures = clips.reshape(-1, *clips.shape[2:])
    return Images(pictures, votes.reshape(len(pictures), -1), together=clips.shape[1])


@torch.no_grad()
def look(pair: Pair, images: Images, seed: int) -> dict[str, NDArray[np.generic]]:
    """Look at images once: tokens (n, 3, 96) float16 and what they show (n, 8) float32.

    Of clips of t moments: (n, t, 3, 96) and (n, t, 8).
    """
    generator = torch.Generator().manual_seed(seed)
    pair.eval()
    found, told = [], []
    batch = images.together * max(1, _BATCH // images.together)
    for k in range(0, len(images.votes), batch):
        part = slice(k, k + batch)
        mouths = images.mouth
        if isinstance(mouths, Mouths):
            mouths = Mouths(*(array[part] for array in mouths))
        elif mouths is not None:
            mouths = draw_mouths(mouths[part], TALKING, generator)
        seen = augment(
            torch.from_numpy(images.pictures[part].astype(np.float32)), generator,
            images.together, mouths, TURNED,
        )  # fmt: skip
        early = pair.network.backbone.early(seen)
        found.append(pair.network.slots_late(early).numpy().astype(np.float16))
        told.append(pair.teacher(early).softmax(1).numpy())
    tokens, shown = np.concatenate(found), images.votes
    if images.together > 1:
        tokens = tokens.reshape(-1, images.together, *tokens.shape[1:])
        shown = shown.reshape(-1, images.together, shown.shape[1])
    if images.real:
        taught = np.concatenate(told).reshape(shown.shape)
        if images.together > 1:
            taught = taught.mean(1, keepdims=True)
        shown = TAUGHT * taught + (1 - TAUGHT) * shown
    return {"tokens": tokens, "shown": shown.astype(np.float32)}


def read_views(folder: Path, kind: Kind) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """Return tokens (views, n, ..., 3, 96) of a kind and what they show, (views, n, ..., 8)."""
    parts = [load_arrays(path) for path in sorted(folder.glob(f"{kind}_*.npz"))]
    return np.stack([part["tokens"] for part in parts]), np.stack([part["shown"] for part in parts])


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--ferplus", type=Path, help="ferplus_train_valid.npz")
    parser.add_argument("--lfw", type=Path, help="lfw_train.npz")
    parser.add_argument("--stills", type=Path, help="folder of cuts")
    parser.add_argument("--without-lfw", action="store_true", help="no face of LFW talks")
    parser.add_argument("--sequences", type=Path, help="folder of sequences")
    parser.add_argument("--teacher", type=Path, required=True, help="folder of its checkpoint")
    parser.add_argument("--views", help="FIRST:LAST, the last not included; default: all")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=0, help="0 = as many as there are cores")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    first, last = map(int, (options.views or f"0:{VIEWS[options.kind]}").split(":"))
    pair = load_pair(options.teacher).to(memory_format=torch.channels_last)
    for view in range(first, last):
        path = options.out / f"{options.kind}_{view}.npz"
        if path.exists():
            continue
        images = read_images(options.kind, options, np.random.default_rng(view))
        write_arrays(path, look(pair, images, view))
        print(f"{path.name}: {len(images.votes)} images", flush=True)


if __name__ == "__main__":
    main()
