"""What a client of a stream may ask for: some groups of measures at some rate, or a marker."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Final

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
)

from realtime_affect.markers import MAX_LABEL
from realtime_affect.measure import Group, Schema
from realtime_affect.outputs.streams.config import STREAMED
from realtime_affect.schema import WITH_LANDMARKS

_ALWAYS: Final = frozenset[Group](("frame", "face"))  # or nobody knows what the rest is of


class RequestError(ValueError):
    """A client's message is not one of ours; the text says why, for the client to read."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Subscription(_Message):
    """What readings a client gets.

    Attributes
    ----------
    groups : frozenset of str
        Groups of measures.
    rate_hz : float
        At most so many readings a second; 0 = each one.
    """

    groups: frozenset[Group] = frozenset(STREAMED)
    rate_hz: Annotated[float, Field(ge=0, le=1000, strict=True)] = 0.0


class MarkRequest(_Message):
    """A client's wish to mark a moment, `ago_ms` before its message came."""

    marker: Annotated[str, Field(min_length=1, max_length=MAX_LABEL, strict=True)]
    ago_ms: Annotated[float, Field(ge=0, le=10_000, strict=True)] = 0.0


class _Subscribe(_Message):
    subscribe: Subscription


def _kind(message: object) -> str:
    return "subscribe" if isinstance(message, dict) and "subscribe" in message else "marker"


_REQUEST: Final[TypeAdapter[_Subscribe | MarkRequest]] = TypeAdapter(
    Annotated[
        Annotated[_Subscribe, Tag("subscribe")] | Annotated[MarkRequest, Tag("marker")],
        Discriminator(_kind),
    ]
)


@lru_cache(maxsize=32)
def schema_of(groups: frozenset[Group]) -> Schema:
    """Return the schema of some groups, with what every line needs."""
    wanted = groups | _ALWAYS
    return Schema(measure for measure in WITH_LANDMARKS.measures if measure.group in wanted)


def parse_request(text: str | bytes) -> Subscription | MarkRequest:
    """Read a client's message: ``{"subscribe": {...}}`` or ``{"marker": "label"}``.

    Raises
    ------
    RequestError
        It is anything else.
    """
    try:
        request = _REQUEST.validate_json(text)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in found["loc"][1:])
        message = (
            f"{where + ': ' if where else ''}{found['msg']}; expected "
            '{"subscribe": {"groups": [...], "rate_hz": 10}} or {"marker": "label", "ago_ms": 0}'
        )
        raise RequestError(message) from error
    return request.subscribe if isinstance(request, _Subscribe) else request
