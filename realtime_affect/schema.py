"""Every measure, declared once: name, unit, type, meaning, how far to trust it, where it goes.

The columns of both CSV files, the keys of the JSON lines, the page ``docs/output-format.md`` and
the lists of overlay and timeline are made from :data:`SCHEMA`. A new measure is one
:class:`~realtime_affect.measure.Measure` in it and one function that takes the value out of what
the pipeline publishes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from realtime_affect.measure import Measure, Moment, Schema
from realtime_affect.names import (
    AU_INTENSITIES,
    AU_OCCURRENCES,
    EXPRESSIONS,
    FACS_NAMES,
    MICRO_CLASSES,
    SIDED_UNITS,
)
from realtime_affect.types import N_MESH_POINTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtime_affect.markers import Marker
    from realtime_affect.meaning import Meaning
    from realtime_affect.types import (
        AffectResult,
        Expression,
        Face,
        FacialEvent,
        Frame,
        Spotting,
        Track,
    )

_NAN: Final = float("nan")
_SHORT_SIDES: Final = {"": "", "both": "", "right": " right", "left": " left"}


def _image_width(frame: Frame, _: Moment) -> int:
    return round(int(frame.image.shape[1]) / frame.stretch[0])


def _image_height(frame: Frame, _: Moment) -> int:
    return round(int(frame.image.shape[0]) / frame.stretch[1])


def _box_xywh(track: Track, _: Moment) -> list[float]:
    x0, y0, x1, y1 = track.xyxy.tolist()
    return [x0, y0, x1 - x0, y1 - y0]


def _affect_age_ms(affect: AffectResult, moment: Moment) -> float:
    return (moment.t_ns - affect.t_ns) / 1e6


def _expression_age_ms(expression: Expression, moment: Moment) -> float:
    return (moment.t_ns - expression.t_ns) / 1e6


def _tiers(meaning: Meaning, _: Moment) -> list[str]:
    return [" > ".join(path) for path in meaning.tiers]


def _observed(meaning: Meaning, _: Moment) -> list[str]:
    return [f"{o.unit} {o.letter}{_SHORT_SIDES[o.side]}" for o in meaning.observations]


def _micro(spotting: Spotting, _: Moment) -> float:
    return _NAN if spotting.unavailable_reason else 0.0


def _duration_ms(event: FacialEvent, _: Moment) -> float:
    return (event.offset_ns - event.onset_ns) / 1e6


def _uncertainty_ms(marker: Marker, _: Moment) -> float:
    return marker.uncertainty_ms


def _mesh_axis(axis: int) -> Callable[[Face, Moment], Any]:
    return lambda face, _: face.mesh.points[:, axis].tolist()


_POSE_LABELS: Final = ("pitch", "yaw", "roll")
_SIDES: Final = tuple(f"{unit}_{side}" for unit in SIDED_UNITS for side in ("right", "left"))

SCHEMA: Final = Schema(
    (
        Measure(
            "frame", lambda frame, _: frame.index + 1, subject="frame", group="frame",
            dtype="int64", unit="", trust="exact",
            doc="Number of the frame in its source, from 1; frames that were dropped count.",
        ),
        Measure(
            "face_id", lambda track, _: track.track_id, subject="track", group="face",
            dtype="int64", unit="", trust="exact",
            doc="Number of the tracked face, from 1, never given twice in a session; 0 on the "
            "row of a frame without a face.",
            key="id", missing=0,
        ),
        Measure(
            "timestamp", lambda frame, _: frame.t_ns, subject="frame", group="frame",
            dtype="time_ns", unit="s", trust="exact",
            doc="Source time of the frame: the file's own clock; of cameras and streams the rows"
            " count from the first frame.",
            key="t_ns",
        ),
        Measure(
            "confidence", lambda track, _: track.confidence, subject="track", group="face",
            dtype="float32", unit="0 to 1", trust="not evaluated",
            doc="Probability that this is a face.",
        ),
        Measure(
            "success", lambda track, _: track.face is not None, subject="track", group="face",
            dtype="bool", unit="0 or 1", trust="exact",
            doc="Whether the face was measured in this frame; not while it is another face's "
            "turn (`max_faces`), and not on the row of a frame without a face.",
            key="measured", missing=0,
        ),
        Measure(
            "box", lambda track, _: track.xyxy.tolist(), subject="track", group="face",
            dtype="float32", unit="px", trust="not evaluated",
            doc="The face's box x0, y0, x1, y1 in the frame, from its top-left corner.",
            parts=("x0", "y0", "x1", "y1"), columns=(), as_list=True, decimals=1,
        ),
        Measure(
            "box_xywh", _box_xywh, subject="track", group="face", dtype="float32", unit="px",
            trust="not evaluated",
            doc="The face's box in the frame: top-left corner, width, height.",
            parts=("x", "y", "w", "h"), columns=("x", "y", "w", "h"), key="", decimals=2,
        ),
        Measure(
            "head_rotation", lambda face, _: face.pose.rotation_rad.tolist(), subject="face",
            group="head pose", dtype="float32", unit="rad", trust="not evaluated",
            doc="Head rotation in OpenFace's convention, R = Rx Ry Rz: positive Rx looks down, "
            "positive Ry to the image's left, positive Rz tilts clockwise in the image.",
            parts=("x", "y", "z"), labels=_POSE_LABELS, columns=("pose_Rx", "pose_Ry", "pose_Rz"),
            key="pose_rad", as_list=True, decimals=4,
        ),
        Measure(
            "quality", lambda face, _: face.quality.score, subject="face", group="face",
            dtype="float32", unit="0 to 1", trust="not evaluated",
            doc="How well the face can be read, from its size, view and sharpness.",
        ),
        Measure(
            "action_unit_intensity", lambda face, _: face.action_units.intensity.tolist(),
            subject="face", group="action units", dtype="float32", unit="0 to 5", trust="by value",
            doc="Intensities of 17 action units, on OpenFace's scale; they are not OpenFace's "
            "numbers.",
            parts=AU_INTENSITIES, labels=tuple(FACS_NAMES[name] for name in AU_INTENSITIES),
            columns=tuple(f"{name}_r" for name in AU_INTENSITIES), key="units", card="action_units",
        ),
        Measure(
            "action_unit_occurrence", lambda face, _: face.action_units.occurrence.tolist(),
            subject="face", group="action units", dtype="float32", unit="0 or 1", trust="by value",
            doc="Whether each of 18 action units is present.",
            parts=AU_OCCURRENCES, labels=tuple(FACS_NAMES[name] for name in AU_OCCURRENCES),
            columns=tuple(f"{name}_c" for name in AU_OCCURRENCES), key="", decimals=0,
            card="action_units",
        ),
        Measure(
            "action_unit_sides", lambda face, _: face.action_units.sides.ravel().tolist(),
            subject="face", group="action units", dtype="float32", unit="0 to 5",
            trust="not evaluated",
            doc="Intensities of AU12 and AU14 on the person's right and left: smile and dimple "
            "side by side; on one side alone they are a smirk.",
            parts=_SIDES, columns=tuple(f"{name}_r" for name in _SIDES), key="",
        ),
        Measure(
            "head_position", lambda face, _: face.pose.translation_mm.tolist(), subject="face",
            group="head pose", dtype="float32", unit="mm", trust="not evaluated",
            doc="Where the head is, from the camera: right, down, away. For an average camera "
            "and an average head.",
            parts=("x", "y", "z"), columns=("pose_Tx", "pose_Ty", "pose_Tz"), key="pose_mm",
            as_list=True, decimals=1,
        ),
        Measure(
            "gaze_angle", lambda affect, _: affect.gaze_rad.tolist(), subject="affect",
            group="gaze and blinks", dtype="float32", unit="rad", trust="not evaluated",
            doc="Mean gaze of both eyes: x to the image's right, y downwards; looked at ten "
            "times a second (``affect.gaze_hz``), in between the last look stands; empty while the "
            "eyes are shut or turned away.",
            parts=("x", "y"), key="gaze_rad", as_list=True, decimals=4,
        ),
        Measure(
            "affect_age_ms", _affect_age_ms, subject="affect", group="gaze and blinks",
            dtype="float32", unit="ms", trust="exact",
            doc="How much older than the frame the job is that gaze and blink rate come from; 0 in "
            "offline analysis.",
            columns=("gaze_age_ms",), decimals=1,
        ),
        Measure(
            "blinks_per_min", lambda affect, _: affect.blinks_per_min, subject="affect",
            group="gaze and blinks", dtype="float32", unit="1/min", trust="not evaluated",
            doc="Blinks over the last minute; empty until the eyes were seen for ten seconds.",
            json_decimals=1, caption="{:.0f} blinks/min",
        ),
        Measure(
            "expression", lambda expression, _: expression.name, subject="expression",
            group="expression", dtype="text", unit="", trust="evaluated",
            doc="The reported expression that the face displays, by the clip of the last second: "
            "steady, so not always the likeliest of this moment; never what the person feels.",
            key="name",
        ),
        Measure(
            "expression_probability", lambda expression, _: expression.probabilities.tolist(),
            subject="expression", group="expression", dtype="float32", unit="0 to 1",
            trust="evaluated",
            doc="Probability of each expression at this moment, sum 1.",
            parts=EXPRESSIONS, columns=tuple(f"p_{name}" for name in EXPRESSIONS), key="p",
        ),
        Measure(
            "expression_age_ms", _expression_age_ms, subject="expression", group="expression",
            dtype="float32", unit="ms", trust="exact",
            doc="How much older than the frame the newest sample of that clip is.",
            key="age_ms", decimals=1,
        ),
        Measure(
            "warming_up", lambda expression, _: expression.warming_up, subject="expression",
            group="expression", dtype="bool", unit="0 or 1", trust="exact",
            doc="Whether the clip is still shorter than the network wants: estimated, but from "
            "less.",
        ),
        Measure(
            "compound", lambda meaning, _: meaning.compound, subject="meaning",
            group="interpretation", dtype="text", unit="", trust="evaluated",
            doc="Compound emotion displayed, one of C-EXPR-DB's seven, or `none`; by pair-wise "
            "sums of probabilities.",
        ),
        Measure(
            "p_compound", lambda meaning, _: meaning.p_compound, subject="meaning",
            group="interpretation", dtype="float32", unit="0 to 1", trust="evaluated",
            doc="Sum of the two probabilities of the likeliest pair, also where `compound` is "
            "`none`.",
        ),
        Measure(
            "valence", lambda meaning, _: meaning.valence, subject="meaning",
            group="interpretation", dtype="float32", unit="-1 to 1", trust="not evaluated",
            doc="How pleasant the expression displayed is, from probabilities and units, smoothed "
            "over 250 ms; weak evidence while somebody speaks.",
        ),
        Measure(
            "arousal", lambda meaning, _: meaning.arousal, subject="meaning",
            group="interpretation", dtype="float32", unit="-1 to 1", trust="not evaluated",
            doc="How excited the expression displayed is; as `valence`.",
        ),
        Measure(
            "evidence", lambda meaning, _: meaning.verdict, subject="meaning",
            group="interpretation", dtype="text", unit="", trust="not evaluated",
            doc="Whether the measured action units bear out the reported expression: `agrees`, "
            "`partly`, `disagrees`; `unchecked` where none was measured.",
            caption="evidence: {}",
        ),
        Measure(
            "observations", _observed, subject="meaning", group="interpretation", dtype="names",
            unit="", trust="by value", card="action_units",
            doc="Action units above the person's rest, strongest first, each with its FACS "
            "intensity A to E and, where it shows on one side alone, that side.",
            columns=(),
        ),
        Measure(
            "hierarchy", _tiers, subject="meaning", group="interpretation", dtype="names", unit="",
            trust="exact",
            doc="The reported expression, or both parts of the compound, in Parrott's three "
            "tiers: `joy > cheerfulness > happiness`.",
            columns=(),
        ),
        Measure(
            "why", lambda meaning, _: meaning.line, subject="meaning", group="interpretation",
            dtype="text", unit="", trust="not evaluated",
            doc="Compound, observations and evidence in one line, in the language of "
            "`interpret.language`.",
            columns=(),
        ),
        Measure(
            "micro", _micro, subject="micro", group="micro-expression", dtype="bool", unit="0 or 1",
            trust="evaluated",
            doc="1 on a row that carries a micro-expression, 0 where one could have been "
            "spotted, empty where none could.",
            key="",
        ),
        Measure(
            "unavailable_reason", lambda spotting, _: spotting.unavailable_reason, subject="micro",
            group="micro-expression", dtype="text", unit="", trust="exact",
            doc="Why micro-expressions cannot be spotted at this moment; empty while they can.",
            columns=(),
        ),
        Measure(
            "event_kind", lambda event, _: event.kind, subject="event", group="micro-expression",
            dtype="text", unit="", trust="evaluated",
            doc="By its length: `micro` to half a second (0.67 s at 30 frames a second), `macro`"
            " above.",
            columns=(), event_columns=("kind",), key="kind",
        ),
        Measure(
            "event_onset", lambda event, _: event.onset_ns, subject="event",
            group="micro-expression", dtype="time_ns", unit="s", trust="evaluated",
            doc="When the movement began.",
            columns=("micro_onset",), event_columns=("onset",), key="onset_ns",
        ),
        Measure(
            "event_apex", lambda event, _: event.apex_ns, subject="event", group="micro-expression",
            dtype="time_ns", unit="s", trust="evaluated",
            doc="When it was strongest.",
            columns=("micro_apex",), event_columns=("apex",), key="apex_ns",
        ),
        Measure(
            "event_offset", lambda event, _: event.offset_ns, subject="event",
            group="micro-expression", dtype="time_ns", unit="s", trust="evaluated",
            doc="When it was gone.",
            columns=("micro_offset",), event_columns=("offset",), key="offset_ns",
        ),
        Measure(
            "event_duration_ms", _duration_ms, subject="event", group="micro-expression",
            dtype="float32", unit="ms", trust="evaluated",
            doc="From onset to offset.",
            columns=(), event_columns=("duration_ms",), key="", decimals=1,
        ),
        Measure(
            "event_decided", lambda event, _: event.decided_ns, subject="event",
            group="micro-expression", dtype="time_ns", unit="s", trust="exact",
            doc="Source time of the frame on which it was decided.",
            columns=(), event_columns=("decided",), key="",
        ),
        Measure(
            "event_score", lambda event, _: event.score, subject="event", group="micro-expression",
            dtype="float32", unit="from 1", trust="evaluated",
            doc="How often its strongest movement held the threshold of its moment; 1 = just "
            "enough.",
            columns=("micro_score",), event_columns=("score",), key="score",
        ),
        Measure(
            "event_regions", lambda event, _: event.regions, subject="event",
            group="micro-expression", dtype="names", unit="", trust="evaluated",
            doc="Where the face moved, strongest first.",
            columns=(), event_columns=("regions",), key="regions",
        ),
        Measure(
            "event_units", lambda event, _: event.units, subject="event", group="micro-expression",
            dtype="names", unit="", trust="not evaluated",
            doc="Action units that may have made it.",
            columns=(), event_columns=("units",), key="",
        ),
        Measure(
            "micro_class", lambda event, _: event.probabilities.tolist(), subject="event",
            group="micro-expression", dtype="float32", unit="0 to 1", trust="evaluated",
            doc="Probability of each class of micro-expression; what is missing to 1 on a row is"
            " `none`. Empty where it was not classified.",
            parts=MICRO_CLASSES, key="p",
            columns=tuple(f"p_micro_{name}" for name in MICRO_CLASSES if name != "none"),
            event_columns=tuple(f"p_micro_{name}" for name in MICRO_CLASSES),
        ),
        Measure(
            "marker", lambda marker, _: marker.label, subject="marker", group="markers",
            dtype="text", unit="", trust="exact",
            doc="What somebody marked this moment as: in the window, by a stream.",
            event_columns=("marker",), key="label",
        ),
        Measure(
            "marker_number", lambda marker, _: marker.number, subject="marker", group="markers",
            dtype="int64", unit="", trust="exact",
            doc="From 1, in the order in which they came.",
            columns=(), key="number",
        ),
        Measure(
            "marker_time", lambda marker, _: marker.t_ns, subject="marker", group="markers",
            dtype="time_ns", unit="s", trust="exact",
            doc="The moment marked, on the clock of `timestamp`.",
            columns=(), key="t_ns",
        ),
        Measure(
            "marker_origin", lambda marker, _: marker.origin, subject="marker", group="markers",
            dtype="text", unit="", trust="exact",
            doc="Who marked it: `window`, `websocket`, `lsl` and the name of a stream.",
            columns=(), event_columns=("marker_origin",), key="origin",
        ),
        Measure(
            "marker_uncertainty_ms", _uncertainty_ms, subject="marker", group="markers",
            dtype="float32", unit="ms", trust="exact",
            doc="By how much its time may be wrong, as far as clocks can tell.",
            columns=(), event_columns=("marker_uncertainty_ms",), key="uncertainty_ms",
        ),
        Measure(
            "age_ms", lambda _, moment: moment.age_ms, subject="frame", group="frame",
            dtype="float32", unit="ms", trust="exact",
            doc="Time since the frame was captured, when the line was made.",
            columns=(), decimals=1,
        ),
        Measure(
            "width", _image_width, subject="frame", group="frame", dtype="int64", unit="px",
            trust="exact",
            doc="Width of the image.",
            columns=(),
        ),
        Measure(
            "height", _image_height, subject="frame", group="frame", dtype="int64", unit="px",
            trust="exact",
            doc="Height of the image.",
            columns=(),
        ),
    )
)  # fmt: skip
"""All measures. Names that OpenFace has for its columns mean what they mean there."""

_AXES: Final = {
    "x": "to the image's right",
    "y": "downwards",
    "z": "away from the camera, 0 near the head's centre",
}

WITH_LANDMARKS: Final = SCHEMA.with_measures(
    *(
        Measure(
            f"landmarks_{axis}", _mesh_axis(n), subject="face", group="landmarks", dtype="float32",
            unit="px", trust="not evaluated",
            doc=f"The {N_MESH_POINTS} mesh points: {words}.",
            parts=tuple(str(k) for k in range(N_MESH_POINTS)),
            columns=tuple(f"{axis}_{k}" for k in range(N_MESH_POINTS)), key="", decimals=2,
        )
        for n, (axis, words) in enumerate(_AXES.items())
    )
)  # fmt: skip
"""All measures and the mesh, for rows with ``record.landmarks``."""

RELATIVE: Final = (
    Measure(
        "action_unit_above_rest", lambda meaning, _: list(meaning.intensity), subject="meaning",
        group="interpretation", dtype="float32", unit="0 to 5", trust="not evaluated",
        doc="Intensities above the rest in the profile (`interpret.profile`), mean of 100 ms; on "
        "rows where a profile is used.",
        parts=AU_INTENSITIES, columns=tuple(f"{name}_above" for name in AU_INTENSITIES), key="",
    ),
    Measure(
        "expression_above_rest", lambda meaning, _: list(meaning.probabilities), subject="meaning",
        group="interpretation", dtype="float32", unit="0 to 1", trust="not evaluated",
        doc="Probabilities without what the rest in the profile has of each expression; on rows "
        "where a profile is used.",
        parts=EXPRESSIONS, columns=tuple(f"p_{name}_above" for name in EXPRESSIONS), key="",
    ),
)  # fmt: skip
"""What rows hold in addition where a profile is used."""

EVERYTHING: Final = WITH_LANDMARKS.with_measures(*RELATIVE)
"""All measures that there are."""
