"""The timeline: a minute of one face as rasters, lines, spikes and markers; drag to look back.

Images for many series, lines only for picked ones: what the screen can show in a few milliseconds.
Pulled five times a second at most, and not while hidden. What has not changed since is left alone:
pyqtgraph measures and draws anew whatever is set, were it the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QEvent, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QBrush, QColor, QFont
from PyQt6.QtWidgets import (
    QComboBox,
    QDockWidget,
    QHBoxLayout,
    QLabel,
    QMenu,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from affect_gui.history import BIN_NS, POSE, SERIES, runs_of
from realtime_affect.names import AU_INTENSITIES, EXPRESSIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from affect_gui.history import History, Stretch
    from affect_gui.theme import Theme

SPAN_NS: Final = 60_000_000_000
_LEAST_NS: Final = 5_000_000_000
_LINES: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_PICKED: Final = ("happiness", "AU12", "AU04")
_N_EXPRESSIONS: Final = len(EXPRESSIONS)
_N_UNITS: Final = len(AU_INTENSITIES)
_MOST_MARKERS: Final = 200
_SHARES: Final = (9, 16, 8, 6)  # of the height: expressions, units, lines, spikes
_LOWEST: Final = 0.04  # on the lane of spikes: where images were dropped
_OTHER: Final = "other "
_LEVELS: Final = 250  # of a line: more than its plot has pixels
_LABEL: Final = 0.68  # of the height of the window's text
_AXIS: Final = 7.2  # times as wide as its text is high


@dataclass(frozen=True, slots=True)
class Marker:
    """A moment that the user marked.

    Attributes
    ----------
    t_ns : int
        Source time.
    text : str
        The user's words; may be empty.
    """

    t_ns: int
    text: str = ""


class TimelineDock(QDockWidget):
    """What a face displayed, over the last minute or around a moment of a replay."""

    sought = pyqtSignal(int)
    """Source time that the user dragged the playhead to."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Timeline", parent)
        self.setObjectName("timeline")
        self.history: History | None = None
        self.other: History | None = None
        self.other_ids: dict[int, int] = {}
        """Ids of the faces that are shown, and those that they have in the other results."""
        self._other_name = ""
        self.markers: tuple[Marker, ...] = ()
        self.face = QComboBox()
        self.face.setAccessibleName("Face on the timeline")
        self._follow = True  # the selected face, or the first
        self.face.activated.connect(self._stop_following)
        self._selected: int | None = None
        self._origin_ns = 0
        self._picked: list[str] = list(_PICKED)
        self._pick = QToolButton()
        self._pick.setText("Lines")
        self._pick.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._pick.setMenu(self._pick_menu())
        self.remark = QLabel("")
        self.remark.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        bar = QHBoxLayout()
        bar.setContentsMargins(6, 2, 6, 0)
        for widget in (QLabel("Face"), self.face, self._pick, self.remark):
            bar.addWidget(widget)
        bar.addStretch(1)
        self.plots = _Plots(self.sought.emit)
        body = QWidget()
        layout = QVBoxLayout(body)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(bar)
        layout.addWidget(self.plots.widget, 1)
        self.setWidget(body)

    def show_history(self, history: History | None, origin_ns: int = 0) -> None:
        """Show another source; `origin_ns` is the source time of second 0."""
        self.history, self._origin_ns = history, origin_ns
        self.markers = ()
        self._follow = True
        self.face.clear()
        self.remark.clear()
        self.compare(None, False)
        self.plots.clear()

    def compare(self, other: History | None, again: bool) -> None:
        """Draw the lines of other results of the same moments, too, dotted.

        Parameters
        ----------
        other : History or None
            May still be filled; :attr:`other_ids` says whose lines belong together.
        again : bool
            Whether what is shown was analysed again, so that the other is what was stored.
        """
        self.other, self._other_name = other, "as recorded" if again else "analysed again"
        self.other_ids = {}

    def select(self, track_id: int | None) -> None:
        """Show the face that is selected."""
        self._selected, self._follow = track_id, True

    def pull(self, now_ns: int, head_ns: int | None, span_ns: int = SPAN_NS) -> None:
        """Draw anew: what leads up to `now_ns`, and the playhead where one is looked back to.

        Parameters
        ----------
        now_ns : int
            Source time of the right edge.
        head_ns : int or None
            Source time that is shown; None: the newest.
        span_ns : int
            How much is drawn; of a short session all of it.
        """
        span_ns = max(span_ns, _LEAST_NS)
        if self.history is None:
            return
        first_ns, newest_ns = self.history.span_ns
        if newest_ns == 0:
            return
        if self._origin_ns == 0:
            self._origin_ns = first_ns
        self._fill_faces(self.history.track_ids)
        start_ns = now_ns - span_ns
        stretch = self.history.stretch(self.track_id, start_ns, now_ns)
        # What lies before the first image is no gap.
        stretch.missing[: max(0, first_ns - start_ns) // BIN_NS + 1] = False
        stretch.missing[max(0, newest_ns - start_ns) // BIN_NS :] = False
        spikes = self.history.spikes(start_ns, now_ns)
        other_id = self.other_ids.get(self.track_id or 0)
        other = None
        if self.other is not None and other_id is not None:
            other = self.other.stretch(other_id, start_ns, now_ns).values
        self.plots.draw(
            stretch,
            other,
            [(s.event.apex_ns, s.event.kind) for s in spikes if s.track_id == self.track_id],
            [m for m in self.markers if start_ns <= m.t_ns <= now_ns][:_MOST_MARKERS],
            self._picked,
            self._origin_ns,
        )
        self.plots.place_head(head_ns if head_ns is not None else now_ns, self._origin_ns)
        n = sum(s.event.kind == "micro" and s.track_id == self.track_id for s in spikes)
        gaps = len(runs_of(stretch.missing))
        words = [f"{n} spike{'s' * (n != 1)}"]
        if gaps:
            words.append(f"{gaps} gap{'s' * (gaps != 1)} without images")
        if dropped := int(stretch.dropped.sum()):
            words.append(f"{dropped} image{'s' * (dropped != 1)} dropped")
        if other is not None:
            words.append(f"dotted: {self._other_name}")
        self.remark.setText("   ".join(words))

    @property
    def track_id(self) -> int | None:
        """The face that is shown."""
        data = self.face.currentData()
        return None if data is None else int(data)

    def colour(self, theme: Theme) -> None:
        """Use the colours of a theme."""
        self.plots.colour(theme)

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802  (Qt's name)
        """Keep the plots' text as large as the window's."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.FontChange:
            self.plots.scale_text(round(_LABEL * self.fontMetrics().height()))

    def _fill_faces(self, ids: Sequence[int]) -> None:
        known = [self.face.itemData(n) for n in range(self.face.count())]
        if known != list(ids):
            shown = self.track_id
            self.face.clear()
            for track_id in ids:
                self.face.addItem(f"#{track_id}", track_id)
            if shown is not None and shown in ids:
                self.face.setCurrentIndex(list(ids).index(shown))
        if self._follow and self._selected is not None and self._selected in ids:
            self.face.setCurrentIndex(list(ids).index(self._selected))

    def _stop_following(self) -> None:
        self._follow = False

    def _pick_menu(self) -> QMenu:
        menu = QMenu(self)
        for name in SERIES:
            action = menu.addAction(name)
            assert action is not None
            action.setCheckable(True)
            action.setChecked(name in self._picked)
            action.toggled.connect(lambda on, name=name: self._pick_line(name, on))
        return menu

    def _pick_line(self, name: str, on: bool) -> None:
        if on and name not in self._picked:
            self._picked.append(name)
        elif not on and name in self._picked:
            self._picked.remove(name)


class _Plots:
    """The plots one below the other on one axis of time."""

    def __init__(self, seek: Any) -> None:
        self.widget = pg.GraphicsLayoutWidget()
        self.widget.ci.layout.setSpacing(1)
        self.widget.ci.setContentsMargins(2, 2, 6, 2)
        self._seek = seek
        self._origin_ns = 0
        self._label_px = round(_LABEL * self.widget.fontMetrics().height())
        self._fits: list[Callable[[], None]] = []
        self._placing = False
        self._expressions, self._expression_image = self._raster(EXPRESSIONS)
        self._units, self._unit_image = self._raster([name[2:] for name in AU_INTENSITIES])
        self._lines = self._plot(ticks=[(0, "0"), (0.5, "½"), (1, "1")])
        self._lane = self._plot(ticks=[(0.5, "spikes")])
        layout = self.widget.ci.layout
        for row, (plot, share) in enumerate(zip(self._all, _SHARES, strict=True)):
            self.widget.addItem(plot, row=row, col=0)
            layout.setRowPreferredHeight(row, 10 * share)
            layout.setRowStretchFactor(row, share)
            layout.setRowMinimumHeight(row, 0)
            if plot is not self._expressions:
                plot.setXLink(self._expressions)
            if plot is not self._lane:
                plot.hideAxis("bottom")
        self._lane.setYRange(0, 1, padding=0)
        self._lines.setYRange(0, 1, padding=0.05)
        self._legend = self._lines.addLegend(offset=(-8, 2), labelTextSize="8pt", colCount=6)
        self._lines.vb.sigResized.connect(self._fit_legend)
        self._curves: dict[str, pg.PlotCurveItem] = {}
        self._micro = pg.ScatterPlotItem(symbol="t1", size=13)
        self._macro = pg.ScatterPlotItem(symbol="o", size=5)
        self._drops = pg.ScatterPlotItem(symbol="s", size=3)
        self._lane.addItem(self._micro)
        self._lane.addItem(self._macro)
        self._lane.addItem(self._drops)
        self._heads = [pg.InfiniteLine(angle=90, movable=True) for _ in range(4)]
        for plot, head in zip(self._all, self._heads, strict=True):
            head.setZValue(20)
            plot.addItem(head)
            head.sigDragged.connect(self._dragged)
        self._marks: list[tuple[Any, Any]] = []
        self._hatches: dict[Any, list[Any]] = {plot: [] for plot in self._all}
        self._hatched: dict[Any, tuple[Any, ...]] = {}
        self._places: dict[Any, tuple[float, float]] = {}
        self._dots: dict[Any, tuple[float, ...]] = {}
        self._colours: dict[Any, NDArray[np.uint8]] = {}
        scene = self.widget.scene()
        scene.sigMouseClicked.connect(self._clicked)

    @property
    def _all(self) -> tuple[Any, ...]:
        return self._expressions, self._units, self._lines, self._lane

    def colour(self, theme: Theme) -> None:
        self.widget.setBackground(theme.base)
        self._text, self._accent, self._ground = theme.text, theme.accent, theme.base
        dark = QColor(theme.base).lightness() < 128
        self._colours = {
            self._expression_image: _scale(theme.base, _BLUES_DARK if dark else _BLUES),
            self._unit_image: _scale(theme.base, _EMBERS_DARK if dark else _EMBERS),
        }
        self._hatched.clear()
        for plot in self._all:
            for side in ("left", "bottom"):
                plot.getAxis(side).setPen(theme.quiet)
                plot.getAxis(side).setTextPen(theme.text)
        for head in self._heads:
            head.setPen(pg.mkPen(theme.alarm, width=2))
            head.setHoverPen(pg.mkPen(theme.alarm, width=4))
        self._micro.setBrush(theme.alarm)
        self._micro.setPen(pg.mkPen(theme.text, width=1))
        self._macro.setBrush(theme.quiet)
        self._macro.setPen(None)
        self._drops.setBrush(theme.alarm)
        self._drops.setPen(None)
        for line in (line for lines in self._marks for line in lines):
            line.setPen(self._mark_pen())
        self._hatch = QBrush(QColor(theme.quiet), Qt.BrushStyle.BDiagPattern)
        gap = QColor(theme.quiet)
        gap.setAlpha(70)
        self._gap = QBrush(gap)
        ground = QColor(theme.base)
        ground.setAlpha(200)  # its words lie over the lines
        self._legend.setBrush(ground)
        self._legend.setLabelTextColor(theme.text)
        for _, label in self._legend.items:
            label.setText(label.text, color=theme.text)

    def clear(self) -> None:
        self._expression_image.clear()
        self._unit_image.clear()
        for curve in self._curves.values():
            curve.setData([], [])
        for item in (self._micro, self._macro, self._drops):
            self._place_dots(item, (), 0)
        self._draw_marks([])
        self._draw_hatches([])

    def draw(  # noqa: PLR0913  (all that is drawn)
        self,
        stretch: Stretch,
        other: NDArray[np.float32] | None,
        events: Sequence[tuple[int, str]],
        markers: Sequence[Marker],
        picked: Sequence[str],
        origin_ns: int,
    ) -> None:
        self._origin_ns = origin_ns
        values = stretch.values
        n = len(values)
        start_s = (stretch.start_ns - origin_ns) / 1e9
        width_s = n * BIN_NS / 1e9
        place = (start_s, width_s)
        self._fill(self._expression_image, values[:, :_N_EXPRESSIONS], 1.0, place)
        units = values[:, _N_EXPRESSIONS : _N_EXPRESSIONS + _N_UNITS]
        self._fill(self._unit_image, units, 5.0, place)
        if self._places.get(self._expressions) != place:
            self._places[self._expressions] = place
            self._expressions.setXRange(start_s, start_s + width_s, padding=0)
        times = start_s + (np.arange(n) + 0.5) * BIN_NS / 1e9
        self._draw_lines(times, values, picked, "")
        self._draw_lines(times, other, picked if other is not None else (), _OTHER)
        for item, kind, height in ((self._micro, "micro", 0.35), (self._macro, "macro", 0.2)):
            at = tuple((t - origin_ns) / 1e9 for t, k in events if k == kind)
            self._place_dots(item, at, height)
        self._place_dots(self._drops, tuple(times[stretch.dropped > 0].tolist()), _LOWEST)
        spans = [(self._lane, self._hatch, run) for run in runs_of(stretch.unavailable)]
        spans += [(plot, self._gap, run) for plot in self._all for run in runs_of(stretch.missing)]
        self._draw_hatches(
            [(plot, brush, start_s + a * BIN_NS / 1e9, start_s + b * BIN_NS / 1e9)
             for plot, brush, (a, b) in spans]
        )  # fmt: skip
        self._draw_marks([((m.t_ns - origin_ns) / 1e9, m.text) for m in markers])

    def place_head(self, t_ns: int, origin_ns: int) -> None:
        self._placing = True
        for head in self._heads:
            if not head.moving:
                head.setValue((t_ns - origin_ns) / 1e9)
        self._placing = False

    def _dragged(self, head: Any) -> None:
        if not self._placing:
            self._seek(self._origin_ns + round(head.value() * 1e9))

    def _clicked(self, event: Any) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        at = self._expressions.vb.mapSceneToView(event.scenePos())
        self._seek(self._origin_ns + round(at.x() * 1e9))

    def _raster(self, names: Sequence[str]) -> tuple[Any, Any]:
        ticks = [(n + 0.5, name) for n, name in enumerate(names)]
        plot = self._plot(ticks)
        plot.invertY(True)
        plot.setYRange(0, len(names), padding=0)

        def fit() -> None:
            """Name as many rows as have room."""
            rows_px = plot.vb.height() / len(names)
            every = max(1, math.ceil((self._label_px + 1) / max(1.0, rows_px)))
            plot.getAxis("left").setTicks([ticks[::every]])

        plot.vb.sigResized.connect(fit)
        self._fits.append(fit)
        image = pg.ImageItem(axisOrder="row-major", levels=None)
        plot.addItem(image)
        return plot, image

    def _plot(self, ticks: Any) -> Any:
        plot = pg.PlotItem()
        plot.setMenuEnabled(False)
        plot.setMouseEnabled(False, False)
        plot.hideButtons()
        for side in ("left", "bottom"):
            plot.getAxis(side).enableAutoSIPrefix(False)  # there are no units to prefix
        axis = plot.getAxis("left")
        axis.setStyle(tickLength=0, autoReduceTextSpace=False)
        self._scale_axes(plot)
        if ticks is not None:
            axis.setTicks([ticks])
        return plot

    def scale_text(self, px: int) -> None:
        """Write names and times `px` pixels high."""
        self._label_px = max(8, px)
        for plot in self._all:
            self._scale_axes(plot)
        for fit in self._fits:
            fit()

    def _fit_legend(self) -> None:
        """Name the lines where there is room to; the menu that picks them names them, too."""
        self._legend.setVisible(self._lines.vb.height() > 2 * self._label_px)

    def _scale_axes(self, plot: Any) -> None:
        font = QFont()
        font.setPixelSize(self._label_px)
        for side in ("left", "bottom"):
            plot.getAxis(side).setStyle(tickFont=font)
        plot.getAxis("left").setWidth(round(_AXIS * self._label_px))

    def _fill(self, image: Any, values: Any, top: float, place: tuple[float, float]) -> None:
        """Show values as an image; place 0 of the colours is for what is not known."""
        shades = np.clip(np.nan_to_num(values) / top, 0, 1) * 254 + 1
        shades = np.where(np.isnan(values), 0, shades).astype(np.uint8).T
        # Coloured here: pyqtgraph makes a table for Qt anew for each image.
        image.setImage(self._colours[image][shades], autoLevels=False)
        if self._places.get(image) != place:
            self._places[image] = place
            image.setRect(QRectF(place[0], 0, place[1], len(shades)))

    def _place_dots(self, item: Any, at: tuple[float, ...], height: float) -> None:
        if self._dots.get(item) != at:
            self._dots[item] = at
            item.setData(at, [height] * len(at))

    def _draw_lines(self, times: Any, values: Any, picked: Sequence[str], of: str) -> None:
        """Draw the lines of picked series; `of` is empty, or :data:`_OTHER`: dotted, unnamed."""
        keys = {of + name: name for name in picked}
        stale = [key for key in self._curves if key.startswith(_OTHER) == bool(of)]
        for key in [key for key in stale if key not in keys]:
            self._lines.removeItem(self._curves.pop(key))
        for n, (key, name) in enumerate(keys.items()):
            curve = self._curves.get(key)
            if curve is None:
                pen = pg.mkPen(_LINES[n % len(_LINES)], width=2)
                if of:
                    pen.setStyle(Qt.PenStyle.DotLine)
                curve = self._curves[key] = pg.PlotCurveItem(pen=pen, name=None if of else name)
                self._lines.addItem(curve)
            shares = _share(name, values[:, SERIES.index(name)])
            curve.setData(*_thinned(times, shares), connect="finite")

    def _draw_hatches(self, spans: Sequence[tuple[Any, Any, float, float]]) -> None:
        """Fill stretches of plots; items are kept and hidden, for Qt does not free removed ones."""
        free = {plot: iter(self._hatches[plot]) for plot in self._all}
        for plot, brush, start, end in spans:
            item = next(free[plot], None)
            if item is None:
                item = pg.LinearRegionItem(movable=False, pen=pg.mkPen(None))
                for edge in item.lines:
                    edge.hide()  # drawn with no pen, and measured all the same
                plot.addItem(item)
                self._hatches[plot].append(item)
            wanted = (brush, start, end)
            if self._hatched.get(item) != wanted:
                self._hatched[item] = wanted
                item.setZValue(-5 if brush is self._hatch else 5)
                item.setBrush(brush)
                item.setRegion((start, end))
            item.show()
        for rest in free.values():
            for item in rest:
                item.hide()

    def _mark_pen(self) -> Any:
        return pg.mkPen(self._accent, width=2, style=Qt.PenStyle.DashLine)

    def _draw_marks(self, marks: Sequence[tuple[float, str]]) -> None:
        while len(self._marks) < len(marks):
            pen = self._mark_pen()
            lines = tuple(
                pg.InfiniteLine(
                    angle=90, pen=pen, label="" if plot is self._lane else None,
                    labelOpts={
                        "color": self._text, "position": 0.95, "fill": self._ground,
                        "anchors": [(0, 0), (0, 0)],
                    },
                )
                for plot in self._all
            )  # fmt: skip
            for plot, line in zip(self._all, lines, strict=True):
                plot.addItem(line)
            self._marks.append(lines)
        for lines in self._marks[len(marks) :]:  # kept and hidden, as hatches are
            for line in lines:
                line.hide()
        for (at, text), lines in zip(marks, self._marks, strict=False):
            for line in lines:
                line.setValue(at)
                line.show()
            lines[-1].label.setFormat(text)


def _share(name: str, series: Any) -> Any:
    """Return a series on the common scale of 0 to 1: probability, units of 5, 45 degrees."""
    if name in EXPRESSIONS:
        return series
    return series / 90 + 0.5 if name in POSE else series / 5


def _thinned(times: Any, shares: Any) -> tuple[Any, Any]:
    """Return the corners of a line; steps are smaller than a pixel, and what is level is one."""
    shares = np.round(shares * _LEVELS) / _LEVELS
    inner = shares[1:-1]
    corner = np.ones(len(shares), np.bool_)
    corner[1:-1] = (inner != shares[:-2]) | (inner != shares[2:])  # NaN is no other's equal
    return times[corner], shares[corner]


_BLUES: Final = ("#eef1f4", "#b9dcec", "#63acd6", "#2a6fb0", "#1b3a78", "#10143c")
_EMBERS: Final = ("#f3f0ec", "#f6cf9b", "#e8883a", "#b5352f", "#5a1240", "#220a2c")
_BLUES_DARK: Final = ("#20262c", "#1f4a78", "#2f7fc0", "#63b4e6", "#b4e0f7", "#ffffff")
_EMBERS_DARK: Final = ("#2a2622", "#6b2b3c", "#b5452f", "#e8883a", "#f6cf7b", "#ffffff")


def _scale(empty: str, colors: Sequence[str]) -> Any:
    """Return 256 colours (256, 4) uint8: the first for what is not known, then from low to high."""
    stops = np.array([QColor(color).getRgb() for color in colors], float)
    at = np.linspace(0, len(colors) - 1, 255)
    table = np.stack([np.interp(at, np.arange(len(colors)), stops[:, n]) for n in range(4)], axis=1)
    return np.vstack([QColor(empty).getRgb(), table]).round().astype(np.uint8)
