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
from realtime_affect.face.vision import GOOD_SHARPNESS, GOOD_SIZE_PX, GOOD_VIEW_DEG, MAX_VIEW_DEG
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
    BOLD,
    DARK,
    GREY,
    PANEL_OPACITY,
    WHITE,
    Canvas,
    Font,
    Pen,
    mix,
    panel,
    round_rectangle,
    text_size,
    text_width,
)
from realtime_affect.overlay.panel import (
    PanelContent,
    paint_panel,
    panel_size,
    short_name,
    strongest_units,
)
from realtime_affect.overlay.placement import place_panels
from realtime_affect.settings import Section

if TYPE_CHECKING:
    from realtime_affect.overlay.drawing import Color
    from realtime_affect.overlay.placement import Rect
    from realtime_affect.types import AffectResult, Face, FaceQuality, Image, Reading, Track

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

_MIN_WIDTH, _MIN_HEIGHT = 200, 120  # smaller images get boxes only
_MAX_PANELS = 8  # faces; with more, labels only
_STALE_NS = 500_000_000  # gaze older than this no longer belongs to the eyes it is drawn at
_EYES: Final = np.array((RIGHT_EYE_CORNERS, LEFT_EYE_CORNERS))

__all__ = ["ID_COLORS", "OverlayConfig", "OverlayStatus", "id_color", "paint"]


class OverlayConfig(Section):
    """What is painted.

    Attributes
    ----------
    mesh : bool
        The 468 points of each face.
    bars : bool
        Action units beside each face.
    pose : bool
        Axes of the head and its angles.
    gaze : bool
        Where the eyes look.
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
    notice: bool = True
    scale: PositiveFloat = 1.0


def id_color(track_id: int) -> Color:
    """Return the colour of a track."""
    return ID_COLORS[(track_id - 1) % len(ID_COLORS)]


def paint(
    reading: Reading, config: OverlayConfig, status: OverlayStatus, zoom: float = 1.0
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

    Returns
    -------
    (H, W, 3) uint8
        BGR, a new array of the frame's size times `zoom`.
    """
    image = _enlarge(reading.scene.frame.image, zoom)
    height, width = image.shape[:2]
    unit = max(0.7, min(width / 1280, height / 720)) * config.scale
    canvas = Canvas(image, unit)
    roomy = width >= _MIN_WIDTH and height >= _MIN_HEIGHT
    tracks = reading.scene.tracks
    top = strip_height(unit) if roomy else 0
    bottom = height - (notice_height(unit) if roomy and config.notice else 0)

    for track in tracks:
        _paint_points(canvas, track, config, zoom)
    if config.gaze:
        _paint_gazes(canvas, reading, zoom)
    boxes = [_box(track, zoom, width, height) for track in tracks]
    for track, box in zip(tracks, boxes, strict=True):
        _paint_box(canvas, track, box)
    if roomy:
        crowded = len(tracks) > _MAX_PANELS
        for track, box in zip(tracks, boxes, strict=True):
            _paint_label(canvas, track, box, top, short=crowded)
        if config.bars and not crowded:
            _paint_panels(canvas, reading, boxes, (0, top, width, bottom), pose=config.pose)
    if status.source_state.lower() == "offline":
        paint_offline(canvas)
    if roomy:
        paint_strip(canvas, status, len(tracks))
        if config.notice:
            paint_notice(canvas, recording=status.recording)
    return image


def _enlarge(image: Image, zoom: float) -> Image:
    """Return a writable copy of `image`, `zoom` times its size."""
    if zoom == 1.0:
        return image.copy()
    size = tuple(max(1, round(side * zoom)) for side in (image.shape[1], image.shape[0]))
    how = cv2.INTER_AREA if zoom <= 0.5 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)


def _box(track: Track, zoom: float, width: int, height: int) -> Rect:
    """Return a track's box in painted pixels, no further out than a line's width can show."""
    far = np.nan_to_num(track.xyxy.astype(np.float64) * zoom)
    x0, y0, x1, y1 = np.clip(far, -8, [width + 8, height + 8] * 2).round().astype(int).tolist()
    return x0, y0, x1, y1


def _paint_box(canvas: Canvas, track: Track, box: Rect) -> None:
    (x0, y0, x1, y1), unit = box, canvas.unit
    radius = min(10 * unit, 0.12 * (x1 - x0))
    measured = track.face is not None
    color = id_color(track.track_id)
    pen = Pen(color, 1.2 * unit, halo=True) if measured else Pen(mix(color, GREY, 0.5), 1)
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


def _paint_gazes(canvas: Canvas, reading: Reading, zoom: float) -> None:
    """Draw where the eyes look, as far as that is known of this very moment."""
    for track in reading.scene.tracks:
        result = reading.affect.results.get(track.track_id)
        if track.face is None or result is None or not np.isfinite(result.gaze_rad).all():
            continue
        if reading.scene.frame.t_ns - result.t_ns <= _STALE_NS:
            _paint_gaze(canvas, track.face, result, zoom)


def _paint_gaze(canvas: Canvas, face: Face, result: AffectResult, zoom: float) -> None:
    """Draw an arrow from each eye in the direction it looks."""
    points, unit = face.mesh.points[:, :2] * zoom, canvas.unit
    right, down = result.gaze_rad.tolist()
    right_corner, left_corner = points[list(OUTER_EYE_CORNERS)]
    span = float(np.linalg.norm(right_corner - left_corner))
    if span < 24 * unit:
        return  # arrows would hide the eyes
    reach = 0.9 * span
    step = reach * np.array([math.sin(right) * math.cos(down), math.sin(down)])
    length = float(np.hypot(*step))
    eyes = points[_EYES].mean(axis=1)
    if length < 5 * unit:  # into the camera
        for x, y in eyes.tolist():
            canvas.disc(x, y, 2.4 * unit, DARK)
            canvas.disc(x, y, 1.4 * unit, WHITE)
        return
    tips = eyes + step
    along, head = step / length, min(5 * unit, 0.4 * length)
    across = 0.6 * np.array([-along[1], along[0]])
    wings = np.stack([tips - head * (along + across), tips, tips - head * (along - across)], axis=1)
    canvas.stroke(np.stack([eyes, tips], axis=1), Pen(WHITE, 1.4 * unit, halo=True))
    canvas.stroke(wings, Pen(WHITE, 1.4 * unit))


def _paint_label(canvas: Canvas, track: Track, box: Rect, top: int, *, short: bool) -> None:
    """Draw the id, and how sure and how good the measurement is, above the box.

    Words that would reach beyond the box are left out: what is beside it belongs to panels.
    """
    unit = canvas.unit
    size = text_size(13, unit)
    height, pad = round(1.6 * size), round(0.45 * size)
    name = f"#{track.track_id}"
    x, y = max(0, box[0]), box[1] - height - round(3 * unit)
    if y < top:  # no room above: inside the box
        x, y = x + round(4 * unit), max(top, box[1] + round(4 * unit))
    name_width = text_width(name, size, BOLD) + 2 * pad
    ring = 0 if short or track.face is None else round(0.5 * size)
    words = [] if short else _remarks(track)
    room = box[2] - x - name_width - pad
    while words and _span(words, size) + 2 * ring + 2 * pad > room:
        words.pop()
    if not words and 2 * ring + pad > room:
        ring = 0
    width = name_width
    if words or ring:
        width += pad + (2 * ring + pad if ring else 0) + (_span(words, size) + pad if words else 0)
    x = max(0, min(x, canvas.width - width))
    middle = y + height // 2
    if width > name_width:
        canvas.blit(panel(width, height, 0.3 * height, DARK, PANEL_OPACITY), x, y)
    color = id_color(track.track_id)
    canvas.blit(panel(name_width, height, 0.3 * height, color, 1.0), x, y)
    canvas.write(name, x + pad, middle, Font(size, DARK, BOLD))
    x += name_width + pad
    if ring and track.face is not None:
        _paint_ring(canvas, (x + ring, middle), ring, track.face.action_units.calibration, color)
        x += 2 * ring + pad
    for word in words:
        x = canvas.write(word, x, middle, Font(size, WHITE)) + round(0.6 * size)


def _span(words: list[str], size: int) -> int:
    """Return how wide `words` are side by side."""
    spaces = max(0, len(words) - 1) * round(0.6 * size)
    return sum(text_width(word, size) for word in words) + spaces


def _paint_ring(
    canvas: Canvas, center: tuple[float, float], radius: float, share: float, color: Color
) -> None:
    """Draw how much of the person's own neutral face is known: an arc, a disc when all is."""
    x, y = center
    share = min(1.0, max(0.0, share)) if math.isfinite(share) else 0.0
    turn = np.linspace(0, 2 * math.pi, 25)
    thickness = max(1.0, 0.3 * radius)
    reach = radius - thickness / 2
    circle = np.array([x, y]) + reach * np.column_stack([np.sin(turn), -np.cos(turn)])
    canvas.stroke(circle, Pen((110, 106, 102), thickness))
    if share >= 0.995:
        canvas.disc(x, y, radius, color)
        tick = [(x - 0.45 * radius, y), (x - 0.1 * radius, y + 0.4 * radius)]
        canvas.stroke([*tick, (x + 0.5 * radius, y - 0.4 * radius)], Pen(DARK, thickness))
    elif share > 0:
        arc = circle[: max(2, math.ceil(share * 24) + 1)]
        canvas.stroke(arc, Pen(color, thickness))


def _remarks(track: Track) -> list[str]:
    """Say how sure it is that this is a face, and what keeps it from being read well."""
    if track.face is None:
        return ["not measured"]
    words = [f"{100 * track.confidence:.0f}%"] if math.isfinite(track.confidence) else []
    if weakness := _weakness(track.face.quality):
        words.append(weakness)
    return words


def _weakness(quality: FaceQuality) -> str:
    """Name what limits a poorly seen face most, or nothing."""
    if quality.score >= 0.5:
        return ""
    limits = {
        "small": quality.size_px / GOOD_SIZE_PX,
        "turned away": (MAX_VIEW_DEG - quality.view_deg) / (MAX_VIEW_DEG - GOOD_VIEW_DEG),
        "blurred": quality.sharpness / GOOD_SHARPNESS,
    }
    return min(limits, key=lambda name: limits[name])


def _paint_panels(
    canvas: Canvas, reading: Reading, boxes: list[Rect], bounds: Rect, *, pose: bool
) -> None:
    """Draw what each face displays beside it; where there is no room, a few words on its box."""
    unit = canvas.unit
    gap = round(8 * unit)
    x0, y0, x1, y1 = bounds
    room = (x0 + gap, y0 + gap // 2, x1 - gap, y1 - gap // 2)
    label = text_size(13, unit) * 2
    taken = [(x0, y0 - label, x1, y1) for x0, y0, x1, y1 in boxes]
    contents = {
        n: PanelContent(
            track.face,
            reading.affect.results.get(track.track_id),
            pose,
            reading.scene.frame.t_ns,
        )
        for n, track in enumerate(reading.scene.tracks)
        if track.face is not None
    }
    sizes = {
        n: [panel_size(content, unit, full=full) for full in (True, False)]
        for n, content in contents.items()
    }
    places = place_panels(taken, sizes, room, gap)
    for n, content in contents.items():
        if n not in places:
            _paint_strongest(canvas, content, boxes[n])
            continue
        kind, x, y = places[n]
        color = id_color(reading.scene.tracks[n].track_id)
        paint_panel(canvas, (x, y), content, color, full=kind == 0)


def _paint_strongest(canvas: Canvas, content: PanelContent, box: Rect) -> None:
    """Name expression and strongest action units on the lower edge of the box."""
    size = text_size(11, canvas.unit)
    height, pad = round(1.6 * size), round(0.5 * size)
    x, y = max(pad, box[0] + pad), min(box[3], canvas.height) - height - pad
    units, expression = content.face.action_units, content.expression
    texts = [] if content.movement is None else ["micro-expression"]
    if expression is not None:
        texts.append(f"{expression.name} {100 * expression.probability:.0f}%")
    texts += [f"AU{short_name(name)} {units[name]:.1f}" for name in strongest_units(units)]
    for text in texts:
        width = text_width(text, size) + 2 * pad
        if x + width > min(box[2], canvas.width) - pad:
            break
        canvas.blit(panel(width, height, 0.3 * height, DARK, PANEL_OPACITY), x, y)
        canvas.write(text, x + pad, y + height // 2, Font(size, WHITE))
        x += width + pad
