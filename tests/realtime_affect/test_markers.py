import math

from realtime_affect.markers import MAX_LABEL, Marker, NewMarkers


def test_a_label_is_one_line_that_acts_on_no_terminal_and_has_an_end():
    marker = Marker(1, 0, "stimulus\n\x1b[2J" + "x" * 1000, "lsl \x07")
    assert marker.label.startswith("stimulus\\n\\x1b[2Jx")
    assert len(marker.label) == MAX_LABEL
    assert marker.origin == "lsl \\x07"
    assert math.isnan(marker.uncertainty_ms)


def test_each_reader_finds_every_marker_once_however_often_readings_repeat_it():
    one, two, three = (Marker(n, 0, str(n)) for n in (1, 2, 3))
    new = NewMarkers()
    readings = [(one,), (one, two), (), (two, three), (three,)]
    assert [new.take(markers) for markers in readings] == [[one], [two], [], [three], []]
