"""What a corpus found, as one page, and as means in fixed windows for statistics of one's own."""

from __future__ import annotations

import csv
import itertools
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from affect_kernels.atomic import PRIVATE, replacing, write_atomically
from realtime_affect.corpus.record import read_record
from realtime_affect.errors import UsageError
from realtime_affect.interpret.windows import fixed_windows
from realtime_affect.names import AU_INTENSITIES, EXPRESSIONS
from realtime_affect.outputs.line_file import cannot_write
from realtime_affect.outputs.report import Report, Section, Table, to_html

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

PAGE: Final = "corpus.html"
WINDOWS: Final = "corpus.windows.parquet"

MEANS: Final = (
    "quality", "valence", "arousal", *(f"{name}_r" for name in AU_INTENSITIES),
    *(f"p_{name}" for name in EXPRESSIONS),
)  # fmt: skip
"""Columns whose means stand in the windows."""

_UNITS: Final = slice(3, 3 + len(AU_INTENSITIES))
_STEP: Final = 0.05  # of a unit's scale of 0 to 5, in its histogram
_BINS: Final = 101
_PRESENT: Final = 1.0  # FACS intensity A begins here, on that scale
_MOST_SHOWN: Final = 500  # inputs in the page; the Parquet file and corpus.json have them all
_MOST_GROUPS: Final = 30  # values of a column that is compared by without being asked for


class Findings:
    """What inputs add up to; of one, of a group, of all."""

    def __init__(self) -> None:
        self.inputs = self.failed = self.frames = self.frames_with_faces = 0
        self.seconds = self.face_seconds = self.quality = 0.0
        self.faces = 0
        self.spikes = 0
        self.shown: Counter[str] = Counter()
        self.units = np.zeros((len(AU_INTENSITIES), _BINS), np.int64)

    def add(self, other: Findings) -> None:
        """Take in what others found."""
        for name, value in vars(other).items():
            mine = getattr(self, name)
            if isinstance(mine, Counter):
                mine.update(value)
            else:
                setattr(self, name, mine + value)

    def line(self) -> tuple[str, ...]:
        """Return the cells below :data:`_COLUMNS`."""
        likeliest = "; ".join(
            f"{name} {n / self.shown.total():.0%}" for name, n in self.shown.most_common(3)
        )
        return (
            str(self.frames), f"{self.seconds:.1f}", _share(self.frames_with_faces, self.frames),
            f"{self.quality / self.faces:.2f}" if self.faces else "-", likeliest or "-",
            f"{60 * self.spikes / self.face_seconds:.1f}" if self.face_seconds else "-",
        )  # fmt: skip


_COLUMNS: Final = (
    "frames", "seconds", "with a face", "quality", "expressions displayed", "spikes a minute",
)  # fmt: skip


def write_corpus_report(
    folder: str | Path, by: Iterable[str] = (), *, window_ms: float = 200.0
) -> tuple[Path, ...]:
    """Write the page of a corpus and its windows into its folder; return their paths.

    The page, for its owner alone, asks for nothing else: no script, no font, no image from
    elsewhere. A window holds the means of :data:`MEANS` over one face and its coverage
    (:func:`realtime_affect.interpret.windows.fixed_windows`); images have none.

    Parameters
    ----------
    folder : str or Path
        What ``corpus`` wrote.
    by : iterable of str
        Columns of metadata to compare by. Default: all with 2 to 30 values.
    window_ms : float
        Length of a window.

    Raises
    ------
    DependencyError
        pyarrow is not installed; nothing is written.
    InputError
        The folder holds no corpus.
    OutputError
        A file cannot be written.
    UsageError
        There is no such column.
    """
    from realtime_affect.outputs.parquet import import_pyarrow

    folder = Path(folder)
    record = read_record(folder)
    columns = _columns(record, tuple(by))
    pa = import_pyarrow()
    page, windows = folder / PAGE, folder / WINDOWS
    found: list[tuple[Mapping[str, Any], Findings]] = []
    metadata = list(dict.fromkeys(name for entry in record["inputs"] for name in entry["metadata"]))
    schema = _schema(pa, metadata, window_ms)
    try:
        with (
            replacing(windows) as temporary,
            pa.parquet.ParquetWriter(temporary, schema, compression="zstd") as writer,
        ):
            for entry in record["inputs"]:
                rows = _Rows(folder, entry)
                found.append((entry, rows.findings()))
                for columns_of_face in rows.windows(window_ms):
                    known = [[entry["input"]], *([entry["metadata"].get(m)] for m in metadata)]
                    n = len(columns_of_face[0])
                    arrays = [pa.array(one * n, pa.string()) for one in known]
                    arrays += [
                        pa.array(values, field.type, from_pandas=True)
                        for values, field in zip(
                            columns_of_face, list(schema)[len(known) :], strict=True
                        )
                    ]
                    writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
        write_atomically(page, to_html(_report(folder, record, found, columns)), mode=PRIVATE)
    except OSError as error:
        raise cannot_write(page, error) from error
    return page, windows


class _Rows:
    """The rows of one input that was analysed, as numbers."""

    def __init__(self, folder: Path, entry: Mapping[str, Any]) -> None:
        self._entry = entry
        place = folder / entry["input"]
        files = entry.get("files") or {}
        self._events = place / files["events"] if "events" in files else None
        self._shown: Counter[str] = Counter()
        faces, times, values = [], [], []
        if "rows" in files and (place / files["rows"]).exists():
            for row in _lines(place / files["rows"]):
                if row["success"] != "1":
                    continue
                faces.append(int(row["face_id"]))
                times.append(float(row["timestamp"]))
                values.append([float(row[name] or "nan") for name in MEANS])
                if row["expression"]:
                    self._shown[row["expression"]] += 1
        self._faces = np.array(faces, np.int64)
        self._t_ns = np.round(np.array(times, np.float64) * 1e9).astype(np.int64)
        self._values = np.array(values, np.float64).reshape(-1, len(MEANS))

    def findings(self) -> Findings:
        """Return what this input alone adds up to."""
        found, entry = Findings(), self._entry
        found.inputs, found.failed = 1, int(entry["outcome"] == "failed")
        found.frames = int(entry["frames"] or 0)
        found.frames_with_faces = int(entry.get("frames_with_faces") or 0)
        found.seconds = float(entry.get("duration_s") or 0.0)
        found.faces = len(self._faces)
        found.quality = float(np.nansum(self._values[:, 0]))
        found.shown = self._shown
        if found.frames and found.seconds:
            found.face_seconds = found.faces * found.seconds / found.frames
        if self._events is not None and self._events.exists():
            found.spikes = sum(row["kind"] == "micro" for row in _lines(self._events))
        for counts, course in zip(found.units, self._values[:, _UNITS].T, strict=True):
            known = course[np.isfinite(course)]
            counts += np.bincount(
                np.clip(np.round(known / _STEP), 0, _BINS - 1).astype(int), minlength=_BINS
            )
        return found

    def windows(self, window_ms: float) -> Iterator[list[Sequence[Any] | NDArray[Any]]]:
        """Yield for each face: its number, begin, end, coverage and means of each window."""
        if self._entry.get("kind") == "stills":
            return
        for face in np.unique(self._faces).tolist():
            its = self._faces == face
            cut = fixed_windows(self._t_ns[its].tolist(), self._values[its], window_ms)
            start = cut.start_ns / 1e9
            end = start + window_ms / 1e3
            yield [[face] * len(start), start, end, cut.coverage, *cut.means.T]


def _lines(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream)


def _schema(pa: Any, metadata: Sequence[str], window_ms: float) -> Any:
    from realtime_affect.outputs.parquet import column_of

    words = [pa.field(name, pa.string()) for name in ("input", *metadata)]
    times = [pa.field(name, pa.float64(), metadata={"unit": "s"}) for name in ("start", "end")]
    share = pa.field("coverage", pa.float32(), metadata={"unit": "0 to 1"})
    means = [column_of(pa, name) for name in MEANS]
    fields = [*words, column_of(pa, "face_id"), *times, share, *means]
    return pa.schema(fields, metadata={"window_ms": f"{window_ms:g}"})


def _columns(record: Mapping[str, Any], by: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns of metadata to compare by."""
    values: dict[str, set[str]] = {}
    for entry in record["inputs"]:
        for name, value in entry["metadata"].items():
            values.setdefault(name, set()).add(value)
    missing = [name for name in by if name not in values]
    if missing:
        raise UsageError(
            thing=f"option --by {missing[0]}",
            got="no such column of metadata",
            expected=", ".join(values) or "a corpus of a manifest with such columns",
            hint="Metadata are the columns of the manifest beside path.",
        )
    return by or tuple(name for name, its in values.items() if 2 <= len(its) <= _MOST_GROUPS)


def _report(
    folder: Path,
    record: Mapping[str, Any],
    found: Sequence[tuple[Mapping[str, Any], Findings]],
    columns: Sequence[str],
) -> Report:
    total = Findings()
    for _, one in found:
        total.add(one)
    state = record["outcome"]
    outcomes = Counter(entry["outcome"] for entry, _ in found)
    facts = (
        ("outcome", "running, or killed" if state == "running" else str(state)),
        ("begun", str(record["begun"])), ("finished", str(record["finished"] or "not")),
        ("inputs", ", ".join(f"{n} {outcome}" for outcome, n in sorted(outcomes.items()))),
        *zip(_COLUMNS, total.line(), strict=True),
    )  # fmt: skip
    sections = [
        Section("All of it", tables=(Table(("", ""), facts),)),
        Section(
            "Expressions displayed",
            "Share of the rows of faces that were measured and carry an expression.",
            (_expressions([("all", total)]),),
        ),
        Section(
            "Action units",
            "Distribution of the intensities, 0 to 5, over all rows of measured faces; present: "
            f"from {_PRESENT:g} on.",
            (_unit_table(total),),
        ),
    ]
    for name in columns:
        groups: dict[str, Findings] = {}
        for entry, one in found:
            groups.setdefault(entry["metadata"].get(name) or "(empty)", Findings()).add(one)
        ordered = sorted(groups.items())
        cells = tuple(
            (value, str(one.inputs), str(one.failed), *one.line()) for value, one in ordered
        )
        tables = (Table((name, "inputs", "failed", *_COLUMNS), cells), _expressions(ordered))
        sections.append(Section(f"By {name}", tables=tables))
    failures = tuple(
        (entry["input"], entry["error"]) for entry, _ in found if entry["outcome"] == "failed"
    )
    if failures:
        shown = failures[:_MOST_SHOWN]
        sections.append(Section("Failures", tables=(Table(("input", "reason"), shown),)))
    cells = tuple(
        (entry["input"], entry["outcome"], *one.line())
        for entry, one in itertools.islice(found, _MOST_SHOWN)
    )
    more = f"The first {_MOST_SHOWN} of {len(found)}." if len(found) > _MOST_SHOWN else ""
    sections.append(Section("Inputs", more, (Table(("input", "outcome", *_COLUMNS), cells),)))
    return Report(f"Corpus {folder.resolve().name}", tuple(sections))


def _expressions(groups: Sequence[tuple[str, Findings]]) -> Table:
    """Return the share of each expression, a line a group."""
    return Table(
        ("", *EXPRESSIONS),
        tuple(
            (name, *(_share(one.shown[label], one.shown.total()) for label in EXPRESSIONS))
            for name, one in groups
        ),
    )


def _unit_table(found: Findings) -> Table:
    middle = np.arange(_BINS) * _STEP
    rows: list[tuple[str, ...]] = []
    for name, counts in zip(AU_INTENSITIES, found.units, strict=True):
        total = int(counts.sum())
        if not total:
            rows.append((name, "not measured", "", "", "", ""))
            continue
        below = np.cumsum(counts) / total
        quantiles = (f"{middle[np.searchsorted(below, q)]:.2f}" for q in (0.5, 0.9, 0.99))
        mean = f"{float(counts @ middle) / total:.2f}"
        rows.append((name, mean, *quantiles, _share(int(counts[middle >= _PRESENT].sum()), total)))
    return Table(("unit", "mean", "median", "90 %", "99 %", "present"), tuple(rows))


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "-"
