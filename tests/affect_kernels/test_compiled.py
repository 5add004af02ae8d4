import logging

import numba
import numpy as np

from affect_kernels.compiled import compiled


def double(values):
    for i in range(len(values)):
        values[i] *= 2


def test_where_nothing_can_be_kept_functions_compile_all_the_same(monkeypatch, caplog):
    njit = numba.njit

    def refusing(*signatures, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return njit(*signatures, **options)

    monkeypatch.setattr(numba, "njit", refusing)
    with caplog.at_level(logging.INFO):
        function = compiled("void(float64[::1])")(double)
    values = np.ones(3)
    function(values)
    assert values.tolist() == [2, 2, 2]
    assert "for this process alone" in caplog.text
