"""Which streams there are, where they go, and who may listen."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Final, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from realtime_affect.measure import Group
from realtime_affect.settings import Section, Texts, is_loopback

Groups = Annotated[tuple[Group, ...], Field(strict=False)]

STREAMED: Final[tuple[Group, ...]] = (
    "frame", "face", "head pose", "action units", "gaze and blinks", "expression",
    "interpretation", "micro-expression", "markers",
)  # fmt: skip
"""Groups of measures that streams carry unless told otherwise; the mesh is none of them."""


class OscConfig(Section):
    """Numbers as OSC messages over UDP, to one receiver; off by default.

    Attributes
    ----------
    enabled : bool
        Whether readings are sent.
    host : str
        Where the receiver is.
    port : int
        Where it listens.
    allow_remote : bool
        Whether `host` may be another machine.
    rate_hz : float
        Readings sent a second at most.
    faces : int
        Faces sent at most: places 1 to `faces`.
    groups : list of str
        Groups of measures.
    prefix : str
        What every address begins with.
    datagram_bytes : int
        Size of a datagram at most; a reading that needs more takes several, with the same time.
    """

    section: ClassVar[str] = "osc"

    enabled: bool = False
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535)] = 9000
    allow_remote: bool = False
    rate_hz: Annotated[float, Field(gt=0, le=1000)] = 30.0
    faces: Annotated[int, Field(ge=1, le=64)] = 4
    groups: Groups = STREAMED
    prefix: str = "/affect"
    datagram_bytes: Annotated[int, Field(ge=512, le=65_000)] = 1400

    @model_validator(mode="after")
    def _agree(self) -> Self:
        self.refuse_remote(
            self.host, allowed=self.allow_remote, hint="Results would leave this machine."
        )
        if not re.fullmatch(r"(/[\w.-]+)+", self.prefix, re.ASCII):
            key = "prefix"
            raise self.refuse(key, self.prefix, "an OSC address, such as /affect")
        return self


class LslConfig(Section):
    """Lab Streaming Layer: an outlet a face, one for events and markers; off by default.

    Attributes
    ----------
    enabled : bool
        Whether the outlets are open.
    name : str
        Of the streams: ``NAME face 1``, ``NAME events``.
    faces : int
        Outlets: places 1 to `faces`.
    groups : list of str
        Groups of measures.
    rate_hz : float
        Nominal rate told to receivers; 0 = irregular, as a camera that drops frames is.
    markers_from : str or None
        Name of an LSL stream whose samples become markers.
    allow_remote : bool
        Whether other machines may find and receive the streams.
    """

    section: ClassVar[str] = "lsl"

    enabled: bool = False
    name: Annotated[str, Field(min_length=1, max_length=100)] = "realtime-affect"
    faces: Annotated[int, Field(ge=1, le=16)] = 1
    groups: Groups = STREAMED
    rate_hz: Annotated[float, Field(ge=0, le=1000)] = 0.0
    markers_from: str | None = None
    allow_remote: bool = False


class WebSocketConfig(Section):
    """JSON lines for browsers and other clients, with a page that shows them; off by default.

    Attributes
    ----------
    enabled : bool
        Whether it listens.
    port : int
        0 takes a free one.
    host : str
        Address it listens on.
    allow_remote : bool
        Whether `host` may be an address that others can reach; it then needs a `token`.
    token : str or None
        What a client must show, 16 characters at least. None: whoever can connect may listen.
    origins : list of str
        Web pages that may connect beside our own, as ``https://example.org``.
    certificate, key : str or None
        PEM files; with them it is HTTPS and WSS alone.
    markers : bool
        Whether clients may set markers.
    max_clients : int
        Connections at one time; further ones are told so and closed.
    unread_s : float
        A client that has taken nothing for so long, while something waited for it, is hung up on.
    """

    section: ClassVar[str] = "websocket"

    enabled: bool = False
    port: Annotated[int, Field(ge=0, le=65_535)] = 8766
    host: str = "127.0.0.1"
    allow_remote: bool = False
    token: str | None = None
    origins: Texts = ()
    certificate: str | None = None
    key: str | None = None
    markers: bool = True
    max_clients: PositiveInt = 8
    unread_s: PositiveFloat = 10.0

    @model_validator(mode="after")
    def _agree(self) -> Self:
        self.refuse_remote(
            self.host, allowed=self.allow_remote, hint="Results would leave this machine."
        )
        key, problem = self._problem()
        if problem:
            hint = "python -c 'import secrets; print(secrets.token_urlsafe())' makes a token."
            raise self.refuse(key, None, problem, hint if key == "token" else "")
        return self

    def _problem(self) -> tuple[str, str]:
        """Return what is missing, by key, and what was expected there; empty where nothing is."""
        if self.token is None and not is_loopback(self.host):
            return "token", "a token, as other machines can connect"
        if self.token is not None and len(self.token) < 16:
            return "token", "16 characters at least"
        if self.key is not None and self.certificate is None:
            return "certificate", "the PEM file that websocket.key belongs to"
        return "", ""
