"""Fixtures every test may use; what a machine lacks is skipped with its reason, never silently."""

from __future__ import annotations

import os
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:
    # A worker for each core: threads of a library's own would only take the others' time. Before
    # numpy and torch are imported, which read it once; programs that tests start inherit it.
    for _library in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(_library, "1")

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of evaluation media that never enters the project."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("evaluation data (../shared/data) is not on this machine")
    return folder


@pytest.fixture(scope="session")
def shared_golden() -> Path:
    """Folder of numbers that pin networks to their originals."""
    folder = SHARED / "golden"
    if not folder.is_dir():
        pytest.skip("golden data (../shared/golden) is not on this machine")
    return folder


@pytest.fixture(scope="session")
def models() -> None:
    """Have the face models in the cache, or skip."""
    from affect_engines.errors import ModelError
    from affect_engines.store import verify_models

    try:
        verify_models()
    except ModelError as error:
        pytest.skip(f"face models are not cached: {error}")
