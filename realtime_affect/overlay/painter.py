"""The painter: a reading becomes the image people see, in the window and in ``annotated.mp4``.

It shows what was measured and how well, and what movement a face displays, in the words of FACS;
never what a person feels. What was not measured is left out, not drawn as zero.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Final

import cv2
import numpy as np
from pydantic import PositiveFloat

from realtime_affect.face.pose import rotation_matrix
from realtime_affect.landmarks import LEFT_EYE_CORNERS, OUTER_EYE_CORNERS, RIGHT_EYE_CORNERS
from realtime_affect.overlay.captions import (
    OverlayStatus,
    notice_height,
    paint_notice,
    paint_offline,
    paint_strip,
    strip_height,
)
from realtime_affect.overlay.drawing import (
    DARK,
    GREY,
    WHITE,
    Canvas,
    Pen,
    mix,
    round_rectangle,
    text_size,
)
from realtime_affect.overlay.event_trace import fresh_movement
from realtime_affect.overlay.labels import label_of, paint_angles, paint_label, weakness
from realtime_affect.overlay.panel import (
    PanelContent,
    paint_panel,
    panel_size,
)
from realtime_affect.overlay.placement import PanelMemory, place_panels
from realtime_affect.settings import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtime_affect.overlay.drawing import Color
    from realtime_affect.overlay.placement import Rect
    from realtime_affect.types import AffectResult, Face, Image, Reading, Track

ID_COLORS: Final[tuple[Color, ...]] = (
    (233, 180, 86),  # sky blue
    (0, 159, 230),  # orange
    (150, 200, 40),  # green
    (194, 141, 224),  # purple
    (66, 228, 240),  # yellow
    (40, 110, 240),  # vermilion
)
"""One for each id, in turn: Okabe & Ito's colours, told apart by colour-blind people too, the dark
ones lightened to stand out from a dark image."""

_MIN_WIDTH, _MIN_HEIGHT = 120, 90  # smaller images get boxes only
_MAX_PANELS = 8  # faces; with more, labels only
_STALE_NS = 500_000_000  # gaze older than this no longer belongs to the eyes it is drawn at
_BLINK: Final = 2.5  # intensity of AU45 from which the eyes count as closed
_OPEN: Final = 0.12  # eye aspect ratio below which lids are taken for shut
_EYES: Final = [*OUTER_EYE_CORNERS, *RIGHT_EYE_CORNERS, *LEFT_EYE_CORNERS]

__all__ = [
    "ID_COLORS", "OverlayConfig", "OverlayStatus", "PanelMemory", "id_color", "paint", "weakness",
]  # fmt: skip


class OverlayConfig(Section):
    """What is painted.

    Attributes
    ----------
    mesh : bool
        The 468 points of each face.
    bars : bool
        A panel of action units beside each face, where there is room.
    pose : bool
        Axes of the head, and its angles on the box.
    gaze : bool
        Where the eyes look.
    strip : bool
        The run's state along the upper edge.
    notice : bool
        The line that tells people in view what is done. Where the law asks for it, leave it on.
    scale : float
        Size of text and lines; 1 suits most screens.
    """

    section: ClassVar[str] = "overlay"

    mesh: bool = False
    bars: bool = True
    pose: bool = False
    gaze: bool = True
    strip: bool = True
    notice: bool = True
    scale: PositiveFloat = 1.0


def id_color(track_id: int) -> Color:
    """Return the colour of a track."""
    return ID_COLORS[(track_id - 1) % len(ID_COLORS)]


def paint(
    reading: Reading,
    config: OverlayConfig,
    status: OverlayStatus,
    zoom: float = 1.0,
    memory: PanelMemory | None = None,
) -> Image:
    """Paint a reading.

    Parameters
    ----------
    reading : Reading
    config : OverlayConfig
    status : OverlayStatus
    zoom : float
        Size of the painting over the size of the frame. A window paints at its own size, so that
        text stays sharp however large the frame is.
    memory : PanelMemory, optional
        Of a stream of images: keeps panels from changing their form from one to the next.

    Returns
    -------
    (H, W, 3) uint8
        BGR, a new array of the frame's size times `zoom`.
    """
    image = _enlarge(reading.scene.frame.image, zoom)
    height, width = image.shape[:2]
    unit = max(0.8, math.sqrt(width * height / (1280 * 720))) * config.scale
    canvas = Canvas(image, unit)
    roomy = width >= _MIN_WIDTH and height >= _MIN_HEIGHT
    tracks = reading.scene.tracks
    top = strip_height(unit) if roomy and config.strip else 0
    bottom = height - (notice_height(unit) if roomy and config.notice else 0)

    boxes = [_box(track, zoom, width, height) for track in tracks]
    _paint_faces(canvas, reading, boxes, config, zoom)
    if roomy:
        panels: list[Rect] = []
        if config.bars and len(tracks) <= _MAX_PANELS:
            panels = _paint_panels(canvas, reading, boxes, (0, top, width, bottom), memory)
        _paint_labels(canvas, reading, (boxes, panels), config, status.names, top)
    if status.source_state.lower() == "offline":
        paint_offline(canvas)
    if roomy:
        if config.strip:
            paint_strip(canvas, status, len(tracks))
        if config.notice:
            paint_notice(canvas, recording=status.recording)
    return image


def _paint_faces(
    canvas: Canvas, reading: Reading, boxes: list[Rect], config: OverlayConfig, zoom: float
) -> None:
    """Draw what lies on the faces themselves: points, axes, gaze, boxes."""
    for track in reading.scene.tracks:
        _paint_points(canvas, track, config, zoom)
    if config.gaze:
        _paint_gazes(canvas, reading, zoom, boxes)
    for track, box in zip(reading.scene.tracks, boxes, strict=True):
        _paint_box(canvas, track, box, flash=_spiking(reading, track))


def _paint_labels(  # noqa: PLR0913  (what is drawn on, what of, and how)
    canvas: Canvas,
    reading: Reading,
    taken: tuple[list[Rect], list[Rect]],
    config: OverlayConfig,
    names: Mapping[int, str],
    top: int,
) -> None:
    """Name each face; `taken` are the boxes of the faces, and the panels beside them."""
    tracks, (boxes, panels) = reading.scene.tracks, taken
    for n, track in enumerate(tracks):
        name = names.get(track.track_id) or f"#{track.track_id}"
        color = id_color(track.track_id)
        label = label_of(reading, track, name, color, short=len(tracks) > _MAX_PANELS)
        paint_label(canvas, label, boxes, n, top, panels)
        if config.pose and track.face is not None:
            paint_angles(canvas, track.face, boxes[n])


def _enlarge(image: Image, zoom: float) -> Image:
    """Return a writable copy of `image`, `zoom` times its size."""
    if zoom == 1.0:
        return image.copy()
    size = tuple(max(1, round(side * zoom)) for side in (image.shape[1], image.shape[0]))
    how = cv2.INTER_AREA if zoom <= 0.5 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)


def _box(track: Track, zoom: float, width: int, height: int) -> Rect:
    """Return a track's box in painted pixels, no further out than a line's width can show."""

    def near(value: float, side: int) -> int:
        return 0 if math.isnan(value) else round(min(max(value * zoom, -8), side + 8))

    x0, y0, x1, y1 = track.xyxy.tolist()
    return near(x0, width), near(y0, height), near(x1, width), near(y1, height)


def _spiking(reading: Reading, track: Track) -> bool:
    """Whether a micro-expression of the face is to be shown now."""
    result = reading.affect.results.get(track.track_id)
    if result is None or result.micro is None:
        return False
    return fresh_movement(result.micro, reading.scene.frame.t_ns) is not None


def _paint_box(canvas: Canvas, track: Track, box: Rect, *, flash: bool = False) -> None:
    (x0, y0, x1, y1), unit = box, canvas.unit
    radius = min(10 * unit, 0.12 * (x1 - x0))
    measured = track.face is not None
    color = id_color(track.track_id)
    pen = (
        Pen(color, (3.6 if flash else 1.2) * unit, halo=True)
        if measured
        else Pen(mix(color, GREY, 0.5), 1)
    )
    canvas.stroke(round_rectangle(x0, y0, x1, y1, radius), pen, closed=True)


def _paint_points(canvas: Canvas, track: Track, config: OverlayConfig, zoom: float) -> None:
    face = track.face
    if face is None:
        return
    points = face.mesh.points[:, :2] * zoom
    if config.mesh:
        size = 1 if np.ptp(points[:, 0]) < 160 else max(1, round(1.4 * canvas.unit))
        canvas.dots(points, size, mix(id_color(track.track_id), WHITE, 0.5))
    if config.pose:
        origin = points[[168, 6]].mean(axis=0)
        length = 0.45 * float(np.ptp(points[:, 0]))
        axes = rotation_matrix(face.pose.rotation_rad)[:2].T * length
        # The last axis runs out of the face, towards the camera.
        for axis, color in zip(
            (axes[0], axes[1], -axes[2]),
            ((40, 110, 240), (150, 200, 40), (233, 180, 86)),
            strict=True,
        ):
            canvas.stroke(
                [tuple(origin), tuple(origin + axis)], Pen(color, 2 * canvas.unit, halo=True)
            )


def _paint_gazes(canvas: Canvas, reading: Reading, zoom: float, boxes: list[Rect]) -> None:
    """Draw where open eyes look, as far as that is known of this very moment."""
    for n, track in enumerate(reading.scene.tracks):
        if track.face is not None and not _eyes_open(track.face):
            continue
        others = boxes[:n] + boxes[n + 1 :]
        result = reading.affect.results.get(track.track_id)
        if track.face is None or result is None or not np.isfinite(result.gaze_rad).all():
            continue
        if reading.scene.frame.t_ns - result.t_ns <= _STALE_NS:
            _paint_gaze(canvas, track.face, result, zoom, others)


def _eyes_open(face: Face) -> bool:
    """Whether both eyes are open in this very frame; the gaze may come from an earlier one."""
    blink = face.action_units["AU45"]
    return bool((face.eye_openness >= _OPEN).all()) and not blink >= _BLINK


def _paint_gaze(
    canvas: Canvas, face: Face, result: AffectResult, zoom: float, others: list[Rect]
) -> None:
    """Draw an arrow from each eye in the direction it looks."""
    unit = canvas.unit
    right, down = result.gaze_rad.tolist()
    first, last, *lids = (face.mesh.points[_EYES, :2] * zoom).tolist()
    span = math.dist(first, last)
    if span < 24 * unit:
        return  # arrows would hide the eyes
    dx, dy = 0.9 * span * math.sin(right) * math.cos(down), 0.9 * span * math.sin(down)
    length = math.hypot(dx, dy)
    eyes = [((x0 + x1) / 2, (y0 + y1) / 2) for (x0, y0), (x1, y1) in (lids[:2], lids[2:])]
    if length < 5 * unit:  # into the camera
        for x, y in eyes:
            canvas.disc(x, y, 2.4 * unit, DARK)
            canvas.disc(x, y, 1.4 * unit, WHITE)
        return
    tips = [(x + dx, y + dy) for x, y in eyes]
    if any(x0 < x < x1 and y0 < y < y1 for x, y in tips for x0, y0, x1, y1 in others):
        return  # nothing is drawn on a face but its own
    head = min(5 * unit / length, 0.4)
    back_x, back_y, out_x, out_y = head * dx, head * dy, -0.6 * head * dy, 0.6 * head * dx
    wings = [
        [(x - back_x - out_x, y - back_y - out_y), (x, y), (x - back_x + out_x, y - back_y + out_y)]
        for x, y in tips
    ]
    canvas.stroke(list(zip(eyes, tips, strict=True)), Pen(WHITE, 1.4 * unit, halo=True))
    canvas.stroke(wings, Pen(WHITE, 1.4 * unit))


def _paint_panels(
    canvas: Canvas,
    reading: Reading,
    boxes: list[Rect],
    bounds: Rect,
    memory: PanelMemory | None,
) -> list[Rect]:
    """Draw what each face displays beside it, where there is room; return where."""
    unit = canvas.unit
    gap = round(8 * unit)
    x0, y0, x1, y1 = bounds
    room = (x0 + gap, y0 + gap // 2, x1 - gap, y1 - gap // 2)
    label = text_size(13, unit) * 2
    taken = [(x0, y0 - label, x1, y1) for x0, y0, x1, y1 in boxes]
    tracks, t_ns = reading.scene.tracks, reading.scene.frame.t_ns
    contents = {
        n: PanelContent(track.face, reading.affect.results.get(track.track_id), t_ns)
        for n, track in enumerate(tracks)
        if track.face is not None
    }
    sizes = {
        n: [panel_size(content, unit, full=full) for full in (True, False)]
        for n, content in contents.items()
    }
    places = place_panels(taken, sizes, room, gap)
    if memory is not None:
        none = 2
        fits = {tracks[n].track_id: places[n][0] if n in places else none for n in contents}
        kinds = memory.settle(fits, t_ns)
        kept = {n: kinds[tracks[n].track_id] for n in contents}
        if any(kept[n] != fits[tracks[n].track_id] for n in contents):
            narrowed = {
                n: options if kept[n] == 0 else [options[1]] * 2
                for n, options in sizes.items()
                if kept[n] != none
            }
            places = {
                n: (max(kind, kept[n]), x, y)
                for n, (kind, x, y) in place_panels(taken, narrowed, room, gap).items()
            }
    for n, (kind, x, y) in places.items():
        color = id_color(tracks[n].track_id)
        paint_panel(canvas, (x, y), contents[n], color, full=kind == 0)
        # A bar in the face's colour on the side where the face is.
        width, height = sizes[n][kind]
        beside = x - 1 if x >= boxes[n][2] else x + width - round(2 * unit)
        canvas.bar(beside, y + height // 2, (round(3 * unit), height), color)
    return [(x, y, x + sizes[n][k][0], y + sizes[n][k][1]) for n, (k, x, y) in places.items()]
