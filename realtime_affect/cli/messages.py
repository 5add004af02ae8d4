"""What a command says: nothing in it acts on the terminal, and no secret is in it."""

from __future__ import annotations

import contextlib
import logging

import typer

_LOG = logging.getLogger(__name__)


def complain(message: str) -> None:
    """Say what went wrong, on standard error."""
    from realtime_affect.printable import printable
    from realtime_affect.redact import redact

    with contextlib.suppress(OSError):  # a terminal that has gone; the exit code still says it
        typer.secho(f"error: {printable(redact(message))}", err=True, fg=typer.colors.RED)


def remark(message: str) -> None:
    """Say something beside the results, on standard error, unless the user wants quiet."""
    from realtime_affect.printable import printable
    from realtime_affect.redact import redact

    if not is_quiet():
        with contextlib.suppress(OSError):
            typer.echo(printable(redact(message)), err=True)


def say(line: str) -> None:
    """Print a line of what was asked for."""
    from realtime_affect.printable import printable

    typer.echo(printable(line))


def is_quiet() -> bool:
    """Whether the user wants to hear of errors alone."""
    return not _LOG.isEnabledFor(logging.WARNING)
