import os
from dataclasses import replace

import pytest

from affect_engines.errors import ModelError
from affect_engines.trt import plans
from affect_engines.trt.plans import (
    PlanKey,
    clear_plans,
    has_plan,
    list_plans,
    read_plan,
    store_plan,
)

KEY = PlanKey("ab" * 32, "10.16.1.11", "Some GPU", "8.7", "fp16", 8)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(plans.ENVIRONMENT, str(tmp_path / "engines"))
    return tmp_path / "engines"


def test_without_the_variable_plans_are_kept_in_the_user_s_cache(monkeypatch, tmp_path):
    monkeypatch.delenv(plans.ENVIRONMENT)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert plans.plans_folder() == tmp_path / "realtime-affect" / "engines"


def test_a_stored_plan_is_read_back(folder):
    stored = store_plan(KEY, "units", b"plan", 12.34)
    assert has_plan(KEY, "units")
    assert read_plan(KEY, "units") == b"plan"
    (found,) = list_plans()
    assert (found.key, found.model, found.state, found.built_s) == (KEY, "units", "ok", 12.3)
    assert found.path == stored.path


@pytest.mark.parametrize("change", list(KEY.__dataclass_fields__))
def test_a_plan_of_any_other_key_is_not_used(change):
    store_plan(KEY, "units", b"plan", 1.0)
    other = replace(KEY, **{change: 9 if change == "max_batch" else "another"})
    assert not has_plan(other, "units")
    assert KEY.differs(other) == (f"{change} {getattr(KEY, change)}, not {getattr(other, change)}",)
    with pytest.raises(ModelError, match="engines build units --precision"):
        read_plan(other, "units")


def test_a_plan_that_was_changed_is_refused_before_anything_reads_it(folder):
    path = store_plan(KEY, "units", b"plan", 1.0).path
    path.write_bytes(b"plax")
    with pytest.raises(ModelError, match=r"SHA-256.*It is not used") as caught:
        read_plan(KEY, "units")
    assert caught.value.exit_code == 5
    assert list_plans()[0].state == "damaged"


@pytest.mark.parametrize("mode", [0o664, 0o646])
@pytest.mark.parametrize("which", ["plan", "side"])
@pytest.mark.survival(27)
def test_a_plan_that_others_may_write_is_refused(mode, which):
    path = store_plan(KEY, "units", b"plan", 1.0).path
    file = path if which == "plan" else path.with_name(path.name + ".json")
    assert file.stat().st_mode & 0o777 == 0o644
    file.chmod(mode)
    with pytest.raises(ModelError, match=rf"writable by others \(mode {mode:04o}\).*Delete it"):
        read_plan(KEY, "units")
    assert list_plans()[0].state == "damaged"


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_a_folder_that_others_may_write_is_refused_for_reading_and_writing(folder, mode):
    store_plan(KEY, "units", b"plan", 1.0)
    plans.store_timings("10.16", "A GPU", b"times")
    folder.chmod(mode)
    for use in (
        lambda: read_plan(KEY, "units"),
        lambda: store_plan(KEY, "units", b"plan", 1.0),
        plans.require_safe_folder,
    ):
        with pytest.raises(ModelError, match=f"chmod go-w {folder}, or name another one with"):
            use()
    assert list_plans() == () or list_plans()[0].state == "damaged"
    assert plans.read_timings("10.16", "A GPU") == b""


def test_the_folder_is_made_so_that_nobody_else_may_write(folder, monkeypatch):
    before = os.umask(0)
    try:
        store_plan(KEY, "units", b"plan", 1.0)
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o755
    assert read_plan(KEY, "units") == b"plan"


def test_files_and_folders_of_another_user_are_refused(folder, monkeypatch):
    path = store_plan(KEY, "units", b"plan", 1.0).path
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    if me:
        with pytest.raises(ModelError, match=f"owned by user {me}"):
            read_plan(KEY, "units")
        return
    assert read_plan(KEY, "units") == b"plan"  # root's are everybody's
    os.chown(path, me + 2, -1)
    with pytest.raises(ModelError, match=f"owned by user {me + 2}"):
        read_plan(KEY, "units")
    os.chown(folder, me + 2, -1)
    with pytest.raises(ModelError, match=f"owned by user {me + 2}.*chmod"):
        read_plan(KEY, "units")


def test_a_folder_in_one_that_everybody_may_write_is_refused(folder):
    store_plan(KEY, "units", b"plan", 1.0)
    folder.parent.chmod(0o777)
    with pytest.raises(ModelError, match="which others may change"):
        read_plan(KEY, "units")
    folder.parent.chmod(0o1777)  # as /tmp is
    assert read_plan(KEY, "units") == b"plan"


def test_a_fifo_in_the_place_of_a_plan_or_of_its_side_file_waits_for_nobody(folder):
    path = store_plan(KEY, "units", b"plan", 1.0).path
    side = path.with_name(path.name + ".json")
    side.unlink()
    os.mkfifo(side)
    assert list_plans() == ()
    with pytest.raises(ModelError, match="got none for fp16"):
        read_plan(KEY, "units")


@pytest.mark.survival(27)
def test_a_plan_whose_side_file_is_of_another_one_is_refused(folder):
    path = store_plan(KEY, "units", b"plan", 1.0).path
    side = path.with_name(path.name + ".json")
    side.write_text(side.read_text().replace("Some GPU", "Other GPU"))
    with pytest.raises(ModelError, match="got none for fp16"):
        read_plan(KEY, "units")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 0}', "\udcff", "[" * 9999])
def test_a_side_file_that_says_nothing_is_passed_over(folder, text):
    path = store_plan(KEY, "units", b"plan", 1.0).path
    side = path.with_name(path.name + ".json")
    side.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert list_plans() == ()
    with pytest.raises(ModelError):
        read_plan(KEY, "units")


def test_a_plan_that_is_gone_is_told():
    store_plan(KEY, "units", b"plan", 1.0).path.unlink()
    assert list_plans()[0].state == "missing"
    assert not has_plan(KEY, "units")


def test_clearing_takes_the_plans_of_a_model_or_everything_of_ours(folder):
    store_plan(KEY, "units", b"plan", 1.0)
    other = store_plan(KEY, "looks", b"plan", 1.0).path
    plans.store_timings("10.16", "Some GPU", b"times")
    (folder / "of the user.txt").write_text("kept")
    assert [path.name.split("-")[0] for path in clear_plans(["units"])] == ["units"]
    assert other.exists()
    gone = clear_plans()
    assert other in gone
    assert len(gone) == 2
    assert [path.name for path in folder.iterdir()] == ["of the user.txt"]
    assert clear_plans() == ()


def test_timings_are_used_only_whole(folder):
    assert plans.read_timings("10.16", "A GPU / B") == b""
    plans.store_timings("10.16", "A GPU / B", b"times")
    assert plans.read_timings("10.16", "A GPU / B") == b"times"
    assert plans.read_timings("10.17", "A GPU / B") == b""
    (path,) = folder.glob("*.timing")
    path.write_bytes(b"other")
    assert plans.read_timings("10.16", "A GPU / B") == b""


def test_a_folder_that_cannot_be_made_is_told_with_the_variable(folder):
    folder.write_text("a file in its place")
    with pytest.raises(ModelError, match=plans.ENVIRONMENT):
        store_plan(KEY, "units", b"plan", 1.0)
