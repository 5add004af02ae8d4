"""Record how well interpretations are: ``training.evaluate interpretation --data DIR``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from benchmarks import records
from training.interpretation.real import judge_onsets, judge_votes
from training.interpretation.studio import judge, sequences
from training.real.cache import default_folder
from training.real.examination import log_look
from training.reports import write_report
from training.synthetic.faces import FaceModel

if TYPE_CHECKING:
    from pathlib import Path

CODE: Final = (
    "realtime_affect/affect", "realtime_affect/face", "realtime_affect/interpret",
    "engines/affect_engines", "training/interpretation", "training/synthetic",
)  # fmt: skip


def evaluate_interpretation(
    data: Path, people: int, why: str = "interpretation", out: Path | None = None
) -> dict[str, Any]:
    """Evaluate on studio sequences, London's smile onsets and acted clips; write and print it.

    Parameters
    ----------
    data : Path
        Folder of the data sets (docs/datasets.md).
    people : int
        Of the studio's test split, each showing seven expressions and seven compounds.
    why : str
        For the log of looks at people kept out of training.
    out : Path, optional
        Default: the record that the tables are made from.
    """
    code = records.code_state(*CODE)
    model = FaceModel(data / "synthetic_ict" / "ict_facekit_light.npz")
    cache = default_folder()
    log_look(why, ("london_faces", "real_video"))
    report = {
        **code,
        "made_by": f"python -m training.evaluate interpretation --data DIR --people {people}",
        "studio": judge(sequences(model, "test", people)),
        "smile_onsets": judge_onsets(data / "london_faces" / "smile_onset", cache),
        "acted": judge_votes(data / "real_video" / "crema_d", cache),
    }
    write_report(report, out or records.RESULTS / "interpretation.json")
    _show(report)
    return report


def _show(report: dict[str, Any]) -> None:
    studio, onsets = report["studio"], report["smile_onsets"]
    print(f"studio, {studio['sequences']} sequences: top observation right "
          f"{studio['top_observation_right']:.0%}, compound right {studio['compound_right']:.0%}, "
          f"none where none is {studio['no_compound_right']:.0%}")  # fmt: skip
    print(f"smile onsets, {onsets['persons']} persons: AU12 named {onsets['au12_named']}, within 2 "
          f"frames {onsets['onset_within_2_frames']}")  # fmt: skip
    for clip in report["acted"]:
        print(clip["clip"], clip["votes"], clip["peak"]["line"])
