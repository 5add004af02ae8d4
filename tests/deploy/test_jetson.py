import configparser
import re
from pathlib import Path

import pytest

import realtime_affect
from realtime_affect.serve.presets import load_settings, preset_names

FOLDER = Path(realtime_affect.__file__).parents[1] / "deploy" / "jetson"
UNIT = (FOLDER / "realtime-affect.service").read_text(encoding="utf-8")
DOCKERFILE = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
GUIDE = (FOLDER / "guide.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def unit():
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str
    parser.read_string(UNIT)
    return parser


def test_the_unit_listens_to_what_the_service_says(unit):
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) > 3 * load_settings("jetson-orin-nano").serve.stall_s / 2
    assert service["KillSignal"] == "SIGTERM"
    assert service["Restart"] == "on-failure"


def test_codes_that_trying_again_would_not_mend_are_not_tried_again(unit):
    from realtime_affect.errors import DependencyError, InputError, ModelError, UsageError

    final = {int(code) for code in unit["Service"]["RestartPreventExitStatus"].split()}
    assert final == {UsageError.exit_code, ModelError.exit_code, DependencyError.exit_code}
    assert InputError.exit_code not in final


def test_the_health_file_lies_where_the_unit_and_the_image_make_room_for_it(unit):
    folder = f"/run/{unit['Service']['RuntimeDirectory']}"
    for name in preset_names():
        assert Path(load_settings(name).serve.health_file).parent == Path(folder), name
    assert folder in DOCKERFILE


@pytest.mark.parametrize("text", [UNIT, DOCKERFILE, GUIDE])
def test_every_preset_that_is_named_exists(text):
    named = set(re.findall(r"--config\"?,? \"?(jetson-[a-z-]+)", text))
    assert named
    assert {f"{name}.toml" for name in named} <= set(preset_names())


def test_every_option_and_setting_that_is_named_exists():
    from typer.main import get_command

    from realtime_affect.cli.main import app

    group = get_command(app)
    options = {text for parameter in group.commands["serve"].params for text in parameter.opts}
    assert {"--config", "--source"} <= options
    for key in re.findall(r"`serve\.(\w+)`", GUIDE):
        load_settings(None, [f"serve.{key}=70"])


def test_the_guide_says_what_has_not_been_tried_and_has_a_budget_for_every_preset():
    assert "Nothing here has run on a Jetson yet" in GUIDE
    budget = GUIDE.split("<!-- budget -->")[1].split("<!-- /budget -->")[0]
    assert "Estimate, not measured on a Jetson" in budget
    for name in preset_names():
        assert f"`{name.removesuffix('.toml')}`" in budget


def test_the_image_is_made_of_what_a_wheel_needs_and_nothing_of_it_is_left_out():
    import tomllib

    project = Path(realtime_affect.__file__).parents[1] / "pyproject.toml"
    if not project.is_file():
        pytest.skip("no source tree around this package")
    told = tomllib.loads(project.read_text(encoding="utf-8"))
    lines = (FOLDER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    left_out = {line for line in lines if line and not line.startswith("#")}
    needed = {
        *told["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"],
        *told["project"]["license-files"],
        told["project"]["readme"],
        "constraints.txt",
        "pyproject.toml",
    }
    for name in needed:
        parents = {str(parent) for parent in Path(name).parents} | {name}
        assert not parents & left_out, name
    assert "training" in left_out
