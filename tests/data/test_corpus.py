from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairspace.data import read_beir, read_corpus, read_queries
from pairspace.errors import DataError

BEIR = [
    {"_id": "d1", "title": "Wings", "text": "lift and drag", "metadata": {"year": 1950}},
    {"_id": "d2", "title": "", "text": "no title"},
    {"_id": "d3", "title": "No text", "text": ""},
    {"_id": "d4", "title": None, "text": None},
]


def jsonl_file(path, objects):
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in objects), encoding="utf-8")
    return path


def test_title_and_text_are_joined_by_a_space_only_between_two(tmp_path):
    corpus = read_corpus(jsonl_file(tmp_path / "corpus.jsonl", BEIR))
    assert corpus.ids == ["d1", "d2", "d3", "d4"]
    assert corpus.texts.to_pylist() == ["Wings lift and drag", "no title", "No text", ""]
    assert corpus.table.column_names == ["id", "text", "title", "metadata"]
    assert corpus.table["metadata"][0].as_py() == {"year": 1950}
    assert (len(corpus), corpus.skipped, corpus.source) == (4, 0, str(tmp_path / "corpus.jsonl"))


def test_a_parquet_corpus_with_number_ids_and_an_empty_document(tmp_path):
    table = {"doc_id": [471, 995], "title": ["", "t"], "text": ["", "x"], "year": [1, 2]}
    pq.write_table(pa.table(table), tmp_path / "c.parquet")
    corpus = read_corpus(tmp_path / "c.parquet")
    assert corpus.table.to_pydict() == {
        "id": ["471", "995"], "text": ["", "t x"], "title": ["", "t"], "year": [1, 2],
    }  # fmt: skip
    assert corpus.table.schema.field("id").type == pa.large_string()


def test_columns_can_be_named(tmp_path):
    (tmp_path / "c.csv").write_text("key,head,body\na,H,B\n")
    assert read_corpus(tmp_path / "c.csv", id="key", text="body", title="head").texts.to_pylist() == ["H B"]
    assert read_corpus(tmp_path / "c.csv", id="key").texts.to_pylist() == ["B"]
    with pytest.raises(DataError, match=r"no column for the id \(looked for _id, .*its columns are: key, head, body"):
        read_corpus(tmp_path / "c.csv")
    with pytest.raises(DataError, match="no column 'x'; its columns are: key, head, body"):
        read_corpus(tmp_path / "c.csv", id="key", title="x")


def test_a_repeated_id_names_both_places(tmp_path):
    (tmp_path / "c.csv").write_text("id,text\na,1\nb,2\na,3\nb,4\n")
    message = r"c\.csv, line 4: the id 'a' was there before, at .*c\.csv, line 2; ids must differ \(2 are repeated\)"
    with pytest.raises(DataError, match=message):
        read_corpus(tmp_path / "c.csv")


def test_an_empty_id_is_a_bad_row(tmp_path):
    (tmp_path / "c.csv").write_text("id,text\na,1\n ,2\n")
    with pytest.raises(DataError, match=r"c\.csv, line 3: the id \(column 'id'\) is empty"):
        read_corpus(tmp_path / "c.csv")
    corpus = read_corpus(tmp_path / "c.csv", skip_bad=True)
    assert (corpus.ids, corpus.skipped) == (["a"], 1)


def test_queries_take_their_own_columns(tmp_path):
    pq.write_table(pa.table({"query_id": ["1"], "text": ["what"], "title": ["not this"]}), tmp_path / "q.parquet")
    queries = read_queries(tmp_path / "q.parquet")
    assert (queries.ids, queries.texts.to_pylist()) == (["1"], ["what"])


def test_a_beir_folder(tmp_path):
    jsonl_file(tmp_path / "corpus.jsonl", BEIR)
    (tmp_path / "queries.jsonl.gz").write_bytes(
        gzip.compress(b'{"_id": "q1", "text": "drag"}\n{"_id": "q2", "text": "unjudged"}\n')
    )
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\n")
    corpus, queries, qrels = read_beir(tmp_path)
    assert (len(corpus), queries.ids, qrels) == (4, ["q1"], {"q1": {"d1": 2}})
    with pytest.raises(DataError, match=r"qrels: neither dev\.jsonl nor dev\.tsv"):
        read_beir(tmp_path, "dev")
    with pytest.raises(DataError, match="no such folder"):
        read_beir(tmp_path / "none")


DOCUMENTS = """<DOC>
<DOCNO> FT-1 </DOCNO>
<HEADLINE>A <B>bold</B> claim</HEADLINE>
<TEXT>
First & second
</TEXT>
<TEXT>third</TEXT>
</DOC>

<DOC>
<DOCNO>FT-2</DOCNO>
<DATE>1990</DATE>
only this
</DOC>
"""
TOPICS = """<top>
<num> Number: 301
<title> International Organized
Crime
<desc> Description:
Identify organizations.
<narr> Narrative:
Relevant if so.
</top>
"""


def test_trec_documents_and_topics(tmp_path):
    (tmp_path / "docs.trec").write_text(DOCUMENTS)
    corpus = read_corpus(tmp_path / "docs.trec")
    assert corpus.ids == ["FT-1", "FT-2"]
    assert corpus.texts.to_pylist() == ["A bold claim First & second third", "1990 only this"]
    (tmp_path / "topics.txt").write_text(TOPICS)
    queries = read_queries(tmp_path / "topics.txt")
    assert (queries.ids, queries.texts.to_pylist()) == (["301"], ["International Organized Crime"])
    assert read_queries(tmp_path / "topics.txt", text="desc").texts.to_pylist() == ["Identify organizations."]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (DOCUMENTS.replace("<DOCNO>FT-2</DOCNO>", "").encode(), r"line 10: a document without <DOCNO>"),
        (DOCUMENTS.replace("only", "caf\u00e9").encode("latin-1"), r"line 10: not UTF-8"),
        (DOCUMENTS.replace("</DOC>\n\n", "").encode(), r"line 1: opened here and not closed before line 8"),
        (DOCUMENTS[:-8].encode(), r"line 10: opened here and not closed before the file ends"),
        (DOCUMENTS.replace("FT-2", "FT-1").encode(), r"line 10: the id 'FT-1' was there before, at .*line 1;"),
    ],
)
def test_bad_trec_files(tmp_path, content, message):
    (tmp_path / "docs.trec").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_corpus(tmp_path / "docs.trec")
