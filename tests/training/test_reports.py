"""Reports as JSON."""

import json

from training.reports import write_report


def test_what_json_does_not_know_is_null_wherever_it_stands(tmp_path):
    path = tmp_path / "report.json"
    write_report({"a": float("nan"), "b": [1.0, float("inf")], "c": {"d": (float("nan"),)}}, path)
    assert json.loads(path.read_text()) == {"a": None, "b": [1.0, None], "c": {"d": [None]}}
