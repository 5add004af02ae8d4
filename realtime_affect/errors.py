"""Errors of inputs and outputs, and the whole family by one import.

Exit codes of the command line: 1 the run failed, 2 usage or configuration, 3 input, 4 output, 5
models, 6 a library is missing, 7 a GPU is missing or fails, 130 interrupted before the work was
done (stopping a live run is its ordinary end: 0).
"""

from __future__ import annotations

from affect_engines.errors import DeviceError, ModelError
from affect_kernels.errors import AffectError, DependencyError, UsageError

__all__ = [
    "AffectError",
    "DependencyError",
    "DeviceError",
    "InputError",
    "InputMissingError",
    "ModelError",
    "OutputError",
    "UsageError",
]


class InputError(AffectError, OSError):
    """A file, camera or stream cannot be read."""

    exit_code = 3


class InputMissingError(InputError, FileNotFoundError):
    """The file, folder or device named as input does not exist."""


class OutputError(AffectError, OSError):
    """Results cannot be written: the folder is not writable, the disk is full."""

    exit_code = 4
