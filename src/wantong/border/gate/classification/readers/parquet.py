"""Parquet as columns, a batch of rows at a time (pyarrow). Only ever run in the worker: see :mod:`.worker`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..chunks import CellsChunk, Chunk
from .limits import MIB, Budget
from .problems import Damaged, Encrypted, LimitReached, ReadProblem
from .tables import one_a_line

ROWS = 16_384


def open_file(file: BinaryIO, place: str, budget: Budget) -> pq.ParquetFile:
    """The file with its footer read under bounds. Raises :class:`Damaged`, :class:`Encrypted`, :class:`LimitReached`."""
    try:
        parquet = pq.ParquetFile(
            file,
            thrift_string_size_limit=64 * MIB,
            thrift_container_size_limit=1_000_000,
            pre_buffer=False,
            buffer_size=MIB,
        )
    except (pa.ArrowException, OSError, ValueError) as error:
        if "encrypt" in str(error).lower():
            raise Encrypted(place) from None
        raise Damaged(place, reason="reader", told=error) from None
    if len(parquet.schema) > budget.limits.columns:
        raise LimitReached(place, "columns", budget.limits.columns)
    return parquet


def read(file: BinaryIO, place: str, budget: Budget) -> Iterator[Chunk | ReadProblem]:
    """Every leaf of the schema as a column, named by its path."""
    parquet = open_file(file, place, budget)
    for group in range(parquet.num_row_groups):
        # column by column, so that memory is one column's share of a batch, whatever the width
        for name in parquet.schema_arrow.names:
            row = 1 + sum(parquet.metadata.row_group(before).num_rows for before in range(group))
            try:
                for batch in parquet.iter_batches(
                    ROWS, row_groups=[group], columns=[name], use_threads=False
                ):
                    budget.check_time(place)
                    for path, array in _leaves(name, batch.column(0)):
                        yield from _cells(place, path, array, row, budget.limits.cell_bytes)
                    row += batch.num_rows
            except (pa.ArrowException, OSError, ValueError) as error:
                yield Damaged(f"{place}#{name}", reason="reader", told=error)


def _leaves(path: str, array: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        yield from _leaves(path, array.storage, depth)
    elif pa.types.is_dictionary(kind):
        yield from _leaves(path, array.dictionary_decode(), depth)
    elif pa.types.is_struct(kind):
        for index in range(kind.num_fields):
            yield from _leaves(f"{path}.{kind.field(index).name}", pc.struct_field(array, index), depth + 1)
    elif pa.types.is_map(kind):
        yield from _leaves(f"{path}.(key)", array.keys, depth + 1)
        yield from _leaves(f"{path}.*", array.items, depth + 1)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _leaves(path, array.flatten(), depth + 1)
    else:
        yield path, array


def text_array(array: Any) -> Any:
    """An array of any plain type as text; what is no text stays what it is (bytes as UTF-8 with replacements)."""
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return array.cast(pa.large_string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        texts = [None if value is None else value.decode("utf-8", "replace") for value in array.to_pylist()]
        return pa.array(texts, pa.large_string())
    if pa.types.is_floating(kind):
        # 1.3800138e10 is a telephone number that lost its shape, not a measurement
        texts = [
            None if v is None else str(int(v)) if v == v and abs(v) < 2**63 and v == int(v) else repr(v)
            for v in array.to_pylist()
        ]
        return pa.array(texts, pa.large_string())
    try:
        return array.cast(pa.large_string())
    except (pa.ArrowException, NotImplementedError):
        return pa.array(
            [None if value is None else str(value) for value in array.to_pylist()], pa.large_string()
        )


def _cells(place: str, column: str, array: Any, row: int, longest: int) -> Iterator[CellsChunk]:
    texts = text_array(array)
    if texts.null_count:
        texts = pc.fill_null(texts, "")
    if len(texts) == 0 or not (pc.max(pc.binary_length(texts)).as_py() or 0):
        return
    texts = (
        pc.utf8_slice_codeunits(texts, 0, longest)
        if pc.max(pc.binary_length(texts)).as_py() > longest
        else texts
    )
    start = 0
    while start < len(texts):  # pieces of some MiB even if single cells are long
        cells = texts.slice(start, 256 if texts.nbytes > 16 * MIB else len(texts)).to_pylist()
        yield CellsChunk(place, column, one_a_line(cells), row + start)
        start += len(cells)
