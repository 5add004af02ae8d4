"""How the service runs."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from realtime_affect.settings import Section


class ServeConfig(Section):
    """What ``realtime-affect serve`` reads, where results go, and when it gives up.

    Attributes
    ----------
    source : str
        As ``run`` takes it; also ``csi://0`` (a Jetson's CSI camera) and a GStreamer pipeline
        without its sink, both read through gst-launch-1.0.
    flip : int
        ``flip-method`` of a CSI camera (of nvvidconv): 2 turns the image by 180 degrees.
    port : int or None
        TCP port of the stream of results; 0 takes a free one; None opens none.
    host : str
        Address it listens on.
    allow_remote : bool
        Whether `host` may be an address that others can reach: the stream has no password.
    socket : str or None
        Path of a Unix socket that gives the same stream.
    stdout : bool
        Whether the same stream goes to the standard output.
    in_run : bool
        Whether ``run`` and the window send the stream too, not the service alone.
    max_clients : int
        Connections at one time; further ones are closed at once, unless one of them has read
        nothing for a second: that one makes room.
    unread_s : float
        A client that has taken nothing for so long, while a line waited for it, is hung up on.
    health_file : str or None
        File that is replaced every second with how the service is, as JSON.
    out : str or None
        Folder for CSV and video, a new folder in it for each start; None writes none.
    fps : float
        Frames a second to analyse at most.
    decisions_hz : float
        Decisions of the slower networks a second at most.
    min_fps, min_decisions_hz : float
        What heat and load may lower these to.
    hot_c : float
        From this temperature on, less is done.
    stall_s : float
        The service counts as hung when a camera is online and no reading has come for so long.
    max_restarts : int
        Failures within `restart_window_s` after which the service ends with exit code 1.
    restart_window_s : float
        Time within which failures are counted.
    retry_first_s, retry_max_s : float
        Wait before a source is opened again, or the pipeline restarted; doubled up to the maximum.

    Raises
    ------
    UsageError
        A value is out of range, or `host` is reachable for others and that was not asked for.
    """

    section: ClassVar[str] = "serve"
    hint: ClassVar[str] = "Rates are a second, times are seconds, temperatures are degrees Celsius."

    source: str = "0"
    flip: Annotated[int, Field(ge=0, le=7)] = 0
    port: Annotated[int, Field(ge=0, le=65_535)] | None = 8765
    host: str = "127.0.0.1"
    allow_remote: bool = False
    socket: str | None = None
    stdout: bool = False
    in_run: bool = False
    max_clients: PositiveInt = 8
    unread_s: PositiveFloat = 10.0
    health_file: str | None = None
    out: str | None = None
    fps: PositiveFloat = 30.0
    decisions_hz: PositiveFloat = 30.0
    min_fps: PositiveFloat = 5.0
    min_decisions_hz: PositiveFloat = 2.0
    hot_c: PositiveFloat = 85.0
    stall_s: PositiveFloat = 10.0
    max_restarts: Annotated[int, Field(ge=0, le=1_000)] = 5
    restart_window_s: PositiveFloat = 60.0
    retry_first_s: PositiveFloat = 1.0
    retry_max_s: PositiveFloat = 30.0

    @model_validator(mode="after")
    def _agree(self) -> Self:
        for low, high in (("min_fps", "fps"), ("min_decisions_hz", "decisions_hz")):
            if getattr(self, low) > getattr(self, high):
                raise self.refuse(low, getattr(self, low), f"not more than serve.{high}")
        if self.socket is not None and (not self.socket or "\0" in self.socket):
            raise self.refuse(
                key="socket", value=self.socket, expected="the path of a file",
                hint="Leave it away for no Unix socket.",
            )  # fmt: skip
        self.refuse_remote(self.host, allowed=self.allow_remote, hint="The stream has no password.")
        return self
