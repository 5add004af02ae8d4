"""Errors a user can act on: every message says thing, got, expected and hint.

They live in the lowest package because all four raise them. Each class also inherits the builtin a
Python caller would catch, so ``except ValueError`` works without knowing this module. The command
line maps each class to its exit code (:attr:`AffectError.exit_code`) and prints the message alone;
a traceback is for defects of ours.
"""

from __future__ import annotations

from typing import Any, ClassVar


class AffectError(Exception):
    """Base of every error this project raises on purpose.

    Parameters
    ----------
    thing : str
        What is wrong, named as the user knows it: a path, a config key, ``"IFDD input 'clip'"``.
    got : str
        What was found.
    expected : str
        What would have been right.
    hint : str
        What to do next, as a sentence: a command, an option, a file to put somewhere.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, thing: str, *, got: str, expected: str, hint: str) -> None:
        self.thing = thing
        self.got = got
        self.expected = expected
        self.hint = hint
        super().__init__(f"{thing}: got {got}, expected {expected}. {hint}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it pass between processes: its parts are named, which Exception would not know."""
        return _again, (type(self), self.thing, self.got, self.expected, self.hint)

    def __str__(self) -> str:
        # OSError would print "[Errno ...]" of its own; the message must not depend on the builtin.
        return str(self.args[0])


def _again(kind: type[AffectError], thing: str, got: str, expected: str, hint: str) -> AffectError:
    return kind(thing, got=got, expected=expected, hint=hint)


class UsageError(AffectError, ValueError):
    """A value the caller gave is not usable (option, config value, array shape)."""

    exit_code = 2


class DependencyError(AffectError, ImportError):
    """An optional library is missing; the hint names the extra that brings it."""

    exit_code = 6


class DeviceError(AffectError, RuntimeError):
    """A GPU is missing, lost or out of memory, or its driver refuses; the work itself is fine."""

    exit_code = 7
