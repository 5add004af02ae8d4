"""What is painted over an image: one painter for the window and for ``annotated.mp4``."""

from realtime_affect.overlay.painter import (
    ID_COLORS,
    OverlayConfig,
    OverlayStatus,
    PanelMemory,
    id_color,
    paint,
    weakness,
)

__all__ = [
    "ID_COLORS", "OverlayConfig", "OverlayStatus", "PanelMemory", "id_color", "paint", "weakness",
]  # fmt: skip
