"""Cranfield, Medline and CACM: an untrained space must score as sentence-transformers' vectors do under pytrec_eval.

Two comparisons of nDCG@10. The space's own vectors, ranked in full and scored by pytrec_eval on raw scores, must give
the figure of `evaluate` to the fourth decimal (the same vectors, another road). sentence-transformers' vectors must
give it to the third (other kernels, another precision). Reads `ir_*` under $PAIRSPACE_DATA.

    python -m benchmarks.judged
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytrec_eval
from sentence_transformers import SentenceTransformer

import pairspace as ps


def ndcg(
    queries: np.ndarray, documents: np.ndarray, query_ids: list[str], ids: list[str], qrels: ps.data.Qrels
) -> float:
    """pytrec_eval's nDCG@10 of a full ranking by cosine."""
    scores = (queries / np.linalg.norm(queries, axis=1, keepdims=True)) @ (
        documents / np.linalg.norm(documents, axis=1, keepdims=True)
    ).T
    run = {q: dict(zip(ids, map(float, row), strict=True)) for q, row in zip(query_ids, scores, strict=True)}
    found = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"}).evaluate(run)
    return float(np.mean([found[q]["ndcg_cut_10"] for q in query_ids]))


def main() -> None:
    peer = SentenceTransformer(str(ps.load_encoder("minilm").folder), device="cpu")
    print("nDCG@10     precision  evaluate  same vectors, pytrec_eval  sentence-transformers, pytrec_eval")
    for name in ("cranfield", "medline", "cacm"):
        corpus, queries, qrels = ps.read_beir(Path(os.environ["PAIRSPACE_DATA"]) / f"ir_{name}")
        judged = [i for i, q in enumerate(queries.ids) if any(grade > 0 for grade in qrels.get(q, {}).values())]
        query_ids = [queries.ids[i] for i in judged]
        texts, documents = [queries.texts[i].as_py() for i in judged], corpus.texts
        peers = ndcg(peer.encode(texts), peer.encode(documents.to_pylist()), query_ids, corpus.ids, qrels)
        for precision in ("fp32", "auto"):
            space = ps.Space.create(encoder="minilm", projector="identity", precision=precision)
            report = ps.evaluate(space, corpus=corpus, queries=queries, qrels=qrels, bm25=False)
            ours = report.value("space", "nDCG@10")
            same = ndcg(space.encode_query(texts), space.encode_document(documents), query_ids, corpus.ids, qrels)
            print(f"{name:<11} {precision:<9}  {ours:.4f}    {same:.4f}                     {peers:.4f}", flush=True)


if __name__ == "__main__":
    main()
