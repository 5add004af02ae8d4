"""Errors of model files and engines."""

from __future__ import annotations

from affect_kernels.errors import AffectError, DeviceError

__all__ = ["DeviceError", "ModelError"]


class ModelError(AffectError, RuntimeError):
    """A model file is missing, damaged, or its hash differs from its card's."""

    exit_code = 5
