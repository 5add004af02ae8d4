"""README cannot say what is not so: its examples run, its names exist, its tables are complete."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from affect_kernels.errors import AffectError

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    """Return the fenced blocks of `language`, each under the line it begins in."""
    found = re.finditer(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    return [
        pytest.param(match[1], id=f"line {README[: match.start()].count(chr(10)) + 1}")
        for match in found
    ]


def table(header):
    """Return the rows of the table whose first line begins with `header`, as cells."""
    lines = README.splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith(header))
    rows = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            return rows
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def commands(pattern):
    """Return what follows `pattern` in shell examples and in `code`."""
    return set(re.findall(rf"(?:^|`){pattern} ([a-z-]+)", README, re.MULTILINE))


@pytest.mark.timeout(600)  # whole clips, on a machine that may be busy
@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("code", blocks("python"))
def test_every_python_example_runs_and_says_something(code, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {"__name__": "example"})
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("text", blocks("toml"))
def test_every_settings_example_is_accepted_and_changes_what_it_names(text, tmp_path):
    from realtime_affect.config import Config, load_config

    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    assert load_config(tmp_path / "config.toml") != Config()


def test_every_section_of_the_settings_is_named():
    from realtime_affect.config import Config

    (line,) = re.findall(r"The sections\s+are (.*?);", README, re.DOTALL)
    assert re.findall(r"`(\w+)`", line) == list(Config().as_dict())


def test_the_table_of_columns_is_complete_and_in_order():
    from realtime_affect.outputs.csv_rows import COLUMNS

    named = []
    for first, _ in table("| columns |"):
        names = re.findall(r"`(\w+)`", first)
        if " to " in first:
            start, end = (COLUMNS.index(name) for name in names)
            names = COLUMNS[start : end + 1]
        named += names
    assert named == list(COLUMNS)


def test_the_table_of_units_names_every_unit_and_which_are_never_known():
    from affect_engines import load_card
    from realtime_affect.names import AU_OCCURRENCES

    rows = table("| unit |")
    units = load_card("action_units").units
    assert [row[0] for row in rows] == list(AU_OCCURRENCES)
    unknown = {name for name, unit in units.items() if unit.trust == "none"}
    assert {row[0] for row in rows if "always empty" in row[2]} == unknown


def test_the_table_of_exit_codes_names_every_error_s_code():
    from realtime_affect import errors

    codes = {
        kind.exit_code
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, AffectError)
    }
    assert {int(row[0]) for row in table("| exit code |")} == codes | {0, 130}


def test_every_command_and_option_exists():
    from typer.main import get_command

    from realtime_affect.cli.main import app

    group = get_command(app)
    assert commands("realtime-affect") == set(group.commands)
    options = {"--help"}
    inner = [
        *group.commands["models"].commands.values(),
        *group.commands["engines"].commands.values(),
    ]
    for command in [*group.commands.values(), *inner]:
        options |= {text for parameter in command.params for text in parameter.opts}
    used = set(re.findall(r"`(--[a-z-]+)", README)) | set(
        re.findall(r"realtime-affect [^`\n#]*?(--?[a-z]+)\b", README)
    )
    assert used
    assert used - options - {"-affect"} == set()
    assert "list|verify|fetch" in README
    assert set(group.commands["models"].commands) == {"list", "verify", "fetch"}
    assert "engines build|list|verify|clear" in README
    assert set(group.commands["engines"].commands) == {"build", "list", "verify", "clear"}


def test_what_has_run_on_a_gpu_is_said_as_the_code_says_it():
    from affect_engines.cards import ran_by_tensorrt

    ran = ran_by_tensorrt()
    assert ("no version of TensorRT has run a plan of ours yet" in README) is (not ran)
    assert [version for version in ran if version not in README] == []


def test_every_chore_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    chores = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert commands("make") >= {"run", "test"}
    assert commands("make") - chores == set()


def test_every_key_of_the_window_is_named():
    cards = pytest.importorskip(
        "affect_gui.cards", reason="PyQt6 is not here", exc_type=ImportError
    )
    keys = {key for key, _ in cards.KEYS if re.fullmatch(r"[A-Z]|Space", key)}
    assert keys <= set(re.findall(r"<kbd>(\w+)</kbd>", README))


def test_every_link_to_a_file_of_ours_leads_somewhere():
    links = re.findall(r'\]\(([^)#:]+)\)|src="([^":]+)"', README)
    assert links
    assert [name for pair in links for name in pair if name and not (ROOT / name).exists()] == []


def test_figures_stand_only_between_the_markers_the_records_fill():
    for name in ("peer", "latency", "soak"):
        assert re.search(
            rf"^<!-- {name} -->\n.*?\n<!-- /{name} -->$", README, re.DOTALL | re.MULTILINE
        ), name
    typed = re.sub(r"<!-- (\w+) -->.*?<!-- /\1 -->", "", README, flags=re.DOTALL)
    assert not re.search(r"\d\s*(ms|fps|milliseconds?)\b", typed)
