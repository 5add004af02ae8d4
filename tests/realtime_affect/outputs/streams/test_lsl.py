"""Lab Streaming Layer, by pylsl's own inlets and outlets and by pyxdf."""

import csv
import socket
import time
import uuid
from contextlib import closing
from types import SimpleNamespace

import pytest

from realtime_affect.errors import DependencyError, OutputError
from realtime_affect.markers import Marker
from realtime_affect.outputs.sinks import EventSink, RowSink
from realtime_affect.outputs.streams import liblsl
from realtime_affect.outputs.streams.channels import channels_of
from realtime_affect.outputs.streams.clock import ClockOffset, measure_offset
from realtime_affect.outputs.streams.config import STREAMED, LslConfig
from realtime_affect.outputs.streams.lsl import LslSink
from realtime_affect.outputs.streams.lsl_markers import LslMarkers
from realtime_affect.outputs.streams.pattern import pattern_pipeline
from tests.realtime_affect.outputs.streams.xdf import XdfRecorder
from tests.realtime_affect.outputs.test_csv_rows import reading

LIMIT_S = 60.0  # ends what hangs; nothing is measured by it
WITHIN_S = 0.005


def wait_until(true):
    end = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def opened(**values):
    """A sink whose streams no other test of this machine has."""
    try:
        return LslSink(LslConfig(enabled=True, name=f"test {uuid.uuid4().hex[:8]}", **values))
    except OutputError as error:
        pytest.skip(f"LSL cannot be kept to this machine here: {error.got}")


def inlet_of(name):
    import pylsl

    found = pylsl.resolve_byprop("name", name, 1, LIMIT_S)
    assert found, f"{name} was not found"
    inlet = pylsl.StreamInlet(found[0], max_buflen=60, recover=False)
    inlet.open_stream(LIMIT_S)
    return inlet


def channels_in(info):
    described, found = info.desc().child("channels").child("channel"), []
    while not described.empty():
        names = ("label", "unit", "type", "trust")
        found.append({name: described.child_value(name) for name in names})
        described = described.next_sibling()
    return found


def test_a_stream_says_what_its_channels_are_and_how_well_its_clock_is_known():
    sink = opened(faces=2, groups=["face", "expression", "action units"])
    inlet = inlet_of(f"{sink._config.name} face 2")
    info = inlet.info(LIMIT_S)
    told = {channel["label"]: channel for channel in channels_in(info)}
    assert list(told) == [c.name for c in channels_of(sink._config.groups) if not c.is_text]
    assert told["AU12_r"] == {
        "label": "AU12_r", "unit": "0 to 5", "type": "action units", "trust": "high"
    }  # fmt: skip
    assert told["p_happiness"]["trust"] == "evaluated"
    assert info.nominal_srate() == 0
    clock = info.desc().child("clock")
    assert float(clock.child_value("uncertainty_s")) < 0.01
    inlet.close_stream()
    sink.shut_down()


def test_a_recording_lines_up_with_the_rows(tmp_path):
    import pylsl
    import pyxdf

    sink = opened()
    inlets = [inlet_of(f"{sink._config.name} {what}") for what in ("face 1", "events")]
    recorder = XdfRecorder(tmp_path / "a.xdf", inlets)
    recorder.measure(pylsl.local_clock)
    rows = RowSink(tmp_path / "a.csv", landmarks=False, backfill=False)
    events = EventSink(tmp_path / "a.events.csv")
    with pattern_pipeline(1, frames=40) as pipeline:
        pipeline.attach(rows, depth_s=60, images=False)
        pipeline.attach(events, depth_s=60, images=False)
        pipeline.attach(sink, depth_s=60, images=False)
        pipeline.start()
        pipeline.mark("begin", at_ns=time.monotonic_ns())
        pipeline.join()
    published = pipeline.stats().frames_analysed
    wait_until(lambda: (n := recorder.pull())[0] == published and n[1] > 0)
    recorder.measure(pylsl.local_clock)
    recorder.write()
    sink.shut_down()

    faces, marks = sorted(
        pyxdf.load_xdf(tmp_path / "a.xdf", dejitter_timestamps=False)[0],
        key=lambda stream: stream["info"]["type"][0] == "Markers",
    )
    names = [c.name for c in channels_of(STREAMED) if not c.is_text]
    values = faces["time_series"]
    recorded = dict(zip(values[:, names.index("frame")], faces["time_stamps"], strict=True))
    with (tmp_path / "a.csv").open(newline="") as file:
        written = {int(row["frame"]): row for row in csv.DictReader(file)}
    assert set(recorded) == set(written)
    first = min(written)
    for frame, row in written.items():
        ours, theirs = float(row["timestamp"]), recorded[frame] - recorded[first]
        assert theirs == pytest.approx(ours, abs=WITHIN_S)
    # By the clock alone, without frame numbers: channel `timestamp` is source time.
    moment_s = values[0, names.index("timestamp")] + sink.clock.offset_ns / 1e9
    assert recorded[first] == pytest.approx(moment_s, abs=WITHIN_S)
    au12 = names.index("AU12_r")
    assert values[-1, au12] == pytest.approx(float(written[max(written)]["AU12_r"]), abs=1e-3)

    with (tmp_path / "a.events.csv").open(newline="") as file:
        (line,) = (row for row in csv.DictReader(file) if row["kind"] == "marker")
    at = [text for (text,) in marks["time_series"]].index("begin")
    theirs = marks["time_stamps"][at] - recorded[first]
    assert theirs == pytest.approx(float(line["onset"]), abs=WITHIN_S)


def test_nobody_in_view_is_a_sample_too_and_a_marker_has_its_own_time():
    from dataclasses import replace

    sink = opened(groups=["frame", "face"])
    faces, events = (inlet_of(f"{sink._config.name} {what}") for what in ("face 1", "events"))
    sink.write(replace(reading(4, faces=()), markers=(Marker(1, 2_000_000_000, "begin"),)))
    sample, at_s = faces.pull_sample(LIMIT_S)
    told = dict(zip(("frame", "face_id"), sample, strict=False))
    assert told == {"frame": 5, "face_id": 0}
    (label,), marked_s = events.pull_sample(LIMIT_S)
    assert label == "begin"
    assert marked_s - at_s == pytest.approx(2.0)  # the frame was captured at source time 0
    sink.shut_down()


def test_its_sockets_are_kept_to_this_machine():
    sink = opened()
    bound = []
    for found in liblsl._sockets_of_liblsl():
        with found:
            bound.append(found.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16))
    assert len(bound) >= 4  # discovery, and two streams' ports
    assert {name.rstrip(b"\0") for name in bound} == {b"lo"}
    sink.shut_down()


def test_remote_and_local_are_not_mixed_in_one_process():
    opened().shut_down()
    with pytest.raises(OutputError, match="for as long as this program runs"):
        liblsl.load_liblsl(allow_remote=True)


def test_samples_of_a_named_stream_become_markers_at_their_own_times():
    import pylsl

    opened().shut_down()  # or liblsl is not set up for this machine alone
    name = f"triggers {uuid.uuid4().hex[:8]}"
    info = pylsl.StreamInfo(name, "Markers", 1, 0, "string", name)
    outlets = [pylsl.StreamOutlet(info, 1, 60)]
    marks = []
    config = LslConfig(markers_from=name)
    taken = LslMarkers(config, lambda *marked: marks.append(marked))
    wait_until(lambda: taken.counts["connected"])
    wait_until(lambda: outlets[0].have_consumers())
    at_ns = time.monotonic_ns()
    outlets[0].push_sample(["stimulus 3"], pylsl.local_clock() - 0.25)
    wait_until(lambda: marks)
    outlets.clear()
    wait_until(lambda: not taken.counts["connected"])  # lost, and looked for again
    taken.shut_down()
    ((label, marked_ns, uncertainty_ms),) = marks
    assert label == "stimulus 3"
    assert marked_ns == pytest.approx(
        at_ns - 250_000_000, abs=WITHIN_S * 1e9 + uncertainty_ms * 1e6
    )
    assert 0 < uncertainty_ms < 1000


def test_our_own_events_do_not_come_back_as_markers():
    sink = opened()
    config = sink._config.replace(markers_from=f"{sink._config.name} events")
    marks = []
    with closing(_Closing(LslMarkers(config, lambda *marked: marks.append(marked)))) as taken:
        inlet_of(config.markers_from)  # it can be found by now
        assert not taken.markers.counts["connected"]
    sink.shut_down()


class _Closing:
    def __init__(self, markers):
        self.markers = markers

    def close(self):
        self.markers.shut_down()


def test_an_offset_is_that_of_the_quickest_look_and_within_its_uncertainty():
    times = iter([0, 900, 1000, 1100, 2000, 2900])  # before and after each look
    looks = iter([5000.45e-9, 6000.05e-9 + 45e-9, 7000.45e-9])
    found = measure_offset(lambda: next(looks), lambda: next(times), looks=3)
    assert found == ClockOffset(6000 - 1050 + 45, 50)
    assert found.monotonic_ns(found.seconds(123_456_789)) == 123_456_789


def test_a_sampled_stream_is_not_taken_for_markers(caplog):
    import pylsl

    opened().shut_down()
    name = f"eeg {uuid.uuid4().hex[:8]}"
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "EEG", 1, 250, "float32", name), 1, 60)
    taken = LslMarkers(LslConfig(markers_from=name), lambda *marked: None)
    wait_until(lambda: taken.counts["refused"] > 1)
    taken.shut_down()
    assert not taken.counts["connected"]
    assert [r.levelname for r in caplog.records if "is sampled" in r.message] == ["WARNING"]
    del outlet


def test_a_liblsl_that_cannot_be_kept_to_this_machine_is_refused():
    with pytest.raises(DependencyError, match=r"liblsl 113.*PYLSL_LIB"):
        liblsl._set_up(SimpleNamespace(lsl_library_version=lambda: 113), "")
