"""Average the weights of several trainings that went on from the same checkpoint.

    python -m training.action_units.average RUN RUN RUN --out FOLDER

Trainings that share a beginning end in the same valley, and the middle of it holds better than its
walls (Wortsman et al., "Model soups", 2022; Izmailov et al., "Averaging weights leads to wider
optima", 2018). Costs nothing at run time, and the trainings can run side by side.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from training.action_units.export import load_network
from training.checkpoints import NAME


def average(runs: list[Path]) -> dict[str, torch.Tensor]:
    """Return the mean of each weight and running statistic over the checkpoints of `runs`."""
    states = [load_network(run).state_dict() for run in runs]
    return {
        name: torch.stack([state[name].double() for state in states]).mean(dim=0).to(first.dtype)
        for name, first in states[0].items()
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", help="folders of checkpoints")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.save({"network": average(options.runs)}, options.out / NAME)
    about = [json.loads((run / "about.json").read_text("utf-8")) for run in options.runs]
    told = {**about[0], "seeds": [each["seed"] for each in about]}
    (options.out / "about.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
