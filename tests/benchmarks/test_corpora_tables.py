import pytest


@pytest.fixture
def add(script, recorded_in):
    """Add a record to the test's own results."""
    records = script("records")
    return lambda *record: records.append(records.new_record(*record))


def test_figures_stand_in_the_tables_as_they_were_recorded(script, add):
    tables = script("corpora_tables")
    networks = {"networks_s": [0.5], "networks_opened": [1]}
    speed = {
        f"{n}_{size}": {"fps": 30.0 / n, "frames": 60, "elapsed_s": 2.0 * n + 0.5}
        for n in (1, 4)
        for size in ("480p", "720p")
    }
    add("corpora", {"scenario": "speed"}, speed)
    pair = {"inputs": 16, "frames": 960, "fps_1": 20.0, "fps_2": 38.0, "ratio": 1.9}
    pair |= {"control_ratio": 1.94, "cpu_ms_1": 30.0, "cpu_ms_2": 31.5}
    pair |= {
        "workers_1": networks,
        "workers_2": {"networks_s": [0.6, 0.7], "networks_opened": [1, 1]},
    }
    add("corpora", {"scenario": "two_against_one"}, pair)
    add("corpora", {"scenario": "memory"}, {"inputs": 12, "rss_mib": [400.0, *[500.0] * 11]})
    text = tables.throughput_table()
    assert "| 480p | 30.0 frames/s | 7.5 frames/s |" in text
    assert "1.90 times as many" in text
    assert "A plain loop in the same turns: 1.94 times" in text
    assert "30.0 ms of a core with one worker and 31.5 with two" in text
    assert "opened 1 time a worker, in 0.70 s at most" in text
    assert "500 MiB after the tenth, 500 at most, 500 after the last" in text
    assert "| 720p, 4 faces | 4.0 | 0.5 |" in tables.cost_table()


def test_what_kills_left_behind_is_told(script, add):
    found = {"clips": 200, "of_the_studio": 100, "equal_to_analyze": 200, "results_replaced": 0}
    two = found | {"killed": {"worker": 10, "driver": 2, "drivers_started": 3}}
    add("corpora_kill", {"scenario": "two processes"}, two)
    add("corpora_kill", {"scenario": "two nodes of Ray"}, found | {"killed": {"node": 1}})
    text = script("corpora_tables").kill_table()
    assert "| two processes | 200 | 100 | 10 workers, 2 drivers | 200 | 0 |" in text
    assert "| two nodes of Ray | 200 | 100 | 1 node | 200 | 0 |" in text


def test_without_records_the_tables_say_so(script, recorded_in):
    tables = script("corpora_tables")
    for table in (tables.throughput_table, tables.cost_table, tables.kill_table):
        assert "No record yet." in table()
