"""What all but the last block of the backbone see of all that is learned from, made once.

    python -m training.ifdd_stream.views --kind ferplus --ferplus PACK --lfw PACK --stills FOLDER \
        --sequences FOLDER --begin RUN --out FOLDER [--views 0:2]

writes one file a view: every image of a kind once more turned, scaled, lit, partly hidden; most
real faces as the product cuts them, some as they came, so that both meet, and a third of the cut
ones in the midst of a word (``mouth``). Of clips all moments are treated alike: still faces that
talk, rendered sequences, and smile onsets of the Face Research Lab London Set. The early blocks
are held, so nothing is lost by looking only once; a step of training then costs a tenth. About two
ms an image.
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
from training.checkpoints import load_weights
from training.filming import write_arrays
from training.ifdd_stream.augmentation import augment
from training.ifdd_stream.cuts import Cuts, join, lfw_part, read_cuts
from training.ifdd_stream.mouth import Mouths, draw_mouths, speak
from training.ifdd_stream.network import StreamNetwork
from training.ifdd_stream.sequences import SLOTS_FILMED, read_sequences

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind = Literal["ferplus", "lfw", "filmed", "talking", "sequences", "onsets"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
VIEWS: Final[dict[Kind, int]] = {
    "ferplus": 2, "lfw": 3, "filmed": 2, "talking": 1, "sequences": 1, "onsets": 2,
}  # fmt: skip
AS_CUT: Final = 0.8
TALKING: Final = 0.35
TALKERS: Final = 300  # faces whose mouths move through a clip, and as many neutral ones
TALKERS_POWER: Final = 0.5
TAUGHT_PERSONS: Final = range(1, 36)  # of the London Set
_NEUTRAL: Final = EXPRESSIONS.index("neutral")
TURNED: Final = 0.7  # strength of augmentation: cut faces stand upright already
_BATCH: Final = 128


@dataclass(frozen=True, slots=True)
class Images:
    """Images of one kind.

    Attributes
    ----------
    pictures : (n, 48, 48) uint8
    mouth : Mouths, or (n, 5, 2) float32, or None
        How their mouths move, or where they are, so that some may.
    votes : (n, 8) float32
    together : int
        Consecutive images that are one clip.
    """

    pictures: NDArray[np.uint8]
    mouth: Mouths | NDArray[np.float32] | None
    votes: NDArray[np.float32]
    together: int = 1


def draw_faces(faces: Cuts, rng: np.random.Generator) -> Images:
    """Show each face as cut or as it came; a mouth is NaN where it came plain."""
    as_cut = (rng.uniform(size=len(faces)) < AS_CUT)[:, None, None]
    mouth = np.where(as_cut, faces.mouth, np.float32(np.nan))
    return Images(np.where(as_cut, faces.cut, faces.plain), mouth, faces.votes)


def draw(
    votes: NDArray[np.float32], n: int, rng: np.random.Generator, power: float
) -> NDArray[np.int64]:
    """Draw n of the images with votes (m, 8), rare expressions more often than they occur.

    As often as the frequency of their majority to minus `power` says.
    """
    kind = votes.argmax(axis=1)
    counts = np.bincount(kind, minlength=len(EXPRESSIONS))
    chance = np.maximum(counts, 1.0)[kind] ** -power
    return rng.choice(len(kind), n, p=chance / chance.sum())


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
    return Images(
        faces.cut[repeated], speak(faces.mouth[rows], SLOTS_FILMED, generator),
        faces.votes[repeated], SLOTS_FILMED,
    )  # fmt: skip


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
        stored = load_arrays(options.sequences / "onsets.npz")
        pictures = stored["pictures"][np.isin(stored["person"], TAUGHT_PERSONS)]
        votes = np.zeros((pictures.shape[0] * pictures.shape[1], len(EXPRESSIONS)), np.float32)
        return Images(pictures.reshape(-1, *pictures.shape[2:]), None, votes, pictures.shape[1])
    if kind in ("filmed", "sequences"):
        filmed = read_sequences(sorted(options.sequences.glob("train_*.npz")))
        pictures = filmed.pictures.reshape(-1, *filmed.pictures.shape[2:])
        together = SLOTS_FILMED if kind == "sequences" else 1
        return Images(pictures, None, filmed.shown.reshape(-1, len(EXPRESSIONS)), together)
    ferplus = read_cuts(options.stills, options.ferplus, "ferplus_train")
    lfw = read_cuts(options.stills, options.lfw, "lfw")
    lfw = lfw.take(np.flatnonzero(lfw_part(lfw.person) == "train"))
    if kind == "talking":
        return talk(join(ferplus, lfw), rng)
    return draw_faces(ferplus if kind == "ferplus" else lfw, rng)


@torch.no_grad()
def look(network: StreamNetwork, images: Images, seed: int) -> dict[str, NDArray[np.generic]]:
    """Look at images once: features (n, 128, 6, 6) float16 and votes (n, 8).

    Of clips of t moments: (n, t, 128, 6, 6) and (n, t, 8).
    """
    generator = torch.Generator().manual_seed(seed)
    network.eval()
    found = []
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
        found.append(network.backbone.early(seen).numpy().astype(np.float16))
    features, votes = np.concatenate(found), images.votes
    if images.together > 1:
        features = features.reshape(-1, images.together, *features.shape[1:])
        votes = votes.reshape(-1, images.together, votes.shape[1])
    return {"features": features, "votes": votes}


def read_views(folder: Path, kind: Kind) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """Return features (views, n, 128, 6, 6) of a kind and votes (n, 8)."""
    parts = [load_arrays(path) for path in sorted(folder.glob(f"{kind}_*.npz"))]
    return np.stack([part["features"] for part in parts]), parts[0]["votes"]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--ferplus", type=Path, help="ferplus_train_valid.npz")
    parser.add_argument("--lfw", type=Path, help="lfw_train.npz")
    parser.add_argument("--stills", type=Path, help="folder of cuts")
    parser.add_argument("--sequences", type=Path, help="folder of sequences")
    parser.add_argument("--begin", type=Path, required=True, help="folder of shipped's weights")
    parser.add_argument("--views", help="FIRST:LAST, the last not included; default: all")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=0, help="0 = as many as there are cores")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    first, last = map(int, (options.views or f"0:{VIEWS[options.kind]}").split(":"))
    network = load_weights(options.begin, StreamNetwork("none"))
    network = network.to(memory_format=torch.channels_last)
    for view in range(first, last):
        path = options.out / f"{options.kind}_{view}.npz"
        if path.exists():
            continue
        images = read_images(options.kind, options, np.random.default_rng(view))
        write_arrays(path, look(network, images, view))
        print(f"{path.name}: {len(images.votes)} images", flush=True)


if __name__ == "__main__":
    main()
