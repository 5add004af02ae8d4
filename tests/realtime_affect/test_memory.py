"""Freed memory goes back to the system, and a source that was lost asks for it."""

from __future__ import annotations

import ctypes
import gc
import platform
import weakref

import psutil
import pytest

from realtime_affect import memory

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")


@glibc
def test_what_was_freed_below_something_kept_is_given_back():
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.malloc.argtypes = [ctypes.c_size_t]
    library.free.argtypes = [ctypes.c_void_p]
    size, n = 64 * 1024, 1024  # below the size that is mapped by itself: 64 MiB in all
    blocks = [library.malloc(size) for _ in range(n)]
    for block in blocks:
        ctypes.memset(block, 1, size)
    for block in blocks[:-1]:
        library.free(block)
    held = psutil.Process().memory_info().rss
    assert memory.trim()
    assert held - psutil.Process().memory_info().rss > n * size // 2
    library.free(blocks[-1])


def test_another_c_library_has_nothing_to_trim(monkeypatch):
    memory._malloc_trim.cache_clear()
    monkeypatch.setattr("sys.platform", "darwin")
    assert not memory.trim()
    memory._malloc_trim.cache_clear()


def test_what_is_loaded_is_spared_the_collector_until_it_is_garbage():
    class Kept:
        """In a cycle, which only the collector frees."""

        def __init__(self):
            self.itself = self

    kept = Kept()
    seen = weakref.ref(kept)
    try:
        memory.spare_loaded()
        assert len(gc.get_objects()) < 10_000
        del kept
        gc.collect()
        assert seen() is not None
        memory.spare_loaded()
        assert seen() is None
    finally:
        gc.unfreeze()
