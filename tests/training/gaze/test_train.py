import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch (group torch) is not installed")

from realtime_affect.affect.eyes import PATCH_PX  # noqa: E402
from training.gaze.dataset import WIDE_PX  # noqa: E402
from training.gaze.network import EyeLive, export  # noqa: E402
from training.gaze.train import Looks, lesson  # noqa: E402


def test_a_lesson_moves_iris_and_answer_together():
    rng = np.random.default_rng(0)
    eyes = np.full((8, 2, WIDE_PX[1], WIDE_PX[0]), 40, np.uint8)
    middle = np.array(WIDE_PX) // 2
    eyes[..., middle[1] - 2 : middle[1] + 3, middle[0] + 4 : middle[0] + 9] = 250
    offsets = np.tile(np.array((6.0, 0.0), np.float32), (8, 2, 1))
    ones = np.ones((8, 2), np.float32)
    looks = Looks(eyes, offsets, ones, ones, np.full(8, 15.0, np.float32))
    patches, answers = lesson(looks, np.arange(8), rng)
    assert patches.shape == (8, 2, PATCH_PX[1], PATCH_PX[0])
    assert answers.norm(dim=2).numpy() == pytest.approx(6.0, rel=0.3)
    seen = patches.amax((2, 3)) > 0
    assert 0 < seen.sum() <= 16


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_network_answers_for_any_number_of_faces_as_its_file_does():
    assert export(EyeLive())[:4]
    assert EyeLive().eval()(torch.zeros(3, 2, 32, 64, dtype=torch.uint8)).shape == (3, 2, 2)
