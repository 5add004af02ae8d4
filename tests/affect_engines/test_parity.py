import numpy as np

from affect_engines.base import TensorSpec
from affect_engines.parity import TOLERANCES, difference, random_feeds
from affect_engines.trt.precision import PRECISIONS
from tests.affect_engines.conftest import FakeEngine


class Changed(FakeEngine):
    def __init__(self, change):
        super().__init__()
        self.change = change

    def infer(self, feeds):
        return {"y": self.change(super().infer(feeds)["y"])}


def test_the_same_engine_agrees_with_itself():
    assert difference(FakeEngine(), FakeEngine(), 1) == 0.0


def test_a_difference_is_a_share_of_the_largest_answer():
    engine = Changed(lambda y: y + 0.25 * np.abs(y).max())
    assert 0.24 < difference(engine, FakeEngine(), 1) < 0.26


def test_what_is_no_number_never_agrees():
    assert difference(Changed(lambda y: y * np.nan), FakeEngine(), 1) == np.inf


def test_feeds_fit_what_is_asked_for():
    specs = (
        TensorSpec("picture", (None, 48, 33, 3), np.dtype(np.uint8)),
        TensorSpec("measure", (None, 3), np.dtype(np.float16)),
        TensorSpec("count", (None,), np.dtype(np.int64)),
    )
    feeds = random_feeds(specs, 3)
    assert all(spec.fits(feeds[spec.name]) for spec in specs)
    assert not feeds["count"].any()
    picture = feeds["picture"].astype(int)
    assert np.ptp(picture) > 150
    assert np.abs(np.diff(picture, axis=1)).max() <= 33  # smooth, as images are
    assert np.abs(np.diff(picture, axis=2)).max() <= 33


def test_every_precision_has_a_tolerance():
    assert set(TOLERANCES) == set(PRECISIONS)
