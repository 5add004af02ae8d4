import pytest

from realtime_affect.errors import OutputError
from realtime_affect.outputs.line_file import LineFile


@pytest.mark.parametrize("how", ["removed", "moved", "replaced", "pulled"])
@pytest.mark.survival(22)
def test_a_file_that_is_taken_away_is_noticed_at_the_next_flush(tmp_path, how):
    folder = tmp_path / "disk"
    folder.mkdir()
    path = folder / "a.csv"
    lines = LineFile(path, "head\n")
    lines.add("one\n")
    lines.flush()
    if how == "pulled":
        folder.rename(tmp_path / "gone")
    elif how == "moved":
        path.rename(folder / "b.csv")
    else:
        path.unlink()
    if how == "replaced":
        path.write_text("somebody else's")
    lines.add("two\n")
    with pytest.raises(OutputError, match="removed or moved while it was written"):
        lines.flush()
    lines.close()
    if how == "replaced":
        assert path.read_text() == "somebody else's"


def test_lines_reach_a_file_that_stays_whole(tmp_path):
    path = tmp_path / "a.csv"
    lines = LineFile(path, "head\n")
    for n in range(3):
        lines.add(f"{n}\n")
        lines.flush()
    lines.close()
    assert path.read_text() == "head\n0\n1\n2\n"
    assert path.stat().st_size == 11
