"""The timeline: what a recording becomes, however long, empty or broken."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from realtime_affect.errors import InputError, OutputError
from realtime_affect.timeline import plot as timeline
from realtime_affect.timeline import plot_timeline
from tests.realtime_affect.timeline.test_strips import brief, outage, row, watched, write


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draw rows; return the image, its words, and what was pooled."""
    kept = {}
    draw = timeline._draw

    def spy(strips, title):
        figure = draw(strips, title)
        texts = [text.get_text() for text in figure.texts]
        for axes in figure.axes:
            texts += [text.get_text() for text in axes.texts]
        kept.update(strips=strips, words="\n".join(texts))
        return figure

    monkeypatch.setattr(timeline, "_draw", spy)

    def plot(rows, name="clip.csv"):
        png = tmp_path / "timeline.png"
        plot_timeline(write(tmp_path / name, rows), png)
        picture = cv2.imread(str(png))
        assert picture is not None
        return picture, kept["words"], kept["strips"]

    return plot


def test_two_faces_become_two_blocks_named_by_their_ids(drawn):
    rows = [row(n + 1, face, n / 25) for n in range(50) for face in (1, 3)]
    one, _, _ = drawn([r for r in rows if ",3," not in r[:6]])
    two, words, strips = drawn(rows)
    assert two.shape[0] > 1.5 * one.shape[0]
    assert {"#1", "#3"} <= set(words.split("\n"))
    assert "clip.csv" in words
    assert "50 frames" in words
    assert sorted(strips.faces) == [1, 3]


def test_of_many_faces_the_longest_in_view_are_drawn_and_the_rest_counted(drawn):
    rows = [row(n + 1, face, n / 25) for n in range(30) for face in range(1, 10) if n >= 2 * face]
    _, words, _ = drawn(rows)
    shown = {line for line in words.split("\n") if line.startswith("#")}
    assert shown == {f"#{n}" for n in range(1, 7)}
    assert "3 are left out" in words


def test_a_recording_without_faces_gives_a_picture_that_says_so(drawn):
    picture, words, _ = drawn([row(n + 1, 0, n / 25) for n in range(10)])
    assert "No face was seen" in words
    assert picture.min() < 200


@pytest.mark.parametrize("rows", [[], [row(1, 1, 0.0)], [row(1, 1, 5.0), row(1, 2, 5.0)]])
def test_no_row_or_one_moment_is_enough(drawn, rows):
    picture, _, _ = drawn(rows)
    assert picture.size


def test_gaps_stay_gaps_and_are_named(drawn):
    rows = [row(n + 1, 1 if n < 30 or n >= 70 else 0, n / 25) for n in range(100)]
    _, words, strips = drawn(rows)
    seen = np.isfinite(strips.faces[1].units).any(axis=1)
    assert seen[:30].all()
    assert not seen[31:69].any()
    assert seen[70:].all()
    assert "not in view" in words


def test_blinks_are_counted_once_each(drawn):
    closed = {10, 11, 12, 30, 31}
    rows = [
        row(n + 1, 1, n / 25, {"AU45": 4.0 if n in closed else 0.2, "AU12": 0.0}) for n in range(50)
    ]
    _, words, strips = drawn(rows)
    assert strips.faces[1].blinks == pytest.approx([10 / 25, 30 / 25])
    assert "2 blinks" in words


def test_strange_file_names_are_only_text(drawn):
    _, words, _ = drawn([row(1, 1, 0.0)], name="a $x^2$ 映画 _clip_.csv")
    assert "a $x^2$" in words


def test_the_same_rows_give_the_same_picture(drawn):
    rows = [row(n + 1, 1, n / 25, {"AU12": n % 5, "AU01": 1.0}) for n in range(40)]
    assert (drawn(rows)[0] == drawn(rows)[0]).all()


def test_a_picture_that_cannot_be_written_is_said(tmp_path):
    path = write(tmp_path / "clip.csv", [row(1, 1, 0.0)])
    with pytest.raises(OutputError, match="timeline"):
        plot_timeline(path, tmp_path / "no folder" / "t.png")


def test_a_csv_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(InputError, match="none"):
        plot_timeline(tmp_path / "none.csv", tmp_path / "t.png")


def test_an_outage_is_named_and_so_is_hatching(drawn):
    _, words, _ = drawn(outage())
    assert "no images for 30.0 s" in words
    assert "no images" in words.split("\n")
    assert "not in view" not in words
    assert "hatched: not measured" in words


@pytest.mark.parametrize(
    ("times", "value"),
    [([5.0] * 5, 1.0), ([0.0], 1.0), ([0.3, 0.2, 0.1], 1.0), ([0.0, 0.1, 0.2], "inf")],
    ids=["one moment", "one frame", "backwards", "infinite"],
)
def test_odd_times_and_numbers_still_give_a_picture(drawn, times, value):
    picture, words, _ = drawn([row(n, 1, t, {"AU12": value}) for n, t in enumerate(times)])
    assert picture.size
    assert "#1" in words


def test_expressions_are_drawn_by_name_and_their_probability(drawn):
    rows = [row(n + 1, 1, n / 25, shares=(0.9, *[0.1 / 7] * 7)) for n in range(50)]
    told, _, _ = drawn(rows)
    silent, _, _ = drawn([row(n + 1, 1, n / 25) for n in range(50)])
    assert told.shape == silent.shape
    assert (told != silent).any()


def test_brief_movements_are_spikes_with_a_legend_of_their_classes(drawn):
    events = [brief(0.2, 0.7, 0.1, 0.1), brief(1.0, 0.1, 0.2, 0.2), brief(1.6, 0.7, 0.1, 0.1)]

    def rows(told):
        return [row(n + 1, 1, n / 25, micro=watched(n / 25, told)) for n in range(60)]

    three, words, _ = drawn(rows(events))
    assert {"3 micro-expressions", "▲ 2 negative", "▲ 1 of no class"} <= set(words.split("\n"))
    none, words, _ = drawn(rows([]))
    assert "no micro-expressions" in words.split("\n")
    assert three.shape == none.shape
    blue = np.array([178, 114, 0])

    def spikes(picture):
        strip = picture[int(0.66 * picture.shape[0]) : int(0.7 * picture.shape[0])]
        return int((np.abs(strip.astype(int) - blue).max(axis=2) < 8).sum())

    assert spikes(three) > 50
    assert spikes(none) == 0


def test_a_recording_in_which_nobody_looked_for_brief_movements_does_not_speak_of_them(drawn):
    _, words, _ = drawn([row(n + 1, 1, n / 25) for n in range(50)])
    assert "brief" not in words
