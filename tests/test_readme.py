"""README and docs/ cannot say what is not so: examples run, names and links exist."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from affect_kernels.errors import AffectError

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text("utf-8") for page in PAGES}
ALL = "\n".join(TEXTS.values())


def blocks(language, without=()):
    """Return the fenced blocks of `language`, each under its page and the line it begins in."""
    return [
        pytest.param(match[1], id=f"{name} line {text[: match.start()].count(chr(10)) + 1}")
        for name, text in TEXTS.items()
        if name not in without
        for match in re.finditer(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    ]


def table(page, header):
    """Return the rows of the table whose first line begins with `header`, as cells."""
    lines = TEXTS[page].splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith(header))
    rows = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            return rows
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def commands(pattern):
    """Return what follows `pattern` in shell examples and in `code`."""
    return set(re.findall(rf"(?:^|`|&& ){pattern} ([a-z0-9-]+)", ALL, re.MULTILINE))


def test_readme_can_be_read_in_one_go():
    assert len(README.read_text("utf-8").splitlines()) <= 150


@pytest.mark.timeout(600)  # whole clips, on a machine that may be busy
@pytest.mark.usefixtures("models")
# Those of docs/streams.md need another side: tests/realtime_affect/outputs/streams/test_docs.py
@pytest.mark.parametrize("code", blocks("python", without=["docs/streams.md"]))
def test_every_python_example_runs_and_says_something(code, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "example.py", "exec"), {"__name__": "example"})
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("text", blocks("toml"))
def test_every_settings_example_is_accepted_and_changes_what_it_names(text, tmp_path):
    from realtime_affect.config import Config, load_config

    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    assert load_config(tmp_path / "config.toml") != Config()


def test_the_table_of_units_names_every_unit_and_which_are_never_known():
    from affect_engines import load_card
    from realtime_affect.names import AU_OCCURRENCES

    rows = table("docs/accuracy.md", "| unit | FACS name |")
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
    rows = table("docs/command-line.md", "| exit code |")
    assert {int(row[0]) for row in rows} == codes | {0, 130}


def test_every_command_and_option_exists():
    from typer.main import get_command

    from realtime_affect.cli.main import app

    group = get_command(app)
    assert commands("realtime-affect") == set(group.commands)
    options = {"--help"}
    inner = [
        command
        for nested in group.commands.values()
        for command in getattr(nested, "commands", {}).values()
    ]
    for command in [group, *group.commands.values(), *inner]:
        options |= {text for parameter in command.params for text in parameter.opts}
    lines = re.findall(r"(?:^|`|&& )realtime-affect ([^`\n#]*)", ALL, re.MULTILINE)
    used = {option for line in lines for option in re.findall(r"(?<!\S)(--?[a-z][a-z-]*)", line)}
    assert {"--config", "--wheel"} <= used
    assert used - options == set()
    page = TEXTS["docs/command-line.md"]
    assert f"models {'|'.join(group.commands['models'].commands)}" in page
    assert f"engines {'|'.join(group.commands['engines'].commands)}" in page
    assert f"streams {'|'.join(group.commands['streams'].commands)}" in page


def test_what_has_run_on_a_gpu_is_said_as_the_code_says_it():
    from affect_engines.cards import ran_by_tensorrt

    ran, page = ran_by_tensorrt(), TEXTS["docs/gpu.md"]
    assert ("no version of TensorRT has run a plan of ours yet" in page) is (not ran)
    assert [version for version in ran if version not in page] == []


def test_every_chore_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    chores = set(re.findall(r"^([a-z0-9-]+):.*## ", makefile, re.MULTILINE))
    assert commands("make") >= {"run", "test"}
    assert commands("make") - chores == set()


def test_every_key_that_the_page_of_the_window_names_does_something():
    actions = pytest.importorskip(
        "affect_gui.actions", reason="PyQt6 is not here", exc_type=ImportError
    )
    keys = {key for command in actions.COMMANDS for key in command.keys}
    named = set(re.findall(r"(?<!\+)<kbd>(\w+)</kbd>(?!\+)", TEXTS["docs/live-app.md"]))
    assert {"N", "K", "Space"} <= named
    assert named - keys - {"Esc"} == set()  # Esc closes what is open, as everywhere


@pytest.mark.parametrize("page", PAGES, ids=list(TEXTS))
def test_every_link_to_a_file_of_ours_leads_somewhere(page):
    links = re.findall(r'\]\(([^)#:]+)(?:#[^)]*)?\)|src="([^":]+)"', page.read_text("utf-8"))
    names = {name for pair in links for name in pair if name}
    assert {name for name in names if not (page.parent / name).exists()} == set()


def test_the_contents_page_names_every_page():
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", TEXTS["docs/README.md"]))
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"} == linked


def test_every_file_that_a_page_names_in_code_exists():
    folders = "realtime_affect|engines|kernels|gui|training|benchmarks|tests|deploy|docs"
    names = set(re.findall(rf"`((?:{folders})/[\w./-]*\w)`", ALL))
    assert names
    assert {name for name in names if not (ROOT / name).exists()} == set()


@pytest.mark.parametrize("page", PAGES, ids=list(TEXTS))
def test_figures_stand_only_between_the_marks_that_the_records_fill(page):
    text = page.read_text("utf-8")
    typed = re.sub(r"<!-- (\w+) -->.*?<!-- /\1 -->", "", text, flags=re.DOTALL)
    if "Generated: " not in text:
        assert not re.search(r"\d\s*(ms|fps|milliseconds?)\b", typed)
