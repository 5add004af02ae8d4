"""Tables of a run as Parquet: the values of the CSV files, with their types, units and meanings.

What is converted is the CSV itself, so that both say the same to the last digit. Each column's
metadata holds ``unit``, ``doc`` and ``trust`` of its measure.
"""

from __future__ import annotations

from importlib import metadata as distributions
from typing import TYPE_CHECKING, Any, Final

from affect_kernels.atomic import replacing
from realtime_affect.errors import InputError
from realtime_affect.outputs.extra import import_extra
from realtime_affect.outputs.line_file import cannot_write
from realtime_affect.outputs.report import NOTICE
from realtime_affect.schema import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import ModuleType

    from realtime_affect.measure import Measure

_TYPES: Final = {
    "bool": "bool_", "int64": "int64", "float32": "float32", "float64": "float64",
    "time_ns": "float64", "text": "string", "names": "string",
}  # fmt: skip
_BLOCK_BYTES: Final = 1 << 22  # of CSV that are in memory at once
_MEASURES: Final[Mapping[str, Measure]] = {
    column: measure
    for measure in EVERYTHING.measures
    for column in (*measure.row_columns, *measure.event_columns)
}


def import_pyarrow() -> ModuleType:
    """Import what reads and writes Parquet.

    Raises
    ------
    DependencyError
        It is not installed; the hint names the extra.
    """
    for part in ("pyarrow.csv", "pyarrow.parquet"):
        import_extra(part, "Parquet", "parquet")
    return import_extra("pyarrow", "Parquet", "parquet")


def write_parquet(  # noqa: PLR0913  (what, where, and what is added)
    table: Path,
    path: Path,
    *,
    constants: Mapping[str, str | None] | None = None,
    rename: Mapping[str, str] | None = None,
    metadata: Mapping[str, str] | None = None,
    mode: int | None = None,
) -> int:
    """Write a CSV file of rows, events or windows as Parquet and return how many rows it has.

    Numbers are ``float32``, ``int64`` or ``bool``, moments ``float64`` in seconds, words
    ``string``, several of them (``regions``) a list; an empty field is null. The file appears
    whole or not at all. Any thread may call.

    Parameters
    ----------
    table : Path
        What ``run`` or ``analyze`` wrote: UTF-8 with a header.
    path : Path
        An existing file is replaced; its folder must exist.
    constants : mapping of str to str or None, optional
        Columns of text in front that are the same in every row, by name.
    rename : mapping of str to str, optional
        Other names for columns of the table.
    metadata : mapping of str to str, optional
        Of the file, beside the notice and this project's version.
    mode : int, optional
        Of the file; default what the umask leaves of 0666.

    Raises
    ------
    DependencyError
        pyarrow is not installed.
    InputError
        `table` cannot be read, or is no such table.
    OutputError
        `path` cannot be written.
    """
    pa = import_pyarrow()
    constants = dict(constants or {})
    try:
        with table.open("rb") as stream:
            names = stream.readline().decode("utf-8").rstrip("\r\n").split(",")
        batches = pa.csv.open_csv(
            table,
            pa.csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
            pa.csv.ParseOptions(newlines_in_values=True),
            pa.csv.ConvertOptions(
                column_types={name: _read_as(pa, name) for name in names},
                null_values=[""], strings_can_be_null=True,
            ),
        )  # fmt: skip
    except (OSError, UnicodeDecodeError, pa.ArrowInvalid) as error:
        raise _no_table(table, error) from error
    schema = pa.schema(
        [pa.field(name, pa.dictionary(pa.int32(), pa.string())) for name in constants]
        + [column_of(pa, name).with_name((rename or {}).get(name, name)) for name in names],
        metadata={"notice": NOTICE, "realtime-affect": _version(), **(metadata or {})},
    )
    rows = 0
    try:
        with (
            replacing(path, mode=mode) as temporary,
            pa.parquet.ParquetWriter(temporary, schema, compression="zstd") as writer,
        ):
            for batch in _read(batches, table, pa):
                columns = [_repeated(pa, value, len(batch)) for value in constants.values()]
                columns += [_converted(pa, batch[name], name) for name in names]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
                rows += len(batch)
    except OSError as error:
        if isinstance(error, InputError):
            raise
        raise cannot_write(path, error) from error
    return rows


def read_metadata(path: Path) -> Mapping[str, str]:
    """Return the metadata of a file that :func:`write_parquet` wrote; empty where there is none."""
    pa = import_pyarrow()
    try:
        found = pa.parquet.read_metadata(path).metadata or {}
    except (OSError, pa.ArrowInvalid):
        return {}
    return {key.decode(): value.decode() for key, value in found.items()}


def column_of(pa: ModuleType, name: str) -> Any:
    """Return the column of a name with what its measure says; one of no measure is as it is."""
    measure = _MEASURES.get(name)
    if measure is None:
        return pa.field(name, _read_as(pa, name))
    kind = pa.list_(pa.string()) if measure.dtype == "names" else _read_as(pa, name)
    about = {"unit": measure.unit, "doc": measure.doc, "trust": measure.trust}
    return pa.field(name, kind, metadata=about)


def _read_as(pa: ModuleType, name: str) -> Any:
    if name == "input":
        return pa.string()
    measure = _MEASURES.get(name)
    return getattr(pa, _TYPES["float64" if measure is None else measure.dtype])()


def _read(batches: Any, table: Path, pa: ModuleType) -> Any:
    """Yield batches; what is wrong with the CSV is the CSV's error, not the Parquet file's."""
    while True:
        try:
            yield batches.read_next_batch()
        except StopIteration:
            return
        except (OSError, pa.ArrowInvalid) as error:
            raise _no_table(table, error) from error


def _repeated(pa: ModuleType, value: str | None, n: int) -> Any:
    return pa.array([value] * n, pa.string()).dictionary_encode()


def _converted(pa: ModuleType, column: Any, name: str) -> Any:
    kind = column_of(pa, name).type
    if not pa.types.is_list(kind):
        return column
    return pa.array([None if c is None else c.split(";") for c in column.to_pylist()], kind)


def _no_table(table: Path, error: Exception) -> InputError:
    return InputError(
        thing=f"table {table}",
        got=getattr(error, "strerror", None) or str(error),
        expected="a CSV file as run and analyze write them",
        hint="Analyse the input again.",
    )


def _version() -> str:
    try:
        return distributions.version("realtime-affect")
    except distributions.PackageNotFoundError:
        return "not installed"
