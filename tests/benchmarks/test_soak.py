import math

import pytest


def test_memory_is_what_is_in_ram(script):
    import gc
    import mmap

    gc.collect()
    before = script("soak").resident_mib()
    with mmap.mmap(-1, 256 << 20) as pages:
        reserved = script("soak").resident_mib()
        pages.write(bytes(256 << 20))
        filled = script("soak").resident_mib()
    assert reserved - before < 64  # other threads may take or free some
    assert filled - reserved > 192


@pytest.mark.usefixtures("models")
def test_two_seconds_are_sampled_and_both_slopes_are_numbers(script):
    figures = script("soak").run("demo", minutes=0.04, sample_s=0.5)
    assert figures["frames"] > 0
    n = len(figures["minutes"])
    assert n >= 2
    assert n == len(figures["resident_mib"]) == len(figures["median_ms"])
    assert figures["minutes"] == sorted(figures["minutes"])
    assert min(figures["resident_mib"]) > 10
    assert min(figures["median_ms"]) > 0
    assert math.isfinite(figures["resident_slope_mib_per_min"])
    assert figures["slots"]["frames"]["drops"] == figures["frames_dropped"] >= 0
    assert 0 < figures["vision_ms"]["p50"] <= figures["vision_ms"]["max"]
    assert math.isfinite(figures["median_slope_ms_per_min"])


@pytest.mark.usefixtures("models")
def test_the_record_names_source_and_minutes(script, run_main, recorded_in, capsys):
    run_main("soak", "--minutes", 0.03, "--sample-s", 0.4, "--record")
    (record,) = script("records").read(recorded_in / "soak.jsonl")
    assert record["config"] == {"source": "demo", "minutes": 0.03}
    assert record["figures"]["frames"] > 0
    assert "MiB a minute" in capsys.readouterr().out
