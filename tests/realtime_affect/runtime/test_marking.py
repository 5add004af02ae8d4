import numpy as np

from realtime_affect.runtime.marking import REPEATED_NS, MarkerQueue
from realtime_affect.types import Frame
from tests.realtime_affect.runtime.test_pipeline import FakeSource, make

IMAGE = np.zeros((4, 6, 3), np.uint8)
NAN = float("nan")


def frame(t_ns, captured_ns):
    return Frame(0, t_ns, captured_ns, IMAGE)


def test_a_moment_is_put_on_the_source_s_clock():
    queue = MarkerQueue()
    queue.add("then", "window", 10_000_000_400, 1.5)  # 600 ns before the frame was captured
    queue.add("now", "", None, NAN)
    then, now = queue.carried_by(frame(5_000_000_000, 10_000_001_000))
    assert (then.number, then.label, then.origin, then.uncertainty_ms) == (1, "then", "window", 1.5)
    assert then.t_ns == 4_999_999_400
    assert (now.number, now.t_ns) == (2, 5_000_000_000)


def test_readings_carry_a_marker_for_two_seconds():
    queue = MarkerQueue()
    assert queue.carried_by(frame(0, 0)) == ()
    queue.add("a", "", None, NAN)
    for captured_ns in (10, REPEATED_NS, REPEATED_NS + 10):
        assert [m.label for m in queue.carried_by(frame(captured_ns, captured_ns))] == ["a"]
    assert queue.carried_by(frame(1, REPEATED_NS + 11)) == ()


def test_a_flood_of_markers_costs_the_oldest_and_no_memory():
    queue = MarkerQueue()
    for n in range(3000):
        queue.add(str(n), "", None, NAN)
    carried = queue.carried_by(frame(0, 0))
    assert [carried[0].label, carried[-1].label, len(carried)] == ["2000", "2999", 1000]


def test_a_pipeline_s_readings_carry_what_was_marked():
    with make(FakeSource(3), live=False) as pipeline:
        pipeline.mark("begin", origin="test", at_ns=123)
        markers = [reading.markers for reading in pipeline]
    assert [[m.label for m in carried] for carried in markers] == [["begin"]] * 3
    assert markers[0][0].t_ns == 0  # offline, frames do not come at their own times
    assert len({carried[0] for carried in markers}) == 1
