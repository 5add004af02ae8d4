"""How things look: what is painted, colours, text size, mirror, full screen; all remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from affect_gui.theme import THEMES, apply_theme, set_text_size

if TYPE_CHECKING:
    from affect_gui.window import MainWindow

TOGGLES: Final = {
    "mesh": "Mesh", "bars": "Panels beside faces", "gaze": "Gaze", "pose": "Head pose",
}  # fmt: skip
_STEP: Final = 1.1


class ViewCommands:
    """The commands of the menu View."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self._share = window.preferences.number("view/text", 1.0)
        actions = window.commands
        for name in TOGGLES:
            actions[name].setChecked(getattr(window.canvas.config, name))
            actions[name].toggled.connect(lambda on, name=name: self.toggle(name, on))
        actions["mirror"].toggled.connect(self.set_mirrored)
        actions["full_screen"].toggled.connect(self.show_full)
        actions["larger"].triggered.connect(lambda: self.scale_text(_STEP))
        actions["smaller"].triggered.connect(lambda: self.scale_text(1 / _STEP))
        actions["usual_size"].triggered.connect(lambda: self.scale_text(None))
        for name in THEMES:
            actions[f"theme_{name}"].triggered.connect(
                lambda _=False, name=name: self.set_theme(name)
            )
        self.set_theme(window.preferences.text("view/theme", "system"))
        self._apply_text_size()

    def toggle(self, name: str, on: bool) -> None:
        """Paint something, or not."""
        window = self._window
        window.canvas.config = window.canvas.config.replace(**{name: on})
        window.preferences.remember(f"view/{name}", on)
        window.canvas.repaint_image()
        window.say(f"{TOGGLES[name]} {'on' if on else 'off'}")

    def set_mirrored(self, on: bool) -> None:
        """Show the image as a mirror would; what is recorded stays as it is."""
        self._window.canvas.mirrored = on
        self._window.canvas.repaint_image()

    def set_theme(self, name: str) -> None:
        """Use a theme, now and next time."""
        name = name if name in THEMES else "system"
        self._window.timeline.colour(apply_theme(name))
        self._window.preferences.remember("view/theme", name)
        self._window.commands[f"theme_{name}"].setChecked(True)

    def scale_text(self, by: float | None) -> None:
        """Make all text larger or smaller; None gives it the usual size."""
        self._share = 1.0 if by is None else min(2.5, max(0.6, self._share * by))
        self._window.preferences.remember("view/text", self._share)
        self._apply_text_size()

    def show_full(self, on: bool) -> None:
        """Enter or leave full screen."""
        self._window.showFullScreen() if on else self._window.showNormal()

    def _apply_text_size(self) -> None:
        window = self._window
        set_text_size(self._share)
        scale = window.config.overlay.scale * self._share
        window.canvas.config = window.canvas.config.replace(scale=scale)
        window.canvas.repaint_image()
