"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from realtime_affect.cli.arguments import path_argument

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        parser=path_argument,
        help="TOML file instead of your own config.toml.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one setting; repeatable."),
]
VerboseOption = Annotated[
    int,
    typer.Option("--verbose", "-v", count=True, help="Say what was chosen and why; -vv for more."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
LogFileOption = Annotated[
    Path | None,
    typer.Option(
        "--log-file", metavar="FILE", parser=path_argument, help="Also keep the log in a file."
    ),
]
NeutralOption = Annotated[
    bool,
    typer.Option("--neutral", help="Take each face's first second as its neutral expression."),
]
MaxFacesOption = Annotated[
    int | None,
    typer.Option("--max-faces", min=1, help="Faces measured in one frame; beyond, round-robin."),
]
AnnotateOption = Annotated[bool, typer.Option("--annotate", help="Also write NAME.annotated.mp4.")]
TimelineOption = Annotated[
    bool, typer.Option("--timeline/--no-timeline", help="Draw NAME.timeline.png.")
]
LandmarksOption = Annotated[
    bool, typer.Option("--landmarks", help="Append the 468 points to each row.")
]
ExplainOption = Annotated[
    bool,
    typer.Option("--explain/--no-explain", help="Write NAME.episodes.json, NAME.report.html."),
]
