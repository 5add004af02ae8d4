import pytest

from realtime_affect.names import AU_INTENSITIES, EXPRESSIONS
from realtime_affect.outputs.streams.pattern import pattern_pipeline, shown_at

S = 1_000_000_000


def test_every_expression_and_unit_has_its_second():
    shown = [shown_at(n * S + S // 4) for n in range(len(EXPRESSIONS) * len(AU_INTENSITIES))]
    assert {one.expression for one in shown} == set(EXPRESSIONS)
    assert {one.unit for one in shown} == set(AU_INTENSITIES)
    assert max(one.intensity for one in shown) <= 5


def test_what_is_sent_is_what_the_time_says():
    with pattern_pipeline(3, fps=200, frames=20) as pipeline:
        readings = list(pipeline)
    last = readings[-1]
    assert [track.track_id for track in last.scene.tracks] == [1, 2, 3]
    for track in last.scene.tracks:
        shown = shown_at(last.scene.frame.t_ns, track.track_id)
        assert track.face.action_units[shown.unit] == pytest.approx(shown.intensity)
        affect = last.affect.results[track.track_id]
        assert affect.expression.name == shown_at(last.affect.t_ns, track.track_id).expression
