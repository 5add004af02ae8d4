"""The classifier of micro-expressions: the shipped network, read by its card."""

import numpy as np
import pytest

from affect_engines import load_card
from affect_kernels.errors import UsageError
from realtime_affect.micro.classifier import MicroClassifier
from realtime_affect.micro.flow import FLOW_MAP_PX
from realtime_affect.names import MICRO_CLASSES

NONE = MICRO_CLASSES.index("none")


@pytest.fixture(scope="module")
def classifier():
    with MicroClassifier() as opened:
        yield opened


def still(n=1):
    return np.zeros((n, FLOW_MAP_PX, FLOW_MAP_PX, 3), np.float32)


def test_a_face_that_does_nothing_is_none_of_the_classes(classifier):
    shares = classifier.classify(still())
    assert shares.shape == (1, 4)
    assert shares.dtype == np.float32
    assert shares[0].argmax() == NONE


def test_events_at_once_are_told_as_one_by_one(classifier):
    maps = np.random.default_rng(0).normal(0, 0.01, (3, FLOW_MAP_PX, FLOW_MAP_PX, 3))
    maps = maps.astype(np.float32)
    together = classifier.classify(maps)
    assert np.allclose(together.sum(axis=1), 1, atol=1e-5)
    apart = np.concatenate([classifier.classify(one[None]) for one in maps])
    assert np.allclose(together, apart, atol=1e-5)


def test_no_events_are_no_rows(classifier):
    assert classifier.classify(still(0)).shape == (0, 4)


def test_what_cannot_be_seen_is_not_told(classifier):
    maps = still(2)
    maps[1, 3, 3, 2] = np.nan
    shares = classifier.classify(maps)
    assert np.isnan(shares[1]).all()
    assert np.isfinite(shares[0]).all()


def test_another_shape_is_refused(classifier):
    with pytest.raises(UsageError, match="maps"):
        classifier.classify(still()[:, :28])


class Fake:
    """Answers in the order of the card."""

    def __init__(self):
        self.closed = 0

    def infer(self, feeds):
        outputs = load_card("htnet_live").decode["outputs"]
        row = [float(outputs.index(name) == outputs.index("surprise")) for name in outputs]
        return {"logits": np.array([row] * len(feeds["maps"]), np.float32)}

    def close(self):
        self.closed += 1


def test_probabilities_are_in_the_order_of_the_classes_and_tempered():
    fake = Fake()
    with MicroClassifier(fake) as classifier:
        shares = classifier.classify(still())[0]
    assert fake.closed == 1
    assert shares.argmax() == MICRO_CLASSES.index("surprise")
    temperature = load_card("htnet_live").decode["temperature"]
    assert shares.max() == pytest.approx(1 / (1 + 3 * np.exp(-1 / temperature)), rel=1e-4)
