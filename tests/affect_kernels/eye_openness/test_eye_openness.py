import numpy as np
import pytest

from affect_kernels.eye_openness import cpu, reference

LIDS = np.array((((0, 1, 2), (3, 4, 5)), ((6, 7, 8), (9, 10, 11))))
CORNERS = np.array(((12, 13), (14, 15)))


@pytest.fixture
def meshes():
    return np.random.default_rng(3).normal(0, 20, (5, 16, 3)).astype(np.float32)


def test_the_compiled_form_answers_as_the_plain_one(meshes):
    meshes[1, 0] = np.nan
    meshes[2, 13] = meshes[2, 12]  # an eye without a width
    wanted = reference.eye_openness(meshes, LIDS, CORNERS)
    np.testing.assert_array_equal(cpu.eye_openness(meshes, LIDS, CORNERS), wanted)
    assert np.isnan(wanted[1, 0])


@pytest.mark.parametrize("form", [reference, cpu])
def test_an_eye_three_high_and_thirty_wide_is_a_tenth_open(form):
    mesh = np.zeros((1, 16, 3), np.float32)
    mesh[0, LIDS[0, 0], 1], mesh[0, 12, 0] = 3.0, 30.0
    found = form.eye_openness(mesh, LIDS, CORNERS)
    np.testing.assert_allclose(found, [[0.1, 0.0]])


@pytest.mark.parametrize("form", [reference, cpu])
def test_lids_that_cross_are_shut(form, meshes):
    meshes[:, LIDS[:, 0], 1] -= 1000.0
    assert not form.eye_openness(meshes, LIDS, CORNERS).any()
