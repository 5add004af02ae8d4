"""Errors of model files and engines."""

from __future__ import annotations

from affect_kernels.errors import AffectError


class ModelError(AffectError, RuntimeError):
    """A model file is missing, damaged, or its hash differs from its card's."""

    exit_code = 5


class DeviceError(AffectError, RuntimeError):
    """A GPU is missing, lost, out of memory, or its driver refuses; the network itself is fine."""

    exit_code = 7
