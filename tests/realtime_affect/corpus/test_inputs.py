import os

import pytest

from realtime_affect.corpus.inputs import find_corpus
from realtime_affect.errors import UsageError


def tree(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def found(tmp_path, *sources):
    return find_corpus([*sources], tmp_path / "out")


def names(result):
    return [one.name for one in result.inputs]


def test_a_folder_is_searched_with_all_below_it_and_mirrored(tmp_path):
    root = tree(tmp_path / "in", "b.mp4", "x/a.mp4", "x/y/a.mp4", ".hidden/c.mp4", "notes.pdf")
    result = found(tmp_path, root)
    assert names(result) == ["b.mp4", "x/a.mp4", "x/y/a.mp4"]
    assert result.left_out == (f"in {root}, neither video nor image: notes.pdf",)


def test_folders_files_and_patterns_mirror_the_deepest_folder_above_them_all(tmp_path):
    tree(tmp_path, "in/p/a.mp4", "in/q/a.mp4", "in/q/r/b.avi", "in/q/r/c.pdf", "in/z.mkv")
    given = [tmp_path / "in/p", str(tmp_path / "in/q/**/*.*"), tmp_path / "in/z.mkv"]
    result = found(tmp_path, *given)
    assert names(result) == ["p/a.mp4", "q/a.mp4", "q/r/b.avi", "z.mkv"]
    assert names(found(tmp_path, given[1])) == ["a.mp4", "r/b.avi"]
    assert any("c.pdf" in text for text in result.left_out)


def test_lists_and_manifests_count_paths_from_their_own_folder_and_keep_metadata(tmp_path):
    tree(tmp_path, "in/a.mp4", "in/b.mp4", "in/c/d.mp4")
    (tmp_path / "in/list.txt").write_text("b.mp4\n\nc\n")
    (tmp_path / "in/study.csv").write_text(
        '\ufeffpath,group,session\na.mp4,"x, ä",1\ngone.mp4,y,2\n', encoding="utf-8"
    )
    result = found(tmp_path, tmp_path / "in/study.csv", tmp_path / "in/list.txt")
    assert result.columns == ("group", "session")
    by_name = {one.name: one for one in result.inputs}
    assert set(by_name) == {"a.mp4", "gone.mp4", "b.mp4", "c/d.mp4"}
    assert by_name["a.mp4"].metadata == {"group": "x, ä", "session": "1"}
    assert by_name["b.mp4"].metadata == {"group": "", "session": ""}
    assert "no such file" in str(by_name["gone.mp4"].error)
    assert by_name["gone.mp4"].metadata["group"] == "y"


def test_the_images_of_a_folder_are_one_input_whose_name_is_no_other_s(tmp_path):
    root = tree(tmp_path / "in", "s/1.png", "s/2.png", "s/images/v.mp4", "t/1.jpg")
    result = found(tmp_path, root)
    assert names(result) == ["s/images/v.mp4", "s/images-2", "t/images"]
    stills = result.inputs[1]
    assert (stills.stills, stills.frames, len(stills.paths)) == (True, 2, 2)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["A.mp4", "a.mp4"], ["A.mp4", "a.mp4-2"]),
        (["corpus.json/a.mp4"], ["corpus.json-2/a.mp4"]),
        (["a.mp4/b.mp4", "a.MP4"], ["a.MP4-2", "a.mp4/b.mp4"]),
    ],
)
def test_no_two_places_are_one_where_capitals_do_not_count(tmp_path, files, expected):
    found_names = names(found(tmp_path, tree(tmp_path / "in", *files, "z.mp4")))
    assert [name for name in found_names if name != "z.mp4"] == expected


def test_an_input_is_taken_once_and_results_are_not_searched(tmp_path):
    root = tree(tmp_path / "in", "a.mp4", "out/a.mp4/a.annotated.mp4")
    (root / "link.mp4").symlink_to(root / "a.mp4")
    result = find_corpus([root, root / "a.mp4"], root / "out")
    assert names(result) == ["a.mp4"]
    assert len([text for text in result.left_out if "the same file" in text]) == 2


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("gone", "no such file or folder"),
        ("empty", "no video and no image"),
        ("none-*.mp4", "no such file or folder"),
        ("pipe.mp4", "neither a file nor a folder"),
        ("binary.txt", "codec can't decode"),
    ],
)
def test_a_source_that_is_no_input_is_an_entry_with_its_reason(tmp_path, source, reason):
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    (one,) = found(tmp_path, tmp_path / source).inputs
    assert reason in str(one.error)


def test_an_address_is_refused_as_it_cannot_be_read_again(tmp_path):
    (one,) = found(tmp_path, "https://user:secret@example.org/a.mp4").inputs
    assert "an address" in str(one.error)
    assert "secret" not in one.name + str(one.error)


@pytest.mark.parametrize(
    ("head", "reason"),
    [("file,group", "a column path"), ("path,AU12_r", "AU12_r"), ("path,a,a", "two of one name")],
)
def test_a_manifest_that_cannot_be_kept_is_refused_with_its_column(tmp_path, head, reason):
    (tmp_path / "m.csv").write_text(head + "\n")
    with pytest.raises(UsageError, match=reason):
        found(tmp_path, tmp_path / "m.csv")


def test_no_source_and_results_over_inputs_are_refused(tmp_path):
    with pytest.raises(UsageError, match="none"):
        found(tmp_path)
    root = tree(tmp_path / "in", "a.mp4")
    with pytest.raises(UsageError, match="the folder of the input"):
        find_corpus([root / "a.mp4"], root)
