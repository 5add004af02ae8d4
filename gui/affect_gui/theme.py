"""Colours and text size of the whole window: light, dark, high contrast, as the system has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor, QPalette
from PyQt6.QtWidgets import QApplication

THEMES: Final = ("system", "light", "dark", "contrast")


@dataclass(frozen=True, slots=True)
class Theme:
    """What is drawn with beyond Qt's own palette; colours as ``#rrggbb``.

    Attributes
    ----------
    window, base, text, quiet, accent, button : str
        Grounds, text, less important text, selection, buttons.
    alarm, good : str
        Recording and failures; all is well.
    """

    window: str
    base: str
    text: str
    quiet: str
    accent: str
    button: str
    alarm: str
    good: str


LIGHT: Final = Theme(
    "#f3f4f6", "#ffffff", "#15171a", "#50565e", "#1d5fae", "#e6e8eb", "#b3261e", "#1a7f37"
)
DARK: Final = Theme(
    "#1d2024", "#15171a", "#f1f3f5", "#aeb4bc", "#4f9bf0", "#2b2f35", "#ff6b5e", "#5fcf80"
)
CONTRAST: Final = Theme(
    "#000000", "#000000", "#ffffff", "#ffffff", "#ffff00", "#000000", "#ff7a70", "#66ff99"
)
_THEMES: Final = {"light": LIGHT, "dark": DARK, "contrast": CONTRAST}


def theme_of(name: str) -> Theme:
    """Return the theme of a name; the system's is the light or the dark one."""
    if name in _THEMES:
        return _THEMES[name]
    app = QApplication.instance()
    hints = app.styleHints() if isinstance(app, QApplication) else None
    dark = hints is not None and hints.colorScheme() == Qt.ColorScheme.Dark
    return DARK if dark else LIGHT


def apply_theme(name: str) -> Theme:
    """Give the application the colours of a theme, and return it."""
    theme = theme_of(name)
    app = QApplication.instance()
    if not isinstance(app, QApplication):
        return theme
    palette = QPalette()
    role = QPalette.ColorRole
    selected = "#000000" if theme is CONTRAST or theme is DARK else "#ffffff"
    for where, color in (
        (role.Window, theme.window), (role.WindowText, theme.text), (role.Base, theme.base),
        (role.AlternateBase, theme.window), (role.Text, theme.text), (role.Button, theme.button),
        (role.ButtonText, theme.text), (role.ToolTipBase, theme.base),
        (role.ToolTipText, theme.text), (role.PlaceholderText, theme.quiet),
        (role.Highlight, theme.accent), (role.HighlightedText, selected),
        (role.Link, theme.accent), (role.LinkVisited, theme.accent), (role.Mid, theme.quiet),
    ):  # fmt: skip
        palette.setColor(where, QColor(color))
    off = QPalette.ColorGroup.Disabled
    for where in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(off, where, QColor(theme.quiet))
    app.setStyle("Fusion")
    app.setPalette(palette)
    app.setProperty("theme_sheet", _sheet(theme))
    _apply_sheet(app)
    return theme


def _sheet(theme: Theme) -> str:
    """Return what Qt's palette cannot say of a theme."""
    lines = "1px solid #ffffff" if theme is CONTRAST else "none"
    frames = "QAbstractItemView, QLineEdit, QPlainTextEdit, QPushButton, QComboBox"
    framed = f"{frames} {{ border: 1px solid #ffffff; }}" if theme is CONTRAST else ""
    return (
        f"{framed}"
        f"QDockWidget::title {{ background: {theme.button}; padding: 4px 6px; }}"
        f"QToolBar {{ spacing: 4px; border: {lines}; }}"
        f"QStatusBar QLabel {{ color: {theme.text}; padding: 0 6px; }}"
        f"QToolTip {{ color: {theme.text}; background: {theme.base}; }}"
    )


def _apply_sheet(app: QApplication) -> None:
    """Give the application its sheet; where text has another size than usual, with that size."""
    share = float(app.property("text_share") or 1.0)
    points = app.font().pointSizeF()
    size = "" if share == 1.0 else f"* {{ font-size: {points:.1f}pt; }}"
    app.setStyleSheet(size + str(app.property("theme_sheet") or ""))


def set_text_size(share: float) -> None:
    """Make the application's text `share` times its usual size."""
    app = QApplication.instance()
    if not isinstance(app, QApplication):
        return
    usual = app.property("usual_points")
    if usual is None:
        usual = app.font().pointSizeF()
        if usual <= 0:
            usual = 10.0
        app.setProperty("usual_points", usual)
    font = app.font()
    font.setPointSizeF(float(usual) * share)
    app.setFont(font)
    changed = share != float(app.property("text_share") or 1.0)
    app.setProperty("text_share", share)
    if changed:
        _apply_sheet(app)
