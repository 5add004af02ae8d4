"""Pairs -> the flow maps that the product would classify, and their stretched likes.

    python -m training.htnet.flows --pairs FOLDER --out FOLDER [--split train]

Crops are cut and flow is measured by the product's own ``flow`` module. One file a person; files
that are there are kept.
"""

from __future__ import annotations

import argparse
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from affect_kernels.flow_features.cpu import flow_features
from realtime_affect.face.stabilize import Stabilizer, stabilized_crop
from realtime_affect.micro.flow import FLOW_MAP_PX, flow_map
from realtime_affect.names import MICRO_CLASSES
from training.action_units.dataset import PRESENT, load_arrays
from training.filming import write_arrays
from training.synthetic.studio import SPLITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from realtime_affect.types import Float32

STRETCHED_PX: Final = 28
_TRUTH: Final = ("label", "kind", "strength", "fps", "seconds", "person")


@dataclass(frozen=True, slots=True)
class Flows:
    """Flow maps and what is true of them.

    Attributes
    ----------
    maps : (n, 56, 56, 3) float16
        From ``flow.flow_map``: u, v and strain, inter-ocular distances.
    label : (n,) int64
        Index of MICRO_CLASSES.
    kind : (n,) int64
        Index of ``pairs.NON_EVENTS``, -1 for movements of a class.
    strength : (n,) float64
        How much of the class's movement lies between both pictures; 0 for non-events.
    fps : (n,) int64
    seconds : (n,) float64
    person : (n,) int64
    """

    maps: NDArray[np.float16]
    label: NDArray[np.int64]
    kind: NDArray[np.int64]
    strength: NDArray[np.float64]
    fps: NDArray[np.int64]
    seconds: NDArray[np.float64]
    person: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.label)

    def of(self, which: NDArray[Any]) -> Flows:
        """Return some of them."""
        return Flows(**{name: getattr(self, name)[which] for name in self.__slots__})


def measure(pairs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Measure the flow of a person's pairs (arrays of ``pairs.film_person``).

    Pairs in which Face Mesh does not see a face are left out.
    """
    begins, points = pairs["offsets"], pairs["points"]
    images = [
        cv2.imdecode(pairs["pictures"][begin:end], cv2.IMREAD_COLOR)
        for begin, end in itertools.pairwise(begins.tolist())
    ]
    classes, maps, kept = len(MICRO_CLASSES), [], []
    for row in range(len(pairs["label"])):
        take, label = divmod(row, classes)
        onset = take * (classes + 1)
        apex = onset + 1 + label
        if min(pairs["presence"][[onset, apex]]) < PRESENT:
            continue
        frame = Stabilizer()
        first = stabilized_crop(images[onset], frame.update(0, points[onset]))
        t_ns = round(float(pairs["seconds"][row]) * 1e9)
        maps.append(
            flow_map(first, stabilized_crop(images[apex], frame.update(t_ns, points[apex])))
        )
        kept.append(row)
    side = FLOW_MAP_PX
    return {
        "maps": np.array(maps, np.float16).reshape(-1, side, side, 3),
        **{name: pairs[name][kept] for name in _TRUTH},
    }


def read_flows(folder: Path, split: str) -> Flows:
    """Join the files that :func:`main` wrote of a split.

    Raises
    ------
    FileNotFoundError
        There are none.
    """
    paths = sorted(folder.glob(f"{split}_*.npz"))
    if not paths:
        message = f"no flows of {split} in {folder}: python -m training.htnet.flows"
        raise FileNotFoundError(message)
    parts = [load_arrays(path) for path in paths]
    return Flows(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def stretch(flow: Float32) -> NDArray[np.uint8]:
    """Return flow (n, h, w, 2) as the composite databases' images are given: (n, h, w, 3) uint8.

    u, v and strain, each channel of each image from its least to its greatest value on 0 to 255:
    how far anything moved is lost.
    """
    channels = flow_features(np.ascontiguousarray(flow, np.float32))
    low = channels.min(axis=(1, 2), keepdims=True)
    high = channels.max(axis=(1, 2), keepdims=True)
    return np.round(255 * (channels - low) / np.maximum(high - low, 1e-12)).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Framing:
    """How differently a face may be cut, moved and blurred before its flow is stretched.

    Attributes
    ----------
    side : tuple of float
        Of the square cut out, as a share of the map.
    shift : float
        Of its middle, standard deviation as a share of the map.
    shape : float
        Standard deviation of the logarithm of width over height.
    rigid : float
        Left-over motion of the head (shift, growth, turn), standard deviation as a share of the
        flow's own size.
    blur_px : float
        Greatest standard deviation of the blur, in pixels of the result.
    noise : float
        Greatest smooth noise, as a share of the flow's own size.
    """

    side: tuple[float, float] = (0.68, 1.0)
    shift: float = 0.05
    shape: float = 0.06
    rigid: float = 0.35
    blur_px: float = 1.0
    noise: float = 0.15


def cut(
    flow: Float32, framing: Framing, rng: np.random.Generator, side: int = STRETCHED_PX
) -> Float32:
    """Cut flow maps (n, 56, 56, 2) anew, each in a way of its own: (n, side, side, 2) float32."""
    whole = flow.shape[1]
    result = np.empty((len(flow), side, side, 2), np.float32)
    grid = (np.mgrid[:side, :side].transpose(1, 2, 0)[..., ::-1] / (side - 1) - 0.5) * 2
    x, y = grid[..., 0].astype(np.float32), grid[..., 1].astype(np.float32)
    for i, one in enumerate(flow):
        share, shape = rng.uniform(*framing.side), np.exp(0.5 * rng.normal(0, framing.shape))
        wide, high = share * shape * whole / side, share / shape * whole / side
        middle = 0.5 * whole + rng.normal(0, framing.shift, 2) * whole
        warp = np.array(
            ((wide, 0, middle[0] - wide * side / 2), (0, high, middle[1] - high * side / 2))
        )
        ready = cv2.blur(one, (2, 2)) if share * whole > 1.3 * side else one
        small = cv2.warpAffine(
            ready, warp, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        size = float(np.sqrt((small**2).mean())) + 1e-9
        a, b, grow, turn = rng.normal(0, framing.rigid * size, 4).astype(np.float32)
        small[..., 0] += a + 0.4 * (grow * x - turn * y)
        small[..., 1] += b + 0.4 * (grow * y + turn * x)
        rough = rng.normal(0, 1, (side // 4, side // 4, 2)).astype(np.float32)
        smooth = cv2.resize(rough, (side, side), interpolation=cv2.INTER_CUBIC)
        small += rng.uniform(0, framing.noise) * size * smooth
        blur = rng.uniform(0, framing.blur_px)
        result[i] = cv2.GaussianBlur(small, (0, 0), blur) if blur > 0.2 else small
    return result


def flip(images: NDArray[Any]) -> NDArray[Any]:
    """Mirror maps or flow (n, h, w, c), so that the other side of the face did it."""
    mirrored = np.ascontiguousarray(images[:, :, ::-1])
    mirrored[..., 0] = -mirrored[..., 0]
    return mirrored


def main() -> None:
    """Run from the command line."""
    from rich.progress import track

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--split", choices=SPLITS, default="train")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    for path in track(sorted(options.pairs.glob(f"{options.split}_*.npz")), options.split):
        target = options.out / path.name
        if not target.exists():
            write_arrays(target, measure(load_arrays(path)))
    flows = read_flows(options.out, options.split)
    print(f"{len(flows)} flow maps of {len(np.unique(flows.person))} people -> {options.out}")


if __name__ == "__main__":
    main()
