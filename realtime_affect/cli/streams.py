"""``realtime-affect streams``: what is configured, and something for the other side to receive."""

from __future__ import annotations

import time
from pathlib import Path  # noqa: TC003 -- typer reads it
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from realtime_affect.cli.arguments import number_argument
from realtime_affect.cli.options import ConfigOption, SetOption  # noqa: TC001 -- typer reads it

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from realtime_affect.config import Config
    from realtime_affect.errors import UsageError

_SWITCHES: Final[dict[str, dict[str, Any]]] = {
    "websocket": {"websocket.enabled": True},
    "osc": {"osc.enabled": True},
    "lsl": {"lsl.enabled": True},
    "tcp": {"serve.in_run": True},
    "unix": {"serve.in_run": True},
    "stdout": {"serve.in_run": True, "serve.stdout": True},
}
"""What ``--stream`` takes, and which settings that is."""

StreamOption = Annotated[
    list[str] | None,
    typer.Option(
        "--stream",
        metavar="KIND[=ADDRESS]",
        help="Send results on: websocket[=PORT], osc[=HOST:PORT], lsl[=NAME], tcp[=PORT], "
        "unix=PATH, stdout; repeatable.",
    ),
]

_LINES: Final = frozenset(("tcp", "unix", "stdout"))
_REPORT_S: Final = 5.0


def make_streams_app(
    reporting: Callable[[], AbstractContextManager[None]], say: Callable[[str], None], epilog: str
) -> typer.Typer:
    """Return the commands, which end and speak as the others do."""
    app = typer.Typer(
        help="List the streams, send a test pattern, print what the lines hold.",
        no_args_is_help=True,
        epilog=epilog,
        rich_markup_mode=None,
    )

    @app.command("list", epilog=epilog)
    def list_streams(
        config_file: ConfigOption = None, overrides: SetOption = None, stream: StreamOption = None
    ) -> None:
        """List the streams: on or off, where they are, who can reach them."""
        with reporting():
            for line in describe_streams(_config(config_file, overrides, stream)):
                say(line)

    @app.command("test", epilog=epilog)
    def test_streams(
        config_file: ConfigOption = None,
        overrides: SetOption = None,
        stream: StreamOption = None,
        faces: Annotated[int, typer.Option("--faces", min=1, max=16, help="Faces in view.")] = 2,
        seconds: Annotated[
            float | None,
            typer.Option(
                "--seconds",
                min=0.1,
                max=1e8,
                callback=number_argument,
                help="Stop after this time.",
            ),
        ] = None,
    ) -> None:
        """Send a test pattern to every stream that is on: a new expression and unit each second."""
        with reporting():
            send_pattern(_config(config_file, overrides, stream), faces, seconds, say)

    @app.command("schema", epilog=epilog)
    def schema_of_lines() -> None:
        """Print the JSON Schema of the lines that TCP, WebSocket and the others send."""
        with reporting():
            from realtime_affect.outputs.line_schema import line_schema_text

            typer.echo(line_schema_text(), nl=False)

    return app


def _config(file: Path | None, overrides: list[str] | None, stream: list[str] | None) -> Config:
    from realtime_affect.config import load_config

    return with_streams(load_config(file, overrides or ()), stream)


def with_streams(config: Config, wanted: Iterable[str] | None) -> Config:
    """Return the settings with streams switched on: ``KIND`` or ``KIND=ADDRESS``.

    ``websocket=PORT``, ``osc=HOST:PORT``, ``lsl=NAME``, ``tcp=PORT``, ``unix=PATH``, ``stdout``.

    Raises
    ------
    UsageError
        No such stream, or an address that is none.
    """
    values: dict[str, Any] = {}
    kinds = set()
    for text in wanted or ():
        kind, _, address = text.partition("=")
        if kind not in _SWITCHES:
            raise _no_stream(text, "one of " + ", ".join(_SWITCHES))
        kinds.add(kind)
        values |= _SWITCHES[kind] | (_address(text, kind, address) if address else {})
    if kinds & _LINES and "tcp" not in kinds:
        values["serve.port"] = None
    return config.with_values(values)


def _address(text: str, kind: str, address: str) -> dict[str, Any]:
    """Return the settings that say where a stream is."""
    match kind:
        case "osc":
            host, colon, port = address.rpartition(":")
            return {"osc.port": _port(text, port)} | (
                {"osc.host": host.strip("[]")} if colon else {}
            )
        case "websocket":
            return {"websocket.port": _port(text, address)}
        case "tcp":
            return {"serve.port": _port(text, address)}
        case "unix":
            return {"serve.socket": address}
        case "lsl":
            return {"lsl.name": address}
    raise _no_stream(text, f"{kind} alone")


def _port(text: str, number: str) -> int:
    if not (number.isascii() and number.isdigit()):
        raise _no_stream(text, "a port, such as websocket=8766 or osc=127.0.0.1:9000")
    return int(number)


def _no_stream(text: str, expected: str) -> UsageError:
    from realtime_affect.errors import UsageError

    return UsageError(
        thing="option --stream", got=repr(text), expected=expected, hint="docs/streams.md"
    )


def describe_streams(config: Config) -> Iterator[str]:
    """Yield a line a stream: whether it is on, where it is, who can reach it."""
    lines, web, osc, lsl = config.serve, config.websocket, config.osc, config.lsl
    when = "serve, run, window" if lines.in_run else "serve alone"
    told = {
        "tcp": lines.port is not None and f"{lines.host}:{lines.port} ({when})",
        "unix": lines.socket is not None and f"{lines.socket} ({when})",
        "stdout": lines.stdout and f"({when})",
        "websocket": web.enabled
        and f"{'http' if web.certificate is None else 'https'}://{web.host}:{web.port}/ is the "
        f"page, /stream the stream; {'no' if web.token is None else 'a'} token",
        "osc": osc.enabled and f"to {osc.host}:{osc.port}, at most {osc.rate_hz:g} a second",
        "lsl": lsl.enabled and ", ".join(
            [*(f'"{lsl.name} face {n}"' for n in range(1, lsl.faces + 1)), f'"{lsl.name} events"']
        ) + ("; other machines may receive" if lsl.allow_remote else "; on this machine alone"),
        "markers": lsl.markers_from is not None and f'from the LSL stream "{lsl.markers_from}"',
    }  # fmt: skip
    for name, what in told.items():
        yield f"{name:<10} {f'on   {what}' if what else 'off'}"


def send_pattern(
    config: Config, faces: int, seconds: float | None, say: Callable[[str], None]
) -> None:
    """Send the test pattern to every configured stream, for `seconds` or until Ctrl-C.

    Raises
    ------
    UsageError
        No stream is on.
    AffectError
        One cannot be opened.
    """
    from realtime_affect.errors import UsageError
    from realtime_affect.outputs.streams.opened import OpenStreams
    from realtime_affect.outputs.streams.pattern import pattern_pipeline

    with pattern_pipeline(faces) as pipeline, OpenStreams(config) as streams:
        if not streams.names:
            raise UsageError(
                thing="test pattern", got="no stream that is on", expected="one at least",
                hint="For example --stream websocket --stream osc.",
            )  # fmt: skip
        for line in describe_streams(config):
            if " on " in line:
                say(line)
        streams.attach(pipeline)
        pipeline.start()
        end_s = None if seconds is None else time.monotonic() + seconds
        try:
            while end_s is None or (left_s := end_s - time.monotonic()) > 0:
                pipeline.mark("test", origin="test pattern")
                time.sleep(_REPORT_S if end_s is None else min(_REPORT_S, left_s))
                for name, counts in streams.stats().items():
                    say(f"{name}: " + ", ".join(f"{k} {v}" for k, v in counts.items()))
        except KeyboardInterrupt:
            pass
