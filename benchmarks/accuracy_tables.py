"""Tables of how far each measure can be trusted, from the reports of evaluations."""

from __future__ import annotations

from typing import Any

import records

from affect_engines import load_card
from realtime_affect.names import AU_OCCURRENCES, EXPRESSIONS, FACS_NAMES
from training.real.table import real_faces_table


def trust_table() -> str:
    """Return in ten lines what each measure is worth, and on what evidence."""
    names = ("action_units", "ifdd_stream", "micro_spotting", "htnet_live", "htnet_zero_shot")
    reports = {name: records.report(name) for name in (*names, "real_faces")}
    if not all(reports.values()):
        return "No record yet."
    units, expression, spotting, live, unseen, real = reports.values()
    teacher, rest = real["lfw"]["units"], real["rest"]
    cards = load_card("action_units").units
    levels = {
        level: ", ".join(name for name in AU_OCCURRENCES if cards[name].trust == level)
        for level in ("high", "medium", "low", "none")
    }
    own = units["studio_test"]["calibrated"]
    icc = [own[name]["icc"] for name in AU_OCCURRENCES if cards[name].trust != "none"]
    persons = units.get("london_061_090", units["london_001_045"])
    smile = persons["calibrated"]
    stills = expression[load_card("ifdd_stream").precision]["ferplus_valid"]["cut by the product"]
    recall = stills["recall"]
    rare = ", ".join(f"{name} {recall[name]:.2f}" for name in ("disgust", "fear", "contempt"))
    rendered = spotting["judged"]["rendered, test 30 fps, 0.12 to 0.5 s, strength 0.1 to 0.35"]
    injected = spotting["injected"]["anywhere"]["found_of_by_amplitude"]
    strongest = max(injected, key=float)
    hits, n = injected[strongest]
    false = spotting["false_alarms"]["real faces"]["at_most_per_min"]
    first = next(iter(unseen.values()))
    rows = [
        ("tracks, mesh", "MediaPipe's networks; equal points are tested"),
        ("head pose, gaze, blinks, distance", "not compared with a ground truth"),
        (
            f"action units, trust high: {levels['high']}",
            "agree with rendered truth, and separate real faces that raters name from neutral ones",
        ),
        (
            f"trust medium: {levels['medium']}",
            f"all units: mean ICC {sum(icc) / len(icc):.2f} on rendered people; mean rank "
            f"agreement {teacher['mean_spearman']:.2f} with MediaPipe's blendshapes on real ones",
        ),
        (f"trust low or none: {levels['low']}, {levels['none']}", "marked `?`, or always empty"),
        (
            "smile (AU12)",
            f"{smile['smile_accuracy']:.1%} right on photographs of {persons['persons']} people",
        ),
        (
            "expression displayed",
            f"accuracy {stills['accuracy']:.2f}, UAR {stills['uar']:.2f} on rated images of real "
            f"people; of {rest['units']['frames']} frames of a face at rest "
            f"{rest['expression']['reported']['not_neutral']:.0%} are reported as not neutral",
        ),
        ("disgust, fear, contempt", f"little: recall {rare}"),
        (
            "micro-expression spotted",
            f"rendered people: recall {rendered['recall']:.2f}, precision "
            f"{rendered['precision']:.2f}; in real faces that move, {hits} of {n} at "
            f"{float(strongest):.0%} of the eyes' distance, and at most {false:.1f} false a minute",
        ),
        (
            "its class",
            f"UF1 {live['studio_test']['uf1']:.2f} on rendered people; {first['uf1']:.2f} on real "
            "flow images, by a sibling network",
        ),
    ]
    table = ["| measure | evidence |", "|---|---|", *(f"| {what} | {why} |" for what, why in rows)]
    return "\n".join([*table, "", records.report_signature(*reports)])


def units_table() -> str:
    """Return what is known of each action unit: the evaluation report, the card made of it."""
    report = records.report("action_units")
    if report is None:
        return "No record yet."
    units = load_card("action_units").units
    rows = [
        "| unit | FACS name | trust | ICC | MAE | F1 | ICC before the neutral is known | real |",
        "|---|---|---|---|---|---|---|---|",
    ]
    own, population = (report["studio_test"][kind] for kind in ("calibrated", "uncalibrated"))
    for name in AU_OCCURRENCES:
        label = f"| {name} | {FACS_NAMES[name]} | "
        if units[name].trust == "none":
            rows.append(label + "none, always empty | | | | | |")
            continue
        cells = [f"{own[name][key]:.2f}" for key in ("icc", "mae", "f1")]
        cells.append(f"{population[name]['icc']:.2f}")
        real = report["ferplus_valid"]["auc"].get(name)
        cells.append(f"{real['auc']:.2f} {real['expression']} ({real['faces']})" if real else "")
        rows.append(label + " | ".join([units[name].trust, *cells]) + " |")
    return "\n".join([*rows, "", _units_signature(report)])


def _units_signature(report: dict[str, Any]) -> str:
    judged = ("action_units", report["forms"]["fp32"])
    return records.report_signature("action_units", judged=judged)


def faces_table() -> str:
    """Return what image and neutral face bring, and what was found on real photographs."""
    report = records.report("action_units")
    if report is None:
        return "No record yet."
    rows = ["| what the network is given | mean ICC |", "|---|---|"]
    rows += [f"| {name} | {value:.3f} |" for name, value in report["ablation_mean_icc"].items()]
    if "skins" in report:
        rows += [
            "",
            "| skins worn in training, without real faces | mean ICC | smile AUC, 001 to 045 "
            "| false units a neutral face |",
            "|---|---|---|---|",
        ]
        rows += [
            f"| {kind} | {found['mean_icc']:.3f} | {found['smile_auc']:.3f} "
            f"| {found['false_units_a_neutral_face']:.2f} |"
            for kind, found in report["skins"].items()
        ]
    rows += [
        "",
        "| form | rank agreement, LFW's validation persons | FER+ raters, mean AUC "
        "| smile AUC, 001 to 045 | smile accuracy |",
        "|---|---|---|---|---|",
    ]
    figures = ("lfw_validation_spearman", "ferplus_valid_mean_auc", "london_001_045_smile_auc",
               "london_001_045_smile_accuracy")  # fmt: skip
    for form, found in report["forms"].items():
        rows.append(f"| {form} | " + " | ".join(f"{found[key]:.3f}" for key in figures) + " |")
    if "without_lfw" in report:
        rows += [
            "",
            "| learned from | rounds | rank agreement, LFW's validation persons "
            "| FER+ raters, mean AUC |",
            "|---|---|---|---|",
        ]
        for label, found in (("everything", report), ("all but LFW", report["without_lfw"])):
            raters = [part["auc"] for part in found["ferplus_valid"]["auc"].values()]
            rows.append(
                f"| {label} | {found['about']['rounds']} "
                f"| {found['lfw_validation']['mean_spearman']:.3f} "
                f"| {sum(raters) / len(raters):.3f} |"
            )
    rows += [
        "",
        "| photographs | persons | neutral | smile AUC | smile accuracy "
        "| neutral faces that show the same false unit, at most |",
        "|---|---|---|---|---|---|",
    ]
    for key, text in (("london_001_045", "001 to 045"), ("london_061_090", "061 to 090")):
        for kind, neutral in (("uncalibrated", "population's"), ("calibrated", "own")):
            found = report[key][kind]
            rows.append(
                f"| {text} | {report[key]['persons']} | {neutral} | {found['smile_auc']:.3f} "
                f"| {found['smile_accuracy']:.3f} | {found['worst_false_units']} |"
            )
    return "\n".join([*rows, "", _units_signature(report)])


def studio_table() -> str:
    """Return what skin in relief brings: likeness to real faces, and a training on it."""
    likeness, trial = records.report("studio_likeness"), records.report("studio_relief")
    if likeness is None or trial is None:
        return "No record yet."
    units = likeness["units"]
    rows = ["| likeness | " + " | ".join(units) + " |", "|---|" + "---|" * len(units)]
    for name, text in (("painted", "painted lines"), ("relief", "relief")):
        found = [f"{unit[name]:.2f}" for unit in units.values()]
        rows.append(f"| {text} | " + " | ".join(found) + " |")
    rows += [
        "",
        "| network | rank agreement, LFW's validation persons | AU04 | AU06 | AU14 "
        "| FER+ raters, mean AUC | ICC, painted | ICC, relief | AU09's ICC, relief |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, text in (("shipped", "what ships"), ("painted", "trained on with painted lines"),
                       ("relief", "trained on with relief")):  # fmt: skip
        judged = trial["networks"][name]
        ranks, icc = judged["lfw_validation"], judged["studio_test_icc"]
        figures = [
            ranks["mean_spearman"], *(ranks["units"][unit] for unit in ("AU04", "AU06", "AU14")),
            judged["ferplus_valid_auc"]["mean"], icc["painted"]["mean"], icc["relief"]["mean"],
            icc["relief"]["units"]["AU09"],
        ]  # fmt: skip
        rows.append(f"| {text} | " + " | ".join(f"{value:.3f}" for value in figures) + " |")
    gains = ", ".join(
        f"{name} {gain:+.3f} ({low:+.3f} to {high:+.3f})"
        for name, (gain, low, high) in trial["relief_against_painted"].items()
    )
    rows += ["", f"Rank agreement with relief less that with painted lines: {gains}."]
    return "\n".join([*rows, "", records.report_signature("studio_likeness", "studio_relief")])


def expression_table() -> str:
    """Return what the expression network scores, of the form that its card prefers."""
    report = records.report("ifdd_stream")
    if report is None:
        return "No record yet."
    found = report[load_card("ifdd_stream").precision]
    still, studio = found["ferplus_valid"], found["studio_test"]
    rows = ["| evaluated on | n | accuracy | UAR |", "|---|---|---|---|"]
    parts = [(f"FER+ `valid`, {name}", part) for name, part in still.items()]
    parts += [
        (f"rendered sequences, {text}", studio[name])
        for name, text in (("clear", "clear moments"), ("strongest", "strongest moment of each"))
    ]
    for name, part in parts:
        rows.append(
            f"| {name} | {part['n']} | {_with_interval(part, 'accuracy')} "
            f"| {_with_interval(part, 'uar')} |"
        )
    lfw = found["lfw_kept_out"]
    rows.append(
        f"| LFW, persons kept out | {lfw['n']} | {lfw['accuracy']:.3f} "
        f"| {_with_interval(lfw, 'uar')} |"
    )
    rows += ["", "| | " + " | ".join(EXPRESSIONS) + " |", "|---" * 9 + "|"]
    for name, recall in (
        ("recall, FER+ `valid`, as cut", still["cut by the product"]["recall"]),
        ("recall, LFW", lfw["recall"]),
        ("recall, rendered, clear", studio["clear"]["recall"]),
    ):
        values = [f"{recall[key]:.2f}" if key in recall else "" for key in EXPRESSIONS]
        rows.append(f"| {name} | " + " | ".join(values) + " |")
    if len(report["single_moments"]) > 1:
        rows += ["", "| single moments, learned | FER+ `valid`, accuracy | UAR | LFW, UAR |",
                 "|---|---|---|---|"]  # fmt: skip
        for name, parts in report["single_moments"].items():
            cut, kept_out = parts["student"]["ferplus_valid"], parts["student"]["lfw_kept_out"]
            rows.append(
                f"| {name} | {_with_interval(cut, 'accuracy')} | {_with_interval(cut, 'uar')} "
                f"| {_with_interval(kept_out, 'uar')} |"
            )
    talking = lfw["talking"]
    onsets = found.get("london_061_090", found["london_036_045"])
    rows += [
        "",
        f"Smile onsets of {onsets['persons']} persons kept apart: neutral at first "
        f"{onsets['neutral_first']}, happiness at last {onsets['happiness_last']}. "
        f"Calibration error of the probabilities: {found['calibration']['ece']:.3f}.",
        "",
        f"{talking['clips']} neutral faces of LFW kept out, made to talk: the likeliest expression "
        f"changes {talking['changes_a_minute']:.0f} times a minute, and is another than neutral "
        f"{talking['not_neutral']:.0%} of the time.",
    ]
    return "\n".join(
        [*rows, "", records.report_signature("ifdd_stream", judged=("ifdd_stream", found))]
    )


def _with_interval(part: dict[str, Any], key: str) -> str:
    low, high = part[f"{key}_interval"]
    return f"{part[key]:.3f} ({low:.3f} to {high:.3f})"


def lifting_table() -> str:
    """Return what each way to split a clip scores on moments that say little on their own."""
    report = records.report("lifting_ablation")
    if report is None:
        return "No record yet."
    kinds = ("ambiguous", *report["moments"])
    rows = [
        "| split | " + " | ".join(kinds) + " | learned split is better by | clear moments, UAR |",
        "|---" * (len(kinds) + 3) + "|",
    ]
    for name, figures in report["mean"].items():
        cells = [f"{figures[kind]:.3f}" for kind in kinds]
        gain = report["learned_against"].get(name)
        told = f"{gain['gain']:+.3f} ({gain['low']:+.3f} to {gain['high']:+.3f})" if gain else ""
        rows.append(
            f"| {name} | " + " | ".join([*cells, told, f"{figures['clear_uar']:.3f}"]) + " |"
        )
    return "\n".join([*rows, "", records.report_signature("lifting_ablation")])


def spotting_table() -> str:
    """Return what the spotter of micro-expressions finds, misses and makes up.

    ``micro_spotting.json`` holds ``judged``: name to n, precision, recall and f1;
    ``recall_by``: what is varied, on what, to its values to n and recall; ``false_alarms``: name to
    events, minutes, share_gated and at_most_per_min (the 95 % bound of a Poisson rate).
    """
    report = records.report("micro_spotting")
    if report is None:
        return "No record yet."
    rows = ["| evaluated on | n | precision | recall | F1 |", "|---|---|---|---|---|"]
    for name, found in report["judged"].items():
        cells = " | ".join(f"{found[key]:.3f}" for key in ("precision", "recall", "f1"))
        rows.append(f"| {name} | {found['n']} | {cells} |")
    for varied, by_row in _families(report.get("recall_by", {})).items():
        columns = sorted({column for values in by_row.values() for column in values})
        rows += ["", f"| recall by {varied} | " + " | ".join(columns) + " |"]
        rows.append("|---" * (len(columns) + 1) + "|")
        for name, values in by_row.items():
            found = [values.get(column) for column in columns]
            cells = [f"{one['recall']:.2f} of {one['n']}" if one else "" for one in found]
            rows.append(f"| {name} | " + " | ".join(cells) + " |")
    alarms = report.get("false_alarms", {})
    if alarms:
        rows += [
            "",
            "| nothing is known to happen in | spotted | minutes | unwatched | a minute at most |",
            "|---|---|---|---|---|",
        ]
    for name, found in alarms.items():
        rows.append(
            f"| {name} | {found['events']} | {found['minutes']:.1f} "
            f"| {100 * found['share_gated']:.0f} % | {found['at_most_per_min']:.2f} |"
        )
    return "\n".join([*rows, "", records.report_signature("micro_spotting")])


def _families(recall_by: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Gather ``varied (judged on)`` and ``varied, judged on`` by what is varied."""
    families: dict[str, dict[str, Any]] = {}
    for name, values in recall_by.items():
        varied, _, judged = name.removesuffix(")").partition(" (")
        if not judged:
            varied, _, judged = name.rpartition(", ")
        families.setdefault(varied, {})[judged] = values
    return families


_LEFT_OUT = {
    "linear": "60 components of the pixels and logistic regression",
    "reduced": "HTNet's published form, made small",
    "tuned": "sibling, highest level tuned in each fold",
    "whole": "sibling, tuned in each fold",
    "readout": "sibling, last layer anew in each fold",
    "joined": "mean of sibling, its last layer anew, and the linear one",
}


def gaze_table() -> str:
    """Return how far the eye network is from the iris network that taught it."""
    report = records.report("eye_live")
    if not report:
        return "No record yet."
    parts = {
        "LFW, persons kept out of training: validation": report["validation"],
        "LFW, persons kept out of training: test": report["test"],
        "real clips, every frame": report["clips"]["every_frame"],
        "real clips, looked at ten times a second": report["clips"]["ten_a_second"],
    }
    rows = ["| faces | n | mean | median | 95th percentile |", "|---" * 5 + "|"]
    for name, found in parts.items():
        figures = " | ".join(f"{found[key]:.1f}°" for key in ("mean_deg", "p50_deg", "p95_deg"))
        rows.append(f"| {name} | {found['faces']} | {figures} |")
    noise = report["test"]["teacher_noise_deg"]
    rows += [
        "",
        f"On LFW's stills one answer of the iris network is off its own mean by {noise:.1f}°.",
        "",
        f"<sub>{records.origin([report['made']])}; benchmarks/results/eye_live.json</sub>",
    ]
    return "\n".join(rows)


def micro_table() -> str:
    """Return what the classifier of micro-expressions scores, and what honest folds score."""
    live, looks, loso = (records.report(f"htnet_{name}") for name in ("live", "zero_shot", "loso"))
    if live is None or looks is None or loso is None:
        return "No record yet."
    studio = live["studio_test"]
    rows = ["| evaluated on | what | UF1 | UAR |", "|---|---|---|---|"]
    rows.append(
        f"| {studio['pairs']} rendered pairs, {studio['people']} people | shipped, four classes "
        f"| {_with_interval(studio, 'uf1')} | {_with_interval(studio, 'uar')} |"
    )
    told = [("sibling, never saw real flow, " + name, found) for name, found in looks.items()]
    told += [(_LEFT_OUT[name], found["last_epoch"]) for name, found in loso.items()]
    for name, found in told:
        rows.append(
            f"| {found['clips']} real flow images | {name} "
            f"| {_with_interval(found, 'uf1')} | {_with_interval(found, 'uar')} |"
        )
    rows += [
        f"| *the same runs, best epoch chosen on the test fold* | {_LEFT_OUT[name]} "
        f"| *{found['best_epoch_on_the_test_fold']['uf1']:.3f}* "
        f"| *{found['best_epoch_on_the_test_fold']['uar']:.3f}* |"
        for name, found in loso.items()
        if "best_epoch_on_the_test_fold" in found
    ]
    names = ("htnet_live", "htnet_zero_shot", "htnet_loso")
    return "\n".join([*rows, "", records.report_signature(*names, judged=("htnet_live", live))])


def real_table() -> str:
    """Return the examination of everything that ships on real faces kept out of training."""
    return "\n".join([real_faces_table(records.report("real_faces")), "",
                      records.report_signature("real_faces")])  # fmt: skip


def interpretation_table() -> str:
    """Return how good interpretations are."""
    report = records.report("interpretation")
    if report is None:
        return "No record yet."
    studio, onsets = report["studio"], report["smile_onsets"]
    n_blends = sum(found["n"] for found in studio["by_compound"].values())
    n_single = studio["sequences"] - n_blends
    rows = [
        "| what | on | figure |",
        "|---|---|---|",
        f"| first observation is a unit that is shown, of FACS B or more "
        f"| {studio['sequences']} studio sequences | {studio['top_observation_right']:.0%} |",
        f"| compound named right | {n_blends} blended studio sequences "
        f"| {studio['compound_right']:.0%} |",
        f"| no compound named | {n_single} studio sequences of one expression "
        f"| {studio['no_compound_right']:.0%} |",
        *_left_out(),
        f"| AU12 named at the end of a smile | {onsets['persons']} photographed persons, morphed "
        f"| {onsets['au12_named']} |",
        f"| its onset within 2 frames of 33 ms | those | {onsets['onset_within_2_frames']}; median "
        f"{_frames(onsets['onset_error_frames']['median'])} |",
        "",
        "| acted clip | votes of the face alone | told at its peak | agrees, of all decisions |",
        "|---|---|---|---|",
    ]
    for clip in report["acted"]:
        votes = ", ".join(f"{name} {n}" for name, n in clip["votes"].items())
        peak = clip["peak"]
        share = clip["verdicts"].get("agrees", 0.0)
        rows.append(
            f"| {clip['clip']} | {votes} | {peak['expression']}; {peak['line']} | {share:.0%} |"
        )
    found = "<sub>" + records.origin([report]) + "; benchmarks/results/interpretation.json</sub>"
    return "\n".join([*rows, "", found])


def _left_out() -> list[str]:
    """Return a row about people on whom the rule for compounds was not chosen, of the choice."""
    chosen = records.report("compound_rule")
    if chosen is None:
        return []
    left_out = chosen["people_left_out"]
    return [
        f"| the last two, in the rule's choice | {chosen['people']} people, each left out in turn "
        f"| {left_out['compound_right']:.0%}, {left_out['no_compound_right']:.0%} |"
    ]


def _frames(value: float | None) -> str:
    return "not known" if value is None else f"{value:+.1f} frames"
