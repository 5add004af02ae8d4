"""The renderer needs numba and the head model, which not every machine has."""

import pytest


@pytest.fixture(scope="session")
def head_file(shared_data):
    """The packed head model, or a skip that says why."""
    path = shared_data / "synthetic_ict" / "ict_facekit_light.npz"
    if not path.is_file():
        pytest.skip("the head model (synthetic_ict) is not on this machine")
    return path


@pytest.fixture(scope="session")
def head(head_file):
    """The head model, read once."""
    from training.synthetic.faces import FaceModel

    return FaceModel(head_file)
