"""Sessions on the disk: begun, finished, found, noted, deleted."""

from __future__ import annotations

import pytest

from realtime_affect.errors import InputError, InputMissingError, OutputError
from realtime_affect.sessions import Session, SessionStore, sessions_folder


def test_a_session_says_of_what_with_what_and_how_it_ended(record):
    session = record(participant="Pérez")
    assert session.outcome == "complete"
    assert session.participant == "Pérez"
    assert session.content["models"] == {"action_units": "abc"}
    assert session.about["clock"]["monotonic_ns"] > 0
    (entry,) = session.content["inputs"]
    assert entry["frames"] == 24
    assert entry["sinks"]["video"]["written"] == 24
    assert entry["drops"] == {"results": 0, "video": 0}
    assert (session.folder / "session.json").stat().st_mode & 0o077 == 0


def test_names_notes_and_markers_are_kept_and_found_again(record):
    session = record(4)
    session.note(names={1: "Anna"}, notes="quiet", markers=[[7_000_000_000, "stimulus"]])
    again = Session(session.folder)
    assert again.names == {1: "Anna"}
    assert again.notes == "quiet"
    assert [(m.t_ns, m.text) for m in again.markers] == [(7_000_000_000, "stimulus")]


def test_two_sessions_of_one_second_have_folders_of_their_own(store, record, monkeypatch):
    folders = {store.new_folder("camera 0/1").name for _ in range(3)}
    assert len(folders) == 3
    assert all("/" not in name and " " not in name for name in folders)


def test_sessions_are_listed_newest_first_and_by_participant(store, record):
    first = record(2, participant="A")
    second = record(2, participant="B")
    (store.root / "no session").mkdir()
    assert {s.name for s in store} == {first.name, second.name}
    assert set(store.participants()) == {"A", "B"}
    assert list(SessionStore(store.root / "nothing")) == []


def test_a_session_and_a_participant_are_deleted_with_all_that_belongs_to_them(store, record):
    first, second, other = (record(2, participant=p) for p in ("A", "A", "B"))
    store.delete(first)
    assert not first.folder.exists()
    assert store.delete_participant("A") == 1
    assert not second.folder.exists()
    assert [s.name for s in store] == [other.name]
    assert [p.name for p in store.root.iterdir()] == [other.name]


def test_a_session_under_way_or_elsewhere_is_not_deleted(store, record, tmp_path):
    recorder = record(2, finish=False)
    assert recorder.session.in_use
    with pytest.raises(InputError, match="being recorded"):
        store.delete(recorder.session)
    session = recorder.finish()
    with pytest.raises(InputError, match="not in"):
        SessionStore(tmp_path / "elsewhere").delete(session)


def test_a_participant_under_way_keeps_every_session(store, record):
    first = record(2, participant="A")
    recorder = record(2, finish=False, participant="A")
    with pytest.raises(InputError, match="being recorded"):
        store.delete_participant("A")
    assert first.folder.exists()
    recorder.finish()


def test_what_a_deletion_left_that_was_cut_short_goes_with_the_next(store, record):
    left, session = record(2), record(2)
    left.folder.rename(store.root / f".deleted-{left.name}")
    assert [s.name for s in store] == [session.name]
    store.delete(session)
    assert list(store.root.iterdir()) == []


def test_what_is_no_session_or_a_damaged_one_is_said(tmp_path):
    with pytest.raises(InputMissingError):
        Session(tmp_path)
    (tmp_path / "session.json").write_text("{}")
    with pytest.raises(InputError, match="the record of a session"):
        Session(tmp_path)


def test_a_folder_that_cannot_be_created_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="REALTIME_AFFECT_SESSIONS"):
        SessionStore(tmp_path / "file").new_folder("camera0")


def test_the_place_of_sessions_can_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv("REALTIME_AFFECT_SESSIONS", str(tmp_path))
    assert sessions_folder() == tmp_path
    monkeypatch.delenv("REALTIME_AFFECT_SESSIONS")
    assert sessions_folder().name == "realtime-affect"
