"""What the window remembers from one time to the next: geometry, docks, toggles, last source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PyQt6.QtCore import QByteArray, QSettings

if TYPE_CHECKING:
    from PyQt6.QtWidgets import QMainWindow

_LAYOUT_VERSION = 1


class Preferences:
    """Remembered choices, in the place that the system has for them.

    Parameters
    ----------
    settings : QSettings, optional
        Where; default the user's own.
    """

    def __init__(self, settings: QSettings | None = None) -> None:
        if settings is None:
            settings = QSettings(
                QSettings.Format.IniFormat, QSettings.Scope.UserScope,
                "realtime-affect", "realtime-affect",
            )  # fmt: skip
        self._settings = settings

    def text(self, key: str, default: str = "") -> str:
        """Return a remembered text."""
        return str(self._settings.value(key, default))

    def flag(self, key: str, default: bool) -> bool:
        """Return a remembered choice."""
        return str(self._settings.value(key, default)).lower() == "true"

    def number(self, key: str, default: float) -> float:
        """Return a remembered number; the default where it is none."""
        try:
            return float(self._settings.value(key, default))
        except (TypeError, ValueError):
            return default

    def remember(self, key: str, value: Any) -> None:
        """Keep a value."""
        self._settings.setValue(key, str(value).lower() if isinstance(value, bool) else value)

    def save_layout(self, window: QMainWindow) -> None:
        """Keep a window's geometry and docks."""
        self._settings.setValue("window/geometry", window.saveGeometry())
        self._settings.setValue("window/docks", window.saveState(_LAYOUT_VERSION))

    def restore_layout(self, window: QMainWindow) -> bool:
        """Give a window the geometry and docks it had; False where nothing is remembered."""
        geometry = self._settings.value("window/geometry")
        docks = self._settings.value("window/docks")
        if not isinstance(geometry, QByteArray) or not isinstance(docks, QByteArray):
            return False
        window.restoreGeometry(geometry)
        return window.restoreState(docks, _LAYOUT_VERSION)
