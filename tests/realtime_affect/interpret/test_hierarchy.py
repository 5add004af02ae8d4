"""Every label has its tiers."""

from realtime_affect.interpret.hierarchy import as_data, tiers
from realtime_affect.names import COMPOUNDS, EXPRESSIONS


def test_every_expression_and_compound_has_three_tiers_and_rest_none():
    data = as_data()
    assert set(data) == {*EXPRESSIONS, *COMPOUNDS}
    assert data["neutral"] == []
    for name in {*EXPRESSIONS, *COMPOUNDS} - {"neutral"}:
        assert [len(path) for path in data[name]] == [3] * (2 if name in COMPOUNDS else 1)


def test_a_compound_has_the_tiers_of_both_parts():
    assert tiers("sadly angry") == tiers("sadness") + tiers("anger")
