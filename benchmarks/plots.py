"""Draw what the newest records of scenarios say: distributions of age, age over time, growth.

python benchmarks/plots.py     # writes the pictures of docs/performance.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import records

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

_DOCS = records.REPOSITORY / "docs"
PICTURES = {
    _DOCS / "performance-age.svg": "share of readings that are no older than a time, by scenario",
    _DOCS / "performance-time.svg": "age at paint over time, by scenario",
    _DOCS / "performance-growth.svg": "CPU time a frame by the number of faces and of pixels",
}


def scenarios() -> dict[str, dict[str, Any]]:
    """Return the newest record of each scenario, without those of an older form."""
    return {
        name: record
        for name, record in records.newest("latency").items()
        if "cpu_s_per_frame" in record["figures"]
    }


def growth(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return in a line how CPU time grows with faces and pixels, by least squares."""
    said = []
    for name, (unit, what) in {"faces": ("face", 1.0), "pixels": ("megapixel", 1e6)}.items():
        x, y = points(found, name)
        if len(x) < 2:  # a line needs two
            continue
        slope, start = np.polyfit(np.array(x) / what, y, 1)
        said.append(f"{start:.1f} ms and {slope:.1f} ms for each {unit}")
    faces, cost = points(found, "faces")
    by_faces = dict(zip(faces, cost, strict=True))
    if 1 in by_faces and 6 in by_faces:
        said.append(f"six faces {by_faces[6] / (6 * by_faces[1]):.2f} of six times one")
    return f"CPU time a frame, decoding and cutting of the clip in it: {'; '.join(said)}."


def points(found: Mapping[str, Mapping[str, Any]], by: str) -> tuple[list[float], list[float]]:
    """Return faces or pixels of plain live scenarios, and their CPU milliseconds a frame."""
    x, y = [], []
    for record in found.values():
        config = record["config"]
        plain = config["mode"] == "live" and not config["window"] and not config["record"]
        faces, size = config["faces"], config["size_px"] or (1280, 720)
        same = (size == (1280, 720) and faces <= 8) if by == "faces" else faces == 2
        if plain and same and config["fps"] is None:
            x.append(faces if by == "faces" else size[0] * size[1])
            y.append(1e3 * record["figures"]["cpu_s_per_frame"])
    return x, y


def _draw_ages(axes: Axes, found: Mapping[str, Mapping[str, Any]]) -> None:
    for name, record in found.items():
        counts = np.array(record["figures"]["raw_received_ms"]["counts"], float)
        if record["config"]["mode"] != "saturated" and counts.sum():
            axes.plot(np.arange(len(counts)), counts.cumsum() / counts.sum(), label=name)
    axes.set(xlabel="age when received, ms", ylabel="share of readings", xlim=(0, 120))
    axes.legend(fontsize=7)


def _draw_times(axes: Axes, found: Mapping[str, Mapping[str, Any]]) -> None:
    for name, record in found.items():
        painted = record["figures"]["raw_painted"]
        if painted["t_s"]:
            axes.plot(painted["t_s"], painted["age_ms"], lw=0.7, label=name)
    axes.set(xlabel="seconds", ylabel="age at paint, ms", ylim=(0, None))
    axes.legend(fontsize=7)


def _draw_growth(axes: Axes, found: Mapping[str, Mapping[str, Any]]) -> None:
    axes.plot(*points(found, "faces"), "o", label="by faces, 1280 x 720")
    axes.set(xlabel="faces", ylabel="CPU ms a frame", xlim=(0, None), ylim=(0, None))
    pixels, cost = points(found, "pixels")
    above = axes.twiny()
    above.plot([n / 1e6 for n in pixels], cost, "s", color="C1", label="by megapixels, two faces")
    above.set(xlabel="megapixels", xlim=(0, None))
    axes.legend(
        *map(list.__add__, axes.get_legend_handles_labels(), above.get_legend_handles_labels())
    )


def main() -> None:
    """Write the pictures."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "performance"
    found = scenarios()
    if not found:
        print("no record of a scenario: python benchmarks/latency.py --record")
        return
    for path, draw in zip(PICTURES, (_draw_ages, _draw_times, _draw_growth), strict=True):
        figure = Figure(figsize=(7, 4), layout="constrained")
        draw(figure.add_subplot(), found)
        figure.savefig(path, metadata={"Date": None})
        print(path.name)


if __name__ == "__main__":
    main()
