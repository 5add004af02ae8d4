import numpy as np
import pytest

from affect_engines import BACKENDS, open_engine
from affect_engines.base import TensorSpec
from affect_kernels.errors import UsageError


@pytest.mark.parametrize(
    ("shape", "dtype", "fits"),
    [
        ((2, 3), np.float32, True),
        ((5, 3), np.float32, True),
        ((2, 4), np.float32, False),
        ((2, 3, 1), np.float32, False),
        ((2, 3), np.float64, False),
    ],
)
def test_a_spec_fits_arrays_of_its_shape_and_type_and_none_is_any_length(shape, dtype, fits):
    spec = TensorSpec("x", (None, 3), np.dtype(np.float32))
    assert spec.fits(np.zeros(shape, dtype)) is fits


def test_a_spec_reads_as_shape_and_type():
    assert str(TensorSpec("x", (None, 3), np.dtype(np.float32))) == "(n, 3) float32"


def test_an_unknown_backend_is_refused_and_the_known_ones_named():
    with pytest.raises(UsageError, match="'openvino'") as caught:
        open_engine("iris", backend="openvino")
    assert all(name in str(caught.value) for name in BACKENDS)


@pytest.mark.parametrize("backend", ["tensorrt", "cuda", "onnxruntime"])
def test_a_backend_that_does_not_read_the_file_is_never_replaced(backend):
    with pytest.raises(UsageError, match="expected blocks or litert"):
        open_engine("iris", backend=backend)


def test_auto_opens_what_the_card_names(models):
    with open_engine("face_mesh") as engine:
        assert engine.inputs[0].shape == (1, 192, 192, 3)
