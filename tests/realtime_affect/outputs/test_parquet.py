import sys

import pytest

from realtime_affect.errors import DependencyError, InputError, OutputError
from realtime_affect.outputs.csv_events import EventWriter
from realtime_affect.outputs.csv_rows import RowWriter
from realtime_affect.outputs.parquet import write_parquet
from tests.realtime_affect.micro_world import facial_event
from tests.realtime_affect.outputs.test_csv_events import readings
from tests.realtime_affect.outputs.test_csv_rows import read, reading

pa = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
pq = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")


@pytest.fixture
def rows(tmp_path):
    """Rows with faces, with a face whose turn it was not, and without a face."""
    writer = RowWriter(tmp_path / "a.csv", input_column=True)
    writer.write(reading(0, 0, faces=(1,), unmeasured=(2,), name='a, "b".png'))
    writer.write(reading(1, 40_000_000, faces=(), name="b.png"))
    writer.close()
    return writer.path


def test_every_value_of_the_csv_is_there_with_its_type(rows, tmp_path):
    assert write_parquet(rows, tmp_path / "a.parquet") == 3
    table = pq.read_table(tmp_path / "a.parquet")
    csv_rows = read(rows)
    assert table.column_names == list(csv_rows[0])
    for wanted, found in zip(csv_rows, table.to_pylist(), strict=True):
        for name, text in wanted.items():
            value = found[name]
            if text == "" or value is None:
                assert (text, value) == ("", None), name
            elif isinstance(value, str):
                assert value == text
            else:
                assert float(value) == pytest.approx(float(text), rel=1e-6, abs=1e-9), name
    kinds = {name: table.schema.field(name).type for name in table.column_names}
    assert kinds["frame"] == pa.int64()
    assert kinds["success"] == kinds["micro"] == pa.bool_()
    assert kinds["timestamp"] == pa.float64()
    assert kinds["AU12_r"] == pa.float32()
    assert kinds["expression"] == kinds["input"] == pa.string()


def test_columns_say_their_unit_and_meaning_and_the_file_what_it_is_of(rows, tmp_path):
    write_parquet(
        rows, tmp_path / "a.parquet", constants={"group": "ä, b"}, metadata={"input": "a.mp4"}
    )
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.schema.field("AU12_r").metadata[b"unit"] == b"0 to 5"
    assert b"action units" in table.schema.field("AU12_r").metadata[b"doc"]
    assert table.schema.metadata[b"input"] == b"a.mp4"
    assert b"not a medical device" in table.schema.metadata[b"notice"].replace(b"\n", b" ")
    assert set(table["group"].to_pylist()) == {"ä, b"}


def test_events_too_and_their_regions_are_lists(tmp_path):
    writer = EventWriter(tmp_path / "a.events.csv")
    for one in readings({1: [facial_event(1000)]}):
        writer.write(one)
    writer.close()
    assert write_parquet(writer.path, tmp_path / "a.parquet") == 1
    (event,) = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert isinstance(event["regions"], list)
    assert event["kind"] == "micro"
    assert event["onset"] == 1.0


def test_a_table_without_rows_is_one_too(rows, tmp_path):
    head = rows.read_text().partition("\n")[0] + "\n"
    rows.write_text(head)
    assert write_parquet(rows, tmp_path / "a.parquet") == 0
    assert pq.read_table(tmp_path / "a.parquet").num_rows == 0


@pytest.mark.parametrize("content", ["", "frame,face_id\n1,2,3\n", "frame\nx\n"])
def test_what_is_no_table_is_refused_and_leaves_nothing(tmp_path, content):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(InputError, match=r"a\.csv"):
        write_parquet(tmp_path / "a.csv", tmp_path / "a.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_file_that_cannot_be_written_is_an_output_error(rows, tmp_path):
    with pytest.raises(OutputError):
        write_parquet(rows, tmp_path / "gone" / "a.parquet")


def test_without_the_library_the_extra_is_named(rows, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.csv", None)
    with pytest.raises(DependencyError, match=r"realtime-affect\[parquet\]"):
        write_parquet(rows, tmp_path / "a.parquet")
