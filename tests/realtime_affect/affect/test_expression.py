"""The expression reader: what is looked at once, remembered, and decided together."""

from __future__ import annotations

import numpy as np
import pytest

from affect_engines import load_card, open_engine
from affect_kernels.errors import UsageError
from realtime_affect.affect.expression import ExpressionClassifier, clip_timing
from realtime_affect.names import EXPRESSIONS
from realtime_affect.types import ClipWindow

SLOTS = clip_timing().slots
STEP_NS = round(1e9 / clip_timing().slot_hz)


class Counting:
    """The real network, with the number of rows of each run."""

    def __init__(self, precision="fp32"):
        self.engine = open_engine(load_card("ifdd_stream").form(precision))
        self.rows = []

    def infer(self, feeds):
        self.rows.append(len(feeds["pictures"]))
        return self.engine.infer(feeds)

    def close(self):
        self.engine.close()


@pytest.fixture
def network():
    engine = Counting()
    yield engine
    engine.close()


def pictures(n, seed=0):
    """Draw n moments of a face-like blob that changes slowly."""
    rng = np.random.default_rng(seed)
    start, end = rng.integers(0, 256, (2, 48, 48))
    share = np.linspace(0, 1, n)[:, None, None]
    return np.rint(start * (1 - share) + end * share).astype(np.uint8)


def clip_at(moments, last, track_id=1):
    """Return the clip that ends at moment `last`."""
    first = max(0, last + 1 - SLOTS)
    t_ns = np.arange(first, last + 1) * STEP_NS
    return ClipWindow(track_id, t_ns, moments[first : last + 1], len(t_ns) < SLOTS)


def streamed(reader, moments, track_id=1):
    return [reader.decide([clip_at(moments, i, track_id)])[track_id] for i in range(len(moments))]


def test_streaming_tells_what_the_whole_clip_told_at_once_does(network):
    moments = pictures(30)
    live = streamed(ExpressionClassifier(engine=network), moments)
    for last in (0, 1, 5, SLOTS - 1, SLOTS, 29):
        whole = ExpressionClassifier(engine=network).decide([clip_at(moments, last)])[1]
        difference = np.abs(whole.probabilities - live[last].probabilities).max()
        assert difference <= 1e-5
        assert whole.t_ns == live[last].t_ns == last * STEP_NS
        assert whole.warming_up == live[last].warming_up == (last < SLOTS - 1)


def test_each_moment_is_looked_at_once_and_an_old_clip_costs_nothing(network):
    reader, moments = ExpressionClassifier(engine=network), pictures(20)
    streamed(reader, moments)
    assert network.rows == [1] * 20
    again = reader.decide([clip_at(moments, 19)])
    assert network.rows == [1] * 20
    assert again[1].t_ns == 19 * STEP_NS


def test_all_faces_go_through_the_network_together(network):
    reader = ExpressionClassifier(engine=network)
    several = {track_id: pictures(15, track_id) for track_id in (1, 2, 5)}
    for i in range(15):
        shown = reader.decide([clip_at(moments, i, k) for k, moments in several.items()])
    assert network.rows == [3] * 15
    for track_id, moments in several.items():
        alone = streamed(ExpressionClassifier(engine=network), moments, track_id)[-1]
        assert np.allclose(shown[track_id].probabilities, alone.probabilities, atol=1e-5)


def test_moments_of_jobs_that_were_dropped_are_caught_up_with(network):
    moments = pictures(20)
    reader = ExpressionClassifier(engine=network)
    for i in (0, 1, 2, 3, 8, 9, 19):
        late = reader.decide([clip_at(moments, i)])[1]
    live = streamed(ExpressionClassifier(engine=network), moments)[-1]
    assert np.allclose(late.probabilities, live.probabilities, atol=1e-5)


def test_a_clip_that_began_anew_knows_nothing_of_the_one_before(network):
    reader, moments = ExpressionClassifier(engine=network), pictures(20)
    streamed(reader, moments)
    fresh = ClipWindow(1, np.array([50 * STEP_NS]), pictures(1, 7), True)
    after = reader.decide([fresh])[1]
    alone = ExpressionClassifier(engine=network).decide([fresh])[1]
    assert np.array_equal(after.probabilities, alone.probabilities)
    assert after.warming_up


def test_a_face_that_left_is_forgotten(network):
    reader, moments = ExpressionClassifier(engine=network), pictures(20)
    reader.decide([clip_at(moments, 3, 1), clip_at(moments, 3, 2)])
    for i in range(4, 20):
        reader.decide([clip_at(moments, i, 2)])
    assert set(reader._memories) == {2}
    assert reader.decide([]) == {}


def test_probabilities_add_up_and_name_the_likeliest_of_the_first_moment(network):
    shown = streamed(ExpressionClassifier(engine=network), pictures(1))[-1]
    assert shown.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert shown.name == shown.likeliest == EXPRESSIONS[int(shown.probabilities.argmax())]
    assert shown.probability == pytest.approx(float(shown.probabilities.max()))


class Scripted:
    """A network that says what it is told to, one class a moment."""

    def __init__(self, names):
        self.names = list(names)
        self.order = load_card("ifdd_stream").decode["outputs"]

    def infer(self, feeds):
        logits = np.zeros((len(feeds["pictures"]), len(self.order)), np.float32)
        logits[:, self.order.index(self.names.pop(0))] = 6.0
        return {"logits": logits, "slot": np.zeros_like(feeds["memory"][:, 0])}

    def close(self):
        pass


def test_what_is_reported_is_steady_while_probabilities_stay_those_of_the_moment():
    said = [*["neutral"] * 5, "sadness", *["neutral"] * 3, *["happiness"] * 4, *["neutral"] * 9]
    reader = ExpressionClassifier(engine=Scripted(said), onset_ms=100, release_ms=300, margin=0.2)
    shown = streamed(reader, pictures(len(said)))
    assert [moment.likeliest for moment in shown] == said
    reported = [moment.name for moment in shown]
    assert reported == [*["neutral"] * 10, *["happiness"] * 6, *["neutral"] * 6]
    assert shown[5].probability < 0.1 < shown[5].probabilities.max()


def test_jobs_that_were_dropped_do_not_change_what_is_reported():
    said = [*["neutral"] * 4, *["happiness"] * 8, *["neutral"] * 8]
    live = streamed(ExpressionClassifier(engine=Scripted(said)), pictures(20))
    reader = ExpressionClassifier(engine=Scripted(said))
    for i in (0, 3, 4, 9, 10, 19):
        late = reader.decide([clip_at(pictures(20), i)])[1]
        assert late.name == live[i].name


def test_each_face_has_a_report_of_its_own_and_a_gap_begins_it_anew():
    said = ["happiness", "neutral", "happiness", "neutral", "sadness"]
    reader = ExpressionClassifier(engine=Scripted(said))
    moments = pictures(20)
    assert reader.decide([clip_at(moments, 0, 1)])[1].name == "happiness"
    assert reader.decide([clip_at(moments, 0, 2)])[2].name == "neutral"
    assert reader.decide([clip_at(moments, 1, 1)])[1].name == "happiness"
    assert reader.decide([clip_at(moments, 1, 2)])[2].name == "neutral"
    fresh = ClipWindow(1, np.array([50 * STEP_NS]), pictures(1, 7), True)
    assert reader.decide([fresh])[1].name == "sadness"


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_both_forms_open_and_nearly_agree(precision):
    moments = pictures(SLOTS)
    with ExpressionClassifier(precision) as reader, ExpressionClassifier("fp32") as exact:
        got, wanted = streamed(reader, moments)[-1], streamed(exact, moments)[-1]
    assert np.abs(got.probabilities - wanted.probabilities).max() < 0.25


def test_an_unknown_precision_is_refused_by_name():
    with pytest.raises(UsageError, match=r"int4.*fp32, int8"):
        ExpressionClassifier("int4")
