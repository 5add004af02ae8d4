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


def test_a_plan_that_everybody_may_write_is_refused():
    path = store_plan(KEY, "units", b"plan", 1.0).path
    assert path.stat().st_mode & 0o777 == 0o644
    path.chmod(0o666)
    with pytest.raises(ModelError, match="everybody may write"):
        read_plan(KEY, "units")


def test_a_plan_whose_side_file_is_of_another_one_is_refused(folder):
    path = store_plan(KEY, "units", b"plan", 1.0).path
    side = path.with_name(path.name + ".json")
    side.write_text(side.read_text().replace("Some GPU", "Other GPU"))
    with pytest.raises(ModelError, match="got none for fp16"):
        read_plan(KEY, "units")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 0}', "\udcff"])
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
