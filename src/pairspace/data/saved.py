"""A folder written by `Dataset.save_to_disk` of Hugging Face `datasets`: `state.json` beside Arrow stream files.

Read with pyarrow alone, memory-mapped; the package `datasets` is not needed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from pairspace.data.source import Source, missing_column, tidy_types
from pairspace.errors import DataError

__all__ = ["read_saved", "saved_columns"]


def read_saved(path: Path, columns: Sequence[str] | None, *, skip_bad: bool) -> Source:
    """A saved `datasets` folder; one of several splits is named by its own folder (`data/train`).

    `skip_bad` changes nothing here: an Arrow file is whole or it is not.

    Raises:
        DataError: not such a folder, several splits and none named, a file missing or cut short, a column missing.
    """
    del skip_bad
    path = _one_split(path)
    tables = []
    for file in _files(path):
        try:
            with pa.memory_map(str(file)) as memory:
                reader = pa.ipc.open_stream(memory)
                for name in columns or ():
                    if name not in reader.schema.names:
                        raise missing_column(path, name, reader.schema.names)
                names = reader.schema.names if columns is None else list(columns)
                tables.append(tidy_types(reader.schema.empty_table().select(names)))
                tables.extend(tidy_types(pa.Table.from_batches([batch]).select(names)) for batch in reader)
        except FileNotFoundError as error:
            raise DataError(f"{file}: missing, though {path / 'state.json'} names it") from error
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{file}: a truncated or damaged Arrow file ({error})") from error
    table = pa.concat_tables([table.replace_schema_metadata(None) for table in tables])
    return Source(path, table, table.num_rows)


def saved_columns(path: Path) -> list[str]:
    """The names in the first of its Arrow files."""
    file = _files(_one_split(path))[0]
    try:
        with pa.memory_map(str(file)) as memory:
            return list(pa.ipc.open_stream(memory).schema.names)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file}: missing, truncated or damaged ({error})") from error


def _one_split(path: Path) -> Path:
    if not (path / "dataset_dict.json").is_file():
        return path
    splits = [str(name) for name in _json(path / "dataset_dict.json").get("splits", [])]
    if len(splits) == 1:
        return path / splits[0]
    raise DataError(f"{path}: has the splits {', '.join(splits)}; name one, as in {path / (splits or ['train'])[0]}")


def _files(path: Path) -> list[Path]:
    state = path / "state.json"
    if not state.is_file():
        raise DataError(f"{path}: a folder without state.json; a folder written by datasets' save_to_disk was expected")
    names = [entry["filename"] for entry in _json(state).get("_data_files", [])]
    if not names:
        raise DataError(f"{state}: names no data files")
    return [path / name for name in names]


def _json(path: Path) -> dict[str, list[dict[str, str]]]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: a JSON object was expected")
    return content
