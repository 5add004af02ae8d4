"""Measures as fields of a line."""

from __future__ import annotations

import csv

import numpy as np

from realtime_affect.measure import Measure, Moment
from realtime_affect.outputs.csv_table import Table


def measure(name, value, dtype="float32", **how):
    return Measure(
        name, lambda thing, moment: value, subject="face", group="face", dtype=dtype, unit="",
        trust="exact", doc="", **how,
    )  # fmt: skip


def line(*measures, thing=0, origin_ns=0):
    table = Table([(m, m.row_columns) for m in measures])
    return table.line(table.values({"face": thing}, Moment(0), origin_ns))


def test_every_type_has_its_text():
    assert (
        line(
            measure("a", 1.0005, decimals=2), measure("b", 7, "int64"), measure("c", True, "bool"),
            measure("d", 2_500_000_000, "time_ns"), measure("e", "word", "text"),
            measure("f", ("x", "y z"), "names"), measure("g", [1.0, np.nan], parts=("u", "v")),
            origin_ns=10**9,
        )
        == "1.00,7,1,1.500000,word,x;y z,1.000,\n"
    )  # fmt: skip


def test_what_is_not_known_is_an_empty_field():
    for thing in (None, 0):
        value = None
        text = line(
            measure("a", value), measure("b", value, "int64"), measure("e", value, "text"),
            measure("g", value, parts=("u", "v")), thing=thing,
        )  # fmt: skip
        assert text == ",,,,\n"


def test_a_word_with_nan_in_it_stays_whole():
    words = ["nan", "nancy", "finance", "a, nan", 'nan "b"']
    text = line(*(measure(f"m{n}", word, "text") for n, word in enumerate(words)))
    assert next(csv.reader([text])) == words


def test_fewer_columns_than_parts_take_the_first():
    text = line(measure("a", [1.0, 2.0, 3.0], parts=("u", "v", "w"), columns=("u", "v")))
    assert text == "1.000,2.000\n"


def test_the_values_of_one_subject_can_be_put_later():
    def twice(thing, moment):
        return 2 * thing

    late = Measure(
        "late", twice, subject="event", group="face", dtype="float32", unit="", trust="exact",
        doc="",
    )  # fmt: skip
    table = Table([(m, m.row_columns) for m in (measure("a", 1.0), late, measure("b", 3.0))])
    row = table.values({"face": 0, "event": None}, Moment(0))
    table.put(row, "event", 4.0, Moment(0))
    assert table.line(row) == "1.000,8.000,3.000\n"
