"""Record a person's face at rest under a name: ``realtime-affect profile``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from realtime_affect.interpret.baseline import Baseline
    from realtime_affect.types import Expression, Face, Reading

_VIEW_DEG: Final = 25.0  # as for a rest that is learned
_AT_REST: Final = 2.0  # FACS B
_GAP_NS: Final = 500_000_000
_PLAIN: Final = {"action_units.adapt_s": 0.0, "affect.micro": False, "interpret.profile": ""}
"""Settings under which a rest is measured: against the average face."""


def make_profiles_app(
    reporting: Callable[[], AbstractContextManager[None]], say: Callable[[str], None], epilog: str
) -> typer.Typer:
    """Return the commands under ``profile``, to be added to the command line."""
    app = typer.Typer(
        help="Keep a person's face at rest, for units and valence relative to it.",
        no_args_is_help=True, epilog=epilog, rich_markup_mode=None,
    )  # fmt: skip

    @app.command("record", epilog=epilog)
    def record(
        name: Annotated[str, typer.Argument(help="Of the profile; interpret.profile takes it.")],
        source: Annotated[str, typer.Argument(help="As for run.")] = "0",
        seconds: Annotated[float, typer.Option("--seconds", min=1.0, help="Of rest to take.")] = 5,
        automatic: Annotated[
            bool, typer.Option("--automatic", help="Take moments at rest, wherever they are.")
        ] = False,
    ) -> None:
        """Measure one person at rest and save means and spreads: no image, no identity."""
        with reporting():
            from realtime_affect.config import load_config
            from realtime_affect.interpret.baseline import check_name, save_profile
            from realtime_affect.runtime.pipeline import Pipeline

            check_name(name)
            config = load_config().with_values(_PLAIN)
            if not automatic:
                say(f"Look at the camera without any expression for {seconds:g} s.")
            with Pipeline(source, config) as pipeline:
                rest = rest_of(pipeline, name, seconds, automatic=automatic)
            say(f"written: {save_profile(rest)}")

    @app.command("list", epilog=epilog)
    def list_all() -> None:
        """List the saved profiles: name, seconds of rest, file."""
        with reporting():
            from realtime_affect.interpret.baseline import list_profiles, load_profile, path_of

            for name in list_profiles():
                say(f"{name:<16} {load_profile(name).seconds:5.1f} s  {path_of(name)}")

    @app.command("delete", epilog=epilog)
    def delete(name: Annotated[str, typer.Argument(help="Of the profile.")]) -> None:
        """Delete a profile."""
        with reporting():
            from realtime_affect.interpret.baseline import delete_profile

            say(f"deleted: {delete_profile(name)}")

    return app


def rest_of(
    readings: Iterable[Reading], name: str, seconds: float, *, automatic: bool = False
) -> Baseline:
    """Take a person's rest out of readings: of the first seconds, or of those at rest.

    Parameters
    ----------
    readings : iterable of Reading
        Of one person alone in view, measured against the average face
        (``action_units.adapt_s`` 0).
    name : str
        Of the profile to be.
    seconds : float
        Of rest to take.
    automatic : bool
        Whether only moments without a marked unit count, wherever they are; False: the person was
        asked to rest.

    Raises
    ------
    UsageError
        Several faces in view, too little rest, or a face that moved.
    """
    from realtime_affect.errors import UsageError
    from realtime_affect.interpret.baseline import baseline_of

    faces: list[Face] = []
    expressions: list[Expression] = []
    seen_ns, before_ns = 0, None
    for reading in readings:
        tracks = reading.scene.tracks
        if len(tracks) > 1:
            raise UsageError(
                thing="face at rest",
                got=f"{len(tracks)} faces in view",
                expected="one person alone",
                hint="A profile belongs to one person.",
            )
        if not tracks or tracks[0].face is None:
            continue
        face, affect = tracks[0].face, reading.affect.results.get(tracks[0].track_id)
        if face.quality.view_deg > _VIEW_DEG or (automatic and not _rests(face)):
            continue
        t_ns = reading.scene.frame.t_ns
        if before_ns is not None and t_ns - before_ns < _GAP_NS:
            seen_ns += t_ns - before_ns
        before_ns = t_ns
        faces.append(face)
        if affect is not None and affect.expression is not None:
            expressions.append(affect.expression)
        if seen_ns >= seconds * 1e9:
            break
    return baseline_of(name, faces, expressions, seen_ns / 1e9)


def _rests(face: Face) -> bool:
    """Return whether no unit but a blink is marked."""
    units = face.action_units
    return not bool((units.intensity[:-1] > _AT_REST).any())  # AU45 is the last
