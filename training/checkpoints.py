"""What a training keeps after each epoch and goes on with: ``checkpoint.pt`` in its run's folder.

Written whole or not at all. It holds tensors and numbers alone, and reading it runs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import torch
from torch import nn

from affect_kernels.atomic import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    Network = TypeVar("Network", bound=nn.Module)

NAME: Final = "checkpoint.pt"


class Run:
    """A network that learns, and all that a run which was stopped needs to go on.

    Where `folder` holds a checkpoint, all three are brought to where it ended.

    Parameters
    ----------
    folder : Path
    network : nn.Module
    optimiser : Optimizer
    schedule : LRScheduler

    Attributes
    ----------
    epochs : int
        How many are done.
    """

    def __init__(
        self,
        folder: Path,
        network: nn.Module,
        optimiser: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
    ) -> None:
        self._path = folder / NAME
        self._parts = {"network": network, "optimiser": optimiser, "schedule": schedule}
        self.epochs = 0
        if self._path.exists():
            stored = _read(folder)
            for name, part in self._parts.items():
                part.load_state_dict(stored[name])
            self.epochs = stored["epoch"]

    def keep(self) -> None:
        """Write down that one more epoch is done."""
        self.epochs += 1
        state = {name: part.state_dict() for name, part in self._parts.items()}
        with replacing(self._path) as temporary:
            torch.save({**state, "epoch": self.epochs}, temporary)


def load_weights(folder: Path, network: Network) -> Network:
    """Read what a run in `folder` has learned into `network`; return it, ready to infer."""
    network.load_state_dict(_read(folder)["network"])
    return network.eval()


def decay_groups(
    parameters: Iterable[nn.Parameter], decay: float, **settings: float
) -> list[dict[str, Any]]:
    """Return groups for an optimiser: matrices decay; biases and the scales of norms do not."""
    matrices, others = [], []
    for parameter in parameters:
        (matrices if parameter.ndim > 1 else others).append(parameter)
    return [
        {"params": matrices, "weight_decay": decay, **settings},
        {"params": others, "weight_decay": 0.0, **settings},
    ]


def _read(folder: Path) -> dict[str, Any]:
    stored: dict[str, Any] = torch.load(folder / NAME, weights_only=True)
    return stored
