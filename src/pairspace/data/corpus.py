"""Corpora and queries: things with an id and a text, and whatever else the file says about them.

One reader for BEIR's JSON lines (`_id`, `title`, `text`), Parquet and CSV tables (`doc_id` or `query_id`, `title`,
`text`), and TREC files (`<DOC>`, `<top>`), which are known by their first characters. Title and text are joined by one
space, as BEIR does. A text may be empty (some collections hold documents of which only the number is left); an id may
not, nor may it come twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairspace.data.qrels import Qrels, read_qrels
from pairspace.data.source import Source, missing_column, text_column
from pairspace.data.tables import column_names, open_source
from pairspace.data.trec import looks_like_trec, read_trec
from pairspace.errors import DataError

__all__ = ["Corpus", "read_beir", "read_corpus", "read_queries"]

_DOCUMENT_IDS = ("_id", "doc_id", "docid", "docno", "id", "pid", "md5")
_QUERY_IDS = ("query_id", "_id", "qid", "id", "num")
_TEXTS = ("text", "contents", "content", "body", "passage", "document")
_QUERY_TEXTS = ("text", "query", "question", "title")


@dataclass(frozen=True, eq=False)
class Corpus:
    """Items with ids.

    Attributes:
        table: `id` and `text` (large_string), then every other column of the file as it stood there.
        source: the file.
        skipped: bad rows that were left out.
    """

    table: pa.Table
    source: str
    skipped: int = 0

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def ids(self) -> list[str]:
        """The ids, in the order of the file."""
        return list(self.table["id"].to_pylist())

    @property
    def texts(self) -> pa.ChunkedArray:
        """The texts, in the order of the file."""
        return self.table["text"]


def read_corpus(
    path: Path | str,
    *,
    id: str | None = None,
    text: str | None = None,
    title: str | None = None,
    skip_bad: bool = False,
) -> Corpus:
    """Documents from a file.

    Args:
        path: JSONL, Parquet, CSV, TSV, saved `datasets` folder, or TREC `<DOC>` file.
        id: column of the ids; None for the first there is of _id, doc_id, docid, docno, id, pid, md5.
        text: column of the texts; None for the first there is of text, contents, content, body, passage, document.
        title: column put before the text; None for `title` where there is one; "" for none.
        skip_bad: leave out rows that cannot be read or have no id, instead of stopping.

    Raises:
        DataError: a column is missing, an id is empty or comes twice (both places are named), or no rows.
    """
    source, names = _open(path, skip_bad)
    id = _choose(path, names, id, _DOCUMENT_IDS, "id")
    text = _choose(path, names, text, _TEXTS, "text")
    if title is None:
        title = "title" if "title" in names and text != "title" else ""
    elif title and title not in names:
        raise missing_column(path, title, names)
    return _corpus(source, id, text, title, skip_bad)


def read_queries(path: Path | str, *, id: str | None = None, text: str | None = None, skip_bad: bool = False) -> Corpus:
    """Queries from a file; formats and errors as in `read_corpus`.

    Args:
        path: as there, or a file of TREC topics (`text="desc"` takes the description and not the title).
        id: column of the ids; None for the first there is of query_id, _id, qid, id, num.
        text: column of the texts; None for the first there is of text, query, question, title.
        skip_bad: as there.
    """
    source, names = _open(path, skip_bad)
    id = _choose(path, names, id, _QUERY_IDS, "id")
    return _corpus(source, id, _choose(path, names, text, _QUERY_TEXTS, "text"), "", skip_bad)


def read_beir(folder: Path | str, split: str = "test") -> tuple[Corpus, Corpus, Qrels]:
    """Corpus, queries and judgements of a BEIR folder: `corpus.jsonl`, `queries.jsonl`, `qrels/<split>.tsv`.

    Each may also be Parquet or compressed. Queries without a judgement in this split are left out, as BEIR does.

    Raises:
        DataError: a part is missing (with what was looked for) or cannot be read.
    """
    folder = Path(folder)
    corpus = read_corpus(_part(folder, "corpus"))
    queries = read_queries(_part(folder, "queries"))
    qrels = read_qrels(_part(folder / "qrels", split) if (folder / "qrels").is_dir() else _part(folder, "qrels"))
    judged = pc.is_in(queries.table["id"], value_set=pa.array(list(qrels), pa.large_string()))
    return corpus, Corpus(queries.table.filter(judged), queries.source, queries.skipped), qrels


def _part(folder: Path, name: str) -> Path:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    names = [
        f"{name}{kind}{packed}" for kind in (".jsonl", ".tsv", ".parquet", ".csv") for packed in ("", ".gz", ".zst")
    ]
    found = next((folder / one for one in names if (folder / one).is_file()), None)
    if found is None:
        raise DataError(f"{folder}: neither {name}.jsonl nor {name}.tsv nor {name}.parquet is there")
    return found


def _open(path: Path | str, skip_bad: bool) -> tuple[Source, Sequence[str]]:
    path = Path(path)
    if path.is_file() and looks_like_trec(path):
        source = read_trec(path, skip_bad=skip_bad)
        return source, source.table.column_names
    names = column_names(path)
    return open_source(path, skip_bad=skip_bad), names


def _choose(path: Path | str, names: Sequence[str], wanted: str | None, usual: Sequence[str], what: str) -> str:
    if wanted is not None:
        if wanted not in names:
            raise missing_column(path, wanted, names)
        return wanted
    found = next((name for name in usual if name in names), None)
    if found is None:
        raise DataError(
            f"{path}: no column for the {what} (looked for {', '.join(usual)}); its columns are: {', '.join(names)}. "
            f"Name it with {what}="
        )
    return found


def _corpus(source: Source, id: str, text: str, title: str, skip_bad: bool) -> Corpus:
    ids = text_column(source.table[id], f"{source.path}: column {id!r} (id)")
    texts = _filled(source, text)
    if title:
        titles = _filled(source, title)
        space = pc.if_else(pc.or_(pc.equal(titles, ""), pc.equal(texts, "")), "", " ")
        texts = pc.binary_join_element_wise(
            titles, space.cast(pa.large_string()), texts, pa.scalar("", pa.large_string())
        )
    rest = source.table.drop_columns([name for name in (id, text) if name in source.table.column_names])
    rest = rest.drop_columns([name for name in ("id", "text") if name in rest.column_names])
    table = pa.table({"id": ids, "text": texts, **{name: rest[name] for name in rest.column_names}})
    rows = source.row_numbers
    bad = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(ids), ""), True).to_numpy()
    if bad.any():
        if not skip_bad:
            first = source.place(int(rows[np.flatnonzero(bad)[0]]))
            raise DataError(
                f"{first}: the id (column {id!r}) is empty; skip_bad=True (--skip-bad) leaves such rows out"
            )
        table, rows = table.filter(pa.array(~bad)), rows[~bad]
    if table.num_rows == 0:
        raise DataError(f"{source.path}: no rows that can be used")
    refuse_repeats(source, table["id"], rows)
    return Corpus(table, str(source.path), source.skipped + int(bad.sum()))


def _filled(source: Source, name: str) -> pa.ChunkedArray:
    return pc.fill_null(text_column(source.table[name], f"{source.path}: column {name!r}"), "")


def refuse_repeats(source: Source, ids: pa.ChunkedArray, rows: np.ndarray) -> None:
    """See that no id comes twice.

    Args:
        source: where the ids are from, for the message.
        ids: large_string (n,), at least one, none null.
        rows: record number of each, int64 (n,).

    Raises:
        DataError: one does; names the second place and the first.
    """
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in ids.dictionary_encode().chunks])
    _, first = np.unique(codes, return_index=True)
    if len(first) == len(codes):
        return
    again = np.setdiff1d(np.arange(len(codes)), first)
    earlier = int(np.flatnonzero(codes == codes[again[0]])[0])
    raise DataError(
        f"{source.place(int(rows[again[0]]))}: the id {ids[int(again[0])].as_py()!r} was there before, at "
        f"{source.place(int(rows[earlier]))}; ids must differ ({len(again)} are repeated)"
    )
