"""The stretched sibling on real flow it has never seen the like of: every look is logged.

    python -m training.htnet.zero_shot --run FOLDER --pack htnet_pack.npz --why WHY \
        --report report.json --name NAME

All 442 images of the composite database at once; nothing is fitted to them. Answers are the mean of
image and mirror image, with ``--moved`` also of both moved by a pixel.
``benchmarks/results/htnet_looks.jsonl`` tells how often anyone looked, why, and what was seen: of
several looks the best is no honest figure, so all of them are told.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from benchmarks.records import code_state
from training.htnet.folds import variants
from training.htnet.loso import Pack, figures, read_pack
from training.htnet.train import load_network, logits_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

LOOKS: Final = Path("benchmarks/results/htnet_looks.jsonl")


def read_images(
    network: nn.Module, images: NDArray[np.uint8], *, moved: bool = False
) -> NDArray[np.int64]:
    """Return the class of stretched images (n, 28, 28, 3)."""
    shown = variants(images) if moved else variants(images)[:2]
    shares = [torch.from_numpy(logits_of(network, one)).softmax(1) for one in shown]
    return torch.stack(shares).mean(0).argmax(1).numpy()


def log_look(why: str, checkpoint: Path, found: dict[str, Any], log: Path) -> None:
    """Add a line to the log of looks at the composite database."""
    line = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "why": why,
        "checkpoint_sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        "uf1": found["uf1"],
        "uar": found["uar"],
    }
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def look(run: Path, pack: Pack, why: str, log: Path, *, moved: bool = False) -> dict[str, Any]:
    """Score the network of a run on the pack, and log that it was done."""
    read = read_images(load_network(run, "stretched"), pack.flow, moved=moved)
    found = figures(pack, read)
    log_look(why, run / "checkpoint.pt", found, log)
    return found


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--pack", type=Path, required=True, help="htnet_pack.npz")
    parser.add_argument("--why", required=True, help="for the log of looks")
    parser.add_argument("--moved", action="store_true", help="answer by ten views, not by two")
    parser.add_argument("--report", type=Path, required=True, help="JSON, amended")
    parser.add_argument("--name", required=True, help="in the report")
    options = parser.parse_args()
    code = code_state("training/htnet")
    torch.set_num_threads(1)
    found = look(options.run, read_pack(options.pack), options.why, LOOKS, moved=options.moved)
    about = json.loads((options.run / "about.json").read_text("utf-8"))
    report = json.loads(options.report.read_text("utf-8")) if options.report.exists() else {}
    report[options.name] = {"why": options.why, "about": about, **found, "made": code}
    options.report.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
