import ctypes

import numpy as np
import pytest

from affect_engines.errors import DeviceError
from affect_kernels.cuda import driver as cuda_driver
from tests.affect_engines import fake_cuda


@pytest.fixture
def driver(monkeypatch):
    return fake_cuda.install(monkeypatch)


def test_a_gpu_is_told_by_name_and_capability(driver):
    assert cuda_driver.find_gpu() == cuda_driver.Gpu(0, "Fake GPU", "8.7", "13.0")


def test_a_machine_without_a_driver_is_told_what_it_lacks(monkeypatch):
    monkeypatch.setattr(cuda_driver, "LIBRARY", "libnothing-of-ours.so.1")
    with pytest.raises(DeviceError, match=r"NVIDIA driver.*libnothing-of-ours"):
        cuda_driver.find_gpu()


def test_a_driver_too_old_for_a_function_is_told(monkeypatch):
    monkeypatch.setattr(cuda_driver, "load_driver", lambda: ctypes.CDLL(None))
    with pytest.raises(DeviceError, match=r"cuInit.*CUDA 12 or later"):
        cuda_driver.find_gpu()


def test_a_gpu_that_is_not_there_is_told(driver):
    with pytest.raises(DeviceError, match="GPU 1: got 1 GPUs, expected at least 2"):
        cuda_driver.find_gpu(1)


def test_what_goes_up_comes_down_once_waited_for(driver):
    with cuda_driver.Stream() as stream:
        up, down = (stream.pinned((3, 4), np.float32) for _ in range(2))
        address = stream.allocate(up.nbytes)
        up[:] = np.arange(12).reshape(3, 4)
        stream.upload(address, up)
        stream.download(down, address)
        assert not down.any()
        stream.synchronize()
        np.testing.assert_array_equal(down, up)
    assert driver.left() == []


def test_a_graph_repeats_what_was_recorded(driver):
    with cuda_driver.Stream() as stream:
        up, down = (stream.pinned((5,), np.int64) for _ in range(2))
        address = stream.allocate(up.nbytes)

        def enqueue():
            stream.upload(address, up)
            stream.download(down, address)

        graph = stream.capture(enqueue)
        for value in (3, 4):
            up[:] = value
            stream.launch(graph)
            stream.synchronize()
            assert (down == value).all()


def test_a_recording_that_fails_leaves_the_stream_usable(driver):
    with cuda_driver.Stream() as stream:

        def enqueue():
            message = "cannot be recorded"
            raise ValueError(message)

        with pytest.raises(ValueError, match="cannot be recorded"):
            stream.capture(enqueue)
        stream.synchronize()
    assert driver.left() == []


def test_memory_that_is_not_there_says_so(driver):
    with cuda_driver.Stream() as stream:
        assert stream.free_bytes() == driver.free
        with pytest.raises(DeviceError, match=r"CUDA_ERROR_OUT_OF_MEMORY.*Close what else"):
            stream.allocate(driver.free + 1)


def test_a_stream_that_cannot_be_made_keeps_no_context(driver):
    driver.fails["cuStreamCreate"] = 719
    with pytest.raises(DeviceError):
        cuda_driver.Stream()
    assert driver.retained == 0


def test_closing_twice_frees_once_and_a_lost_gpu_does_not_stop_it(driver):
    stream = cuda_driver.Stream()
    stream.allocate(8)
    driver.fails["cuMemFree_v2"] = 719
    stream.close()
    stream.close()
    assert driver.calls.count("cuStreamDestroy_v2") == 1
    assert driver.retained == 0
