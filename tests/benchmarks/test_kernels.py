"""The kernels' benchmark without a GPU: its plan, its records, and what it says is missing."""

from __future__ import annotations

import sys

import numpy as np
import pytest


class FakeDevice:
    """Times of 2 ms, and 100 GB/s."""

    name, architecture, multiprocessors = "Fake", 90, 4

    def __init__(self):
        self.freed = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def copy_bytes_per_s(self):
        return 100e9

    def prepare(self, launch):
        return launch

    def free(self, prepared):
        self.freed += 1

    def time_ms(self, prepared, rounds):
        return [2.0] * rounds


def test_the_plan_names_every_kernel_and_says_that_nothing_ran(script, run_main, capsys):
    run_main("kernels", "--dry-run", "--only", "flow_features")
    told = capsys.readouterr().out
    assert "flow_features_f32" in told
    assert "nothing was run or measured" in told
    made = {case.name.split()[0] for case in script("kernel_cases").cases(small=True)}
    assert made == {
        "lifting", "adaptive_split", "lifting_attention", "pooled_attention", "pool_norm",
        "face_crops", "flow_features",
    }  # fmt: skip


def test_without_a_gpu_the_reason_is_told_and_nothing_recorded(
    run_main, recorded_in, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "pycuda", None)
    with pytest.raises(SystemExit) as stop:
        run_main("kernels", "--record")
    assert stop.value.code == 6
    assert "realtime-affect[cuda]" in capsys.readouterr().out
    assert list(recorded_in.iterdir()) == []


def test_a_record_holds_raw_times_floors_and_the_card(script, run_main, recorded_in, monkeypatch):
    kernels = script("kernels")
    monkeypatch.setattr(kernels, "Device", FakeDevice)
    monkeypatch.setattr(kernels.Rivals, "on_this_machine", classmethod(lambda cls, device: None))
    cases = script("kernel_cases").cases
    monkeypatch.setattr(kernels, "cases", lambda only, **_: cases(only, small=True))
    run_main("kernels", "--only", "flow_features", "--rounds", 3, "--record")
    (record,) = script("records").read(recorded_in / "kernels.jsonl")
    assert record["config"] == {"rounds": 3, "cold_l2": True, "torch": None}
    assert record["figures"]["card"]["copy_gb_s"] == 100
    (row,) = record["figures"]["cases"]
    assert row["raw_ms"] == [2.0] * 3
    moved = 3 * 28 * 28 * (2 + 3) * 4
    assert row["floor_ms"]["copy"] == pytest.approx(moved / 100e9 * 1e3)
    assert row["share_of_floor"] == pytest.approx(row["floor_ms"]["copy"] / 2)


def test_bytes_of_a_frame_count_once_however_many_crops_look_at_them(script):
    touched = script("kernel_cases").touched
    still = np.array([[[1, 0, 2], [0, 1, 2]]], float)
    for maps in (still, np.repeat(still, 3, 0)):
        assert touched(maps, (20, 20), 4, "bgr") == 5 * 5 * 3
        assert touched(maps, (20, 20), 4, "nv12") == 5 * 5 + 3 * 3 * 2
