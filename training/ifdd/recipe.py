"""How IFDD was trained: losses, mixing of clips, learning rate, augmentation.

Constants are those of the published DFEW configuration, quirks included: where they look odd, the
docstring says so. Szegedy et al., 2016 (label smoothing); Zhang et al., 2018 (mixup); Yun et al.,
2019 (CutMix).
"""

from __future__ import annotations

from math import cos, pi, sqrt
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor, nn

from training.ifdd.backbone import SIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

EPOCHS: Final = 100
BATCH: Final = 16
WEIGHT_DECAY: Final = 1e-3
_PEAK, _END = 5e-5, 5e-7
_WARM_EPOCHS: Final = 10
_WARM_FROM, _WARM_TO = 1e-6, 9.8e-5
_SMOOTHING: Final = 0.1
_MIXUP_ALPHA, _CUTMIX_ALPHA, _CUTMIX_SHARE = 0.8, 1.0, 0.5
_DECOUPLING: Final = 0.1
_JITTER: Final = 0.4
_AREA: Final = (0.5, 1.0)
_RATIO: Final = (3 / 4, 4 / 3)


def learning_rate(epoch: int) -> float:
    """Return the rate of an epoch, counted from 0.

    A line for ten epochs, then a half cosine. The line aims at 9.8e-5 where the cosine starts at
    5e-5: the rate falls by a step between, as published.
    """
    if epoch < _WARM_EPOCHS:
        return _WARM_FROM + (_WARM_TO - _WARM_FROM) * epoch / _WARM_EPOCHS
    share = (epoch - _WARM_EPOCHS) / (EPOCHS - _WARM_EPOCHS)
    return _END + (_PEAK - _END) * (1 + cos(pi * share)) / 2


def make_optimiser(network: nn.Module) -> torch.optim.AdamW:
    """Return AdamW with one group: the weight decay is on everything, norms and biases too."""
    return torch.optim.AdamW(network.parameters(), learning_rate(0), weight_decay=WEIGHT_DECAY)


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy with probabilities (n, classes) as targets, mean over the batch."""
    return -(targets * logits.log_softmax(1)).sum(1).mean()


def decoupling_loss(lost: Tensor) -> Tensor:
    """Draw ``pool_a`` (n, 7, 7) to zero: a tenth of the *sum* over the batch of its smooth L1."""
    each = nn.functional.smooth_l1_loss(lost, torch.zeros_like(lost), reduction="none")
    return _DECOUPLING * each.mean((1, 2)).sum()


def smoothed(labels: Tensor, classes: int) -> Tensor:
    """Return targets (n, classes): a tenth of the weight spread over all classes."""
    off = _SMOOTHING / classes
    targets = torch.full((len(labels), classes), off)
    return targets.scatter_(1, labels[:, None], 1 - _SMOOTHING + off)


def mix(
    clips: Tensor, labels: Tensor, classes: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Mix each clip (n, 3, T, H, W) with the one opposite in the batch.

    Half of the batches blend (mixup), half paste a rectangle, the same through all frames (CutMix);
    the share is then that of the pixels that stayed.

    Returns
    -------
    clips, targets : tensors
        Mixed; targets (n, classes) are smoothed.
    """
    others, targets = clips.flip(0), smoothed(labels, classes)
    if rng.uniform() < _CUTMIX_SHARE:
        height, width = clips.shape[-2:]
        top, bottom, left, right = _rectangle(
            height, width, float(rng.beta(_CUTMIX_ALPHA, _CUTMIX_ALPHA)), rng
        )
        share = 1 - (bottom - top) * (right - left) / (height * width)
        clips = clips.clone()
        clips[..., top:bottom, left:right] = others[..., top:bottom, left:right]
    else:
        share = float(rng.beta(_MIXUP_ALPHA, _MIXUP_ALPHA))
        clips = share * clips + (1 - share) * others
    return clips, share * targets + (1 - share) * targets.flip(0)


def _rectangle(
    height: int, width: int, share: float, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """Return top, bottom, left, right around a random centre, cut at the border."""
    side = sqrt(1 - share)
    half_height, half_width = int(height * side) // 2, int(width * side) // 2
    y, x = int(rng.integers(height)), int(rng.integers(width))
    top, bottom = max(0, y - half_height), min(height, y + half_height)
    return top, bottom, max(0, x - half_width), min(width, x + half_width)


def augment(frames: NDArray[np.uint8], rng: np.random.Generator) -> Tensor:
    """Flip, crop and jitter a clip, every frame alike.

    Parameters
    ----------
    frames : (T, H, W, 3) uint8
        RGB.

    Returns
    -------
    (3, T, 224, 224) float
        0 to 1.
    """
    clip = torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2))).float()
    if rng.uniform() < 0.5:
        clip = clip.flip(3)
    top, left, height, width = _crop(clip.shape[2], clip.shape[3], rng)
    clip = clip[:, :, top : top + height, left : left + width]
    clip = nn.functional.interpolate(clip, (SIDE, SIDE), mode="bilinear", antialias=True) / 255
    return _jitter(clip.clamp(0, 1), rng).transpose(0, 1)


def _crop(height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Return top, left, height, width of a part of the area of a random shape."""
    for _ in range(10):
        area = height * width * rng.uniform(*_AREA)
        ratio = np.exp(rng.uniform(*np.log(_RATIO)))
        h, w = round(sqrt(area / ratio)), round(sqrt(area * ratio))
        if h <= height and w <= width:
            return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side, side


def _jitter(clip: Tensor, rng: np.random.Generator) -> Tensor:
    """Change brightness, contrast, saturation and hue of (T, 3, H, W), in random order."""
    for k in rng.permutation(4).tolist():
        factor = float(rng.uniform(1 - _JITTER, 1 + _JITTER))
        if k == 0:
            clip = clip * factor
        elif k == 1:
            mean = _grey(clip).mean((1, 2, 3), keepdim=True)
            clip = factor * clip + (1 - factor) * mean
        elif k == 2:
            clip = factor * clip + (1 - factor) * _grey(clip)
        else:
            clip = _turn_hue(clip, float(rng.uniform(-_JITTER, _JITTER)))
        clip = clip.clamp(0, 1)
    return clip


def _grey(clip: Tensor) -> Tensor:
    return (clip * torch.tensor([0.2989, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)


def _turn_hue(clip: Tensor, turn: float) -> Tensor:
    """Turn the hue of (T, 3, H, W) in HSV by a share of a full turn (Smith, 1978)."""
    high, _ = clip.max(1)
    low, _ = clip.min(1)
    chroma = high - low
    safe = chroma.clamp(min=1e-8)
    red, green, blue = clip.unbind(1)
    sixth = torch.where(
        high == red,
        ((green - blue) / safe) % 6,
        torch.where(high == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    sixth = (sixth + 6 * turn) % 6
    channels = []
    for offset in (5.0, 3.0, 1.0):
        k = (offset + sixth) % 6
        channels.append(high - chroma * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(channels, 1)
