import dataclasses
import hashlib
import os
import subprocess
import zipfile

import pytest

from affect_engines import store
from affect_engines.cards import card_of_file, list_cards, load_card
from affect_engines.errors import ModelError

FETCHED = [name for name in list_cards() if not load_card(name).shipped]
CONTENTS = {name: f"network {name}".encode() for name in FETCHED}
FILES = [
    form
    for name in list_cards()
    if load_card(name).has_file
    for form in load_card(name).all_forms()
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty model folder, and cards whose hashes are those of CONTENTS."""
    folder = tmp_path / "models"
    monkeypatch.setenv(store.ENVIRONMENT, str(folder))

    def small_card(name):
        if name not in CONTENTS:
            return load_card(name)
        digest = hashlib.sha256(CONTENTS[name]).hexdigest()
        return dataclasses.replace(load_card(name), sha256=digest)

    monkeypatch.setattr(store, "load_card", small_card)
    return folder


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        pytest.fail("the network was used")

    monkeypatch.setattr(subprocess, "run", refuse)


def make_wheel(path, contents=CONTENTS, extra=()):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(load_card(name).member, content)
        for name in extra:
            archive.writestr(name, b"evil")
    return path


def fill(folder):
    folder.mkdir(exist_ok=True)
    for name, content in CONTENTS.items():
        (folder / load_card(name).file).write_bytes(content)


def test_the_environment_names_the_folder(folder):
    assert store.models_folder() == folder


def test_without_the_environment_the_user_cache_is_used(monkeypatch, tmp_path):
    monkeypatch.delenv(store.ENVIRONMENT, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert store.models_folder() == tmp_path / "realtime-affect" / "models"


def test_a_missing_file_says_how_to_provide_it_with_and_without_network(folder):
    with pytest.raises(ModelError) as caught:
        store.model_path(store.load_card("face_mesh"))
    message = str(caught.value)
    for part in (
        "face_landmark.tflite",
        "models fetch",
        "--wheel FILE",
        "mediapipe-0.10.21",
        str(folder),
    ):
        assert part in message
    assert caught.value.exit_code == 5


def test_a_right_file_is_given(folder):
    fill(folder)
    assert store.model_path(store.load_card("iris")) == folder / "iris_landmark.tflite"
    assert len(store.verify_models()) == len(FILES)


@pytest.mark.survival(26, 27)
def test_a_flipped_bit_is_refused_with_both_hashes(folder):
    fill(folder)
    path = folder / "iris_landmark.tflite"
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)
    card = store.load_card("iris")
    with pytest.raises(ModelError, match=card.sha256) as caught:
        store.model_path(card)
    assert hashlib.sha256(content).hexdigest() in str(caught.value)
    with pytest.raises(ModelError, match="iris"):
        store.verify_models()


def test_a_file_cut_short_is_refused(folder):
    fill(folder)
    path = folder / "face_landmark.tflite"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match="SHA-256"):
        store.model_path(store.load_card("face_mesh"))


def test_the_list_tells_right_missing_and_damaged_apart(folder):
    fill(folder)
    (folder / "iris_landmark.tflite").unlink()
    (folder / "face_landmark.tflite").write_bytes(b"other")
    states = {model.card.name: model.state for model in store.list_models()}
    assert states == {
        "action_units": "ok",
        "blazeface_full": "ok",
        "blazeface_short": "ok",
        "eye_live": "ok",
        "face_mesh": "damaged",
        "htnet_live": "ok",
        "ifdd_stream": "ok",
        "iris": "missing",
    }


def test_a_wheel_fills_the_folder_without_network(folder, tmp_path, no_network):
    said = []
    paths = store.fetch_models(make_wheel(tmp_path / "a.whl"), said.append)
    placed = [path for path in paths if path.parent == folder]
    assert [path.read_bytes() for path in placed] == list(CONTENTS.values())
    assert len(said) == 4
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in placed)


def test_a_folder_with_the_files_serves_as_well(folder, tmp_path, no_network):
    given = tmp_path / "given"
    fill(given)
    store.fetch_models(given)
    assert store.verify_models()


def test_files_in_place_need_no_network(folder, no_network):
    fill(folder)
    assert len(store.fetch_models()) == len(FILES)


def test_damaged_files_are_replaced(folder, tmp_path):
    fill(folder)
    (folder / "iris_landmark.tflite").write_bytes(b"other")
    store.fetch_models(make_wheel(tmp_path / "a.whl"))
    assert store.verify_models()


def test_a_wheel_with_another_file_inside_is_refused_and_nothing_of_it_kept(folder, tmp_path):
    wheel = make_wheel(tmp_path / "a.whl", {**CONTENTS, "iris": b"other"})
    with pytest.raises(ModelError, match=r"iris_landmark\.tflite.*SHA-256"):
        store.fetch_models(wheel)
    assert not (folder / "iris_landmark.tflite").exists()


def test_a_wheel_without_the_files_is_refused(folder, tmp_path):
    with pytest.raises(ModelError, match=r"face_detection.*mediapipe-0\.10\.21"):
        store.fetch_models(make_wheel(tmp_path / "a.whl", {}))


@pytest.mark.parametrize("content", [None, b"", b"no archive"])
def test_a_wheel_that_cannot_be_read_is_refused(folder, tmp_path, content):
    wheel = tmp_path / "a.whl"
    if content is not None:
        wheel.write_bytes(content)
    with pytest.raises(ModelError, match=r"a\.whl"):
        store.fetch_models(wheel)


def test_a_damaged_member_is_refused(folder, tmp_path):
    wheel = make_wheel(tmp_path / "a.whl")
    content = wheel.read_bytes()
    wheel.write_bytes(content.replace(CONTENTS["blazeface_full"], b"network blazeface_fuLL"))
    with pytest.raises(ModelError, match=r"a\.whl"):
        store.fetch_models(wheel)


def test_a_folder_without_the_files_is_refused(folder, tmp_path):
    with pytest.raises(ModelError, match=r"\.tflite"):
        store.fetch_models(tmp_path)


def test_names_inside_a_wheel_decide_nothing_about_where_files_go(folder, tmp_path):
    wheel = make_wheel(
        tmp_path / "a.whl", extra=["../../escaped.txt", "/escaped.txt", "iris_landmark.tflite"]
    )
    store.fetch_models(wheel)
    assert len(list(folder.iterdir())) == 4
    assert not list(tmp_path.rglob("escaped.txt"))


def test_a_folder_that_cannot_be_made_is_said(tmp_path, folder, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv(store.ENVIRONMENT, str(tmp_path / "file" / "models"))
    with pytest.raises(ModelError, match=store.ENVIRONMENT):
        store.fetch_models(make_wheel(tmp_path / "a.whl"))


def test_nothing_half_written_stays_when_the_disk_is_full(folder, tmp_path, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.Path, "replace", full)
    with pytest.raises(ModelError, match="No space left"):
        store.fetch_models(make_wheel(tmp_path / "a.whl"))
    assert list(folder.iterdir()) == []


def test_offline_the_error_gives_the_way_by_hand(folder, monkeypatch):
    def no_route(command, **_):
        assert "--no-deps" in command
        assert "mediapipe==0.10.21" in command
        return subprocess.CompletedProcess(command, 1, "", "WARNING: retry\nERROR: no route\n")

    monkeypatch.setattr(subprocess, "run", no_route)
    with pytest.raises(ModelError, match=r"ERROR: no route.*--wheel FILE"):
        store.fetch_models()


def test_a_download_without_end_is_given_up(folder, monkeypatch):
    def hang(command, timeout, **_):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(ModelError, match=r"timed out.*--wheel FILE"):
        store.fetch_models()


def test_a_download_fills_the_folder(folder, monkeypatch):
    def download(command, **_):
        target = store.Path(command[command.index("--dest") + 1])
        make_wheel(target / "mediapipe-0.10.21-any.whl")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", download)
    assert len(store.fetch_models()) == len(FILES)


def test_a_shipped_network_lies_in_the_package_and_is_never_fetched(folder, tmp_path, no_network):
    card = load_card("action_units")
    path = store.model_path(card)
    assert folder not in path.parents
    store.fetch_models(make_wheel(tmp_path / "a.whl"))
    assert not (folder / card.file).exists()


def test_a_damaged_shipped_network_asks_for_a_new_installation(folder):
    card = dataclasses.replace(load_card("action_units"), sha256="0" * 64)
    with pytest.raises(ModelError, match=r"SHA-256.*pip install --force-reinstall"):
        store.model_path(card)


@pytest.mark.parametrize(("kind", "said"), [
    ("FIFO", "a FIFO, not a file"),
    ("device", "a device, not a file"),
    ("folder", "a folder, not a file"),
    ("12 GB", "12000 MB, more than the 67 MB allowed"),
])  # fmt: skip
def test_what_is_no_file_of_a_sane_size_is_refused_before_it_is_read(folder, kind, said):
    fill(folder)
    path = folder / "iris_landmark.tflite"
    path.unlink()
    spoil(path, kind)
    with pytest.raises(ModelError, match=said):
        store.read_model(store.load_card("iris"))
    states = {model.card.name: model.state for model in store.list_models()}
    assert states["iris"] == "damaged"


@pytest.mark.parametrize("kind", ["FIFO", "device", "folder", "12 GB"])
def test_nor_is_it_taken_for_a_network_of_one_s_own(tmp_path, kind):
    path = tmp_path / "mine.onnx"
    spoil(path, kind)
    with pytest.raises(ModelError, match=r"mine\.onnx: got (a|12000)"):
        card_of_file(path)


@pytest.mark.parametrize("kind", ["FIFO", "device", "12 GB"])
def test_nor_for_a_wheel(folder, tmp_path, kind, no_network):
    spoil(tmp_path / "a.whl", kind)
    with pytest.raises(ModelError, match=r"a\.whl: got (a|12000)"):
        store.fetch_models(tmp_path / "a.whl")


def test_of_an_entry_of_a_wheel_no_more_is_unpacked_than_a_network_can_have(
    folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(store, "_MOST_BYTES_OF_A_CARD", 10)
    with pytest.raises(ModelError, match="SHA-256"):
        store.fetch_models(make_wheel(tmp_path / "a.whl"))
    assert not list(folder.glob("*"))


@pytest.mark.survival(27)
def test_the_bytes_that_were_checked_are_those_that_are_used(folder, monkeypatch):
    """Whatever comes to lie in the file's place after it was read."""
    fill(folder)
    path = folder / "iris_landmark.tflite"
    read = store.read_file

    def read_then_swap(*arguments):
        content = read(*arguments)
        path.write_bytes(b"another network")
        return content

    monkeypatch.setattr(store, "read_file", read_then_swap)
    assert store.read_model(store.load_card("iris")) == CONTENTS["iris"]


def spoil(path, kind):
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as stream:
            stream.truncate(12_000_000_000)
