"""Leave one subject out, honestly: 442 flow images of three databases, 68 subjects.

    python -m training.htnet.loso linear|reduced|tuned|whole|readout|joined --pack htnet_pack.npz \
        --work FOLDER [--pretrained FOLDER] --report report.json

One model a held-out subject, settings fixed beforehand, the last epoch's answers; nothing is ever
chosen by looking at the subject that is held out. Beside that, plainly named, stands what the
published protocol would have reported of the very same runs: it scores the held-out subject after
every epoch and keeps the best one. The images are for evaluation only; no shipped network learned
from them.

Each fold's answers lie in a file of their own, so that a stopped run goes on where it was.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from affect_kernels.atomic import replacing
from benchmarks.records import code_state
from training.htnet.linear import LinearReader
from training.htnet.network import CLASSES
from training.metrics import confusion, uar, uf1

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

REPEATS: Final = 2000
MODELS: Final = ("linear", "reduced", "tuned", "whole", "readout", "joined")


@dataclass(frozen=True, slots=True)
class Pack:
    """Flow images of the composite database.

    Attributes
    ----------
    flow : (n, 28, 28, 3) uint8
        u, v, strain, each channel of each image stretched to 0..255.
    composed : (n, 28, 28, 3) uint8
        The same, put together from crops as published.
    label : (n,) int64
        Index of CLASSES.
    subject, database : (n,) str
    """

    flow: NDArray[np.uint8]
    composed: NDArray[np.uint8]
    label: NDArray[np.int64]
    subject: NDArray[np.str_]
    database: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.label)


class Learner(Protocol):
    """Learns a fold and answers after every epoch."""

    def __call__(
        self, pack: Pack, taught: NDArray[np.bool_], seed: int
    ) -> Sequence[NDArray[np.int64]]:
        """Learn from ``pack[taught]``; return what it says of the others, epoch by epoch."""


def read_pack(path: Path) -> Pack:
    """Read ``htnet_pack.npz``."""
    with np.load(path, allow_pickle=False) as stored:
        return Pack(
            stored["flow_uvs"], stored["composed_uvs"], stored["label"].astype(np.int64),
            # Two databases may give their subjects the same names.
            np.char.add(np.char.add(stored["database"], " "), stored["subject"]),
            stored["database"],
        )  # fmt: skip


def run_folds(pack: Pack, learner: Learner, folder: Path) -> NDArray[np.int64]:
    """Return answers (epochs, n), each made by a model that has not seen the clip's subject."""
    folder.mkdir(parents=True, exist_ok=True)
    answers: NDArray[np.int64] | None = None
    for seed, subject in enumerate(np.unique(pack.subject)):
        path = folder / f"{seed:03d}.npy"
        held = pack.subject == subject
        if path.exists():
            fold = np.load(path)
        else:
            fold = np.array(learner(pack, ~held, seed))
            with replacing(path) as temporary:
                np.save(temporary, fold)
            print(f"{seed + 1}: {subject}", flush=True)
        if answers is None:
            answers = np.full((len(fold), len(pack)), -1, np.int64)
        answers[:, held] = fold
    assert answers is not None
    return answers


def best_on_the_test_fold(pack: Pack, answers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what the published rule keeps: of each subject the epoch most of whose answers hit.

    The later of equal ones. It looks at what it reports, so its figures are no measure of anything;
    they are here to be compared with the published ones.
    """
    kept = np.empty(len(pack), np.int64)
    for subject in np.unique(pack.subject):
        held = pack.subject == subject
        hits = (answers[:, held] == pack.label[held]).sum(axis=1)
        best = len(hits) - 1 - int(np.argmax(hits[::-1]))
        kept[held] = answers[best, held]
    return kept


def subject_interval(
    pack: Pack, read: NDArray[np.int64], repeats: int = REPEATS
) -> dict[str, list[float]]:
    """95 % intervals of UF1 and UAR, by drawing whole subjects anew (percentile bootstrap)."""
    subjects = np.unique(pack.subject)
    classes = len(CLASSES)
    counts = np.array([
        confusion(pack.label[pack.subject == one], read[pack.subject == one], classes)
        for one in subjects
    ])  # fmt: skip
    rng = np.random.default_rng(95)
    drawn = [counts[rng.integers(0, len(subjects), len(subjects))].sum(0) for _ in range(repeats)]
    return {
        name: np.percentile([of(table) for table in drawn], [2.5, 97.5]).round(4).tolist()
        for name, of in (("uf1", uf1), ("uar", uar))
    }


def figures(pack: Pack, read: NDArray[np.int64]) -> dict[str, Any]:
    """Return pooled UF1 and UAR with intervals, confusion matrix, and figures by database."""
    counts = confusion(pack.label, read, len(CLASSES))
    interval = subject_interval(pack, read)
    databases = {}
    for name in np.unique(pack.database).tolist():
        here = pack.database == name
        part = confusion(pack.label[here], read[here], len(CLASSES))
        databases[name] = {"uf1": round(uf1(part), 4), "uar": round(uar(part), 4)}
    return {
        "clips": len(pack), "subjects": len(np.unique(pack.subject)),
        "uf1": round(uf1(counts), 4), "uf1_interval": interval["uf1"],
        "uar": round(uar(counts), 4), "uar_interval": interval["uar"],
        "confusion": counts.tolist(), "databases": databases,
    }  # fmt: skip


def paired_interval(
    pack: Pack, one: NDArray[np.int64], other: NDArray[np.int64], repeats: int = REPEATS
) -> list[float]:
    """95 % interval of the difference of UF1 of two models, whole subjects drawn anew."""
    subjects = np.unique(pack.subject)
    tables = np.array([
        [confusion(pack.label[pack.subject == s], read[pack.subject == s], len(CLASSES))
         for s in subjects]
        for read in (one, other)
    ])  # fmt: skip
    rng = np.random.default_rng(95)
    differences = []
    for _ in range(repeats):
        a, b = tables[:, rng.integers(0, len(subjects), len(subjects))].sum(axis=1)
        differences.append(uf1(a) - uf1(b))
    return np.percentile(differences, [2.5, 97.5]).round(4).tolist()  # type: ignore[no-any-return]


def linear(pack: Pack, taught: NDArray[np.bool_], _seed: int) -> list[NDArray[np.int64]]:
    """Read the plain flow image by principal components and logistic regression."""
    pixels = pack.flow.reshape(len(pack), -1) / 255.0
    reader = LinearReader.fit(pixels[taught], pack.label[taught], len(CLASSES))
    return [reader.read(pixels[~taught])]


def make_learner(name: str, pretrained: Path | None) -> tuple[Learner, dict[str, Any]]:
    """Return a model by its name and its settings.

    Raises
    ------
    ValueError
        One that begins with the sibling, without the sibling's folder.
    """
    if name == "linear":
        from training.htnet.linear import COMPONENTS, STRENGTH

        return linear, {"components": COMPONENTS, "c": STRENGTH}
    from training.htnet.folds import Readout, Reduced, Tuned

    if name == "reduced":
        return Reduced(), Reduced().about()
    if pretrained is None:
        message = f"{name} needs --pretrained, a folder of training.htnet.train stretched"
        raise ValueError(message)
    if name in ("tuned", "whole"):
        tuned = Tuned(pretrained, whole=name == "whole")
        return tuned, tuned.about()
    readout = Readout(pretrained, joined=name == "joined")
    return readout, readout.about()


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--pack", type=Path, required=True, help="htnet_pack.npz")
    parser.add_argument("--work", type=Path, required=True, help="the folds' answers")
    parser.add_argument("--pretrained", type=Path, help="checkpoint of the sibling")
    parser.add_argument("--report", type=Path, required=True, help="JSON, amended")
    parser.add_argument("--name", help="in the report; default: the model")
    options = parser.parse_args()
    code = code_state("training/htnet")
    name = options.name or options.model
    pack = read_pack(options.pack)
    learner, settings = make_learner(options.model, options.pretrained)
    answers = run_folds(pack, learner, options.work / name)
    found = {"settings": settings, "last_epoch": figures(pack, answers[-1])}
    if len(answers) > 1:
        kept = best_on_the_test_fold(pack, answers)
        found["best_epoch_on_the_test_fold"] = figures(pack, kept)
    base = options.work / "linear"
    if name != "linear" and base.is_dir():
        other = run_folds(pack, linear, base)[-1]
        found["uf1_over_linear_interval"] = paired_interval(pack, answers[-1], other)
    report = json.loads(options.report.read_text("utf-8")) if options.report.exists() else {}
    report[name] = found | {"made": code}
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
