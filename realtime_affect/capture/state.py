"""Whether a source gives frames: what everyone who watches one asks."""

from __future__ import annotations

import enum


class SourceState(enum.Enum):
    """Whether frames flow."""

    ONLINE = "online"
    """Frames come, or are about to for the first time."""
    OFFLINE = "offline"
    """A camera or stream gives no new images; it is being reopened."""
    ENDED = "ended"
    """Nothing will come any more: the end of a file, or closed."""
