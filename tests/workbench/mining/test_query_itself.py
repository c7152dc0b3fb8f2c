"""A query that is a document (ArguAna, Quora) is never a negative of itself, in any way."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.workbench.data.fakes import bring, lines
from tests.workbench.mining.test_mine import links, mine
from workbench.data.reader import DatasetReader
from workbench.evaluation.candidates import mine as candidates
from workbench.evaluation.own_document import query_itself
from workbench.mining.proposal import FILE, NEGATIVE, SCHEMA, accept
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.recipes.train_kinds import TrainRerankerRecipe
from workbench.training.batches import Batching
from workbench.training.epoch import row_texts
from workbench.training.pairs import candidate_rows
from workbench.training.rows import TrainingRows, build_rows
from workbench.workspace import Workspace

THINGS = [
    "parks",
    "roads",
    "libraries",
    "schools",
    "trains",
    "bridges",
    "ports",
    "museums",
    "canals",
    "gardens",
]
ARGUMENTS = [f"The city should build more {one} because people like {one}." for one in THINGS]
COUNTER = [f"Money for {one} would be better spent elsewhere." for one in THINGS]

pytestmark = pytest.mark.slow  # imports torch


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    opened = Workspace.open(home)
    yield opened
    opened.close()


@pytest.fixture(params=["by id", "by words"])
def reader(request: Any, workspace: Workspace, tmp_path: Path) -> DatasetReader:
    """Every query is a document: under its own id, or under another with other case and spaces."""
    folder = tmp_path / "argu"
    same_id = request.param == "by id"
    own = [(f"a{n}" if same_id else f"x{n}", "", one) for n, one in enumerate(ARGUMENTS)]
    if not same_id:
        own = [(id, "A title" * (n % 2), f" {one.upper()}  ") for n, (id, _, one) in enumerate(own)]
    against = [(f"c{n}", "", one) for n, one in enumerate(COUNTER)]
    corpus = [{"_id": id, "title": title, "text": text} for id, title, text in [*own, *against]]
    lines(folder / "corpus.jsonl", corpus)
    queries = [{"_id": f"a{n}", "text": text} for n, text in enumerate(ARGUMENTS)]
    lines(folder / "queries.jsonl", queries)
    (folder / "qrels").mkdir()
    rows = "".join(f"a{n}\tc{n}\t1\n" for n in range(len(THINGS)))
    (folder / "qrels" / "train.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}")
    return bring(workspace, folder, name="pets", dev_share=0, test_share=0)[1]


def own_links(reader: DatasetReader) -> set[tuple[int, int]]:
    found = query_itself(reader, reader.queries())
    assert len(found) == len(THINGS)
    return {(query, document) for query, own in found.items() for document in own}


@pytest.mark.parametrize("method", ["model", "bm25", "random"])
def test_no_miner_proposes_it(
    workspace: Workspace, reader: DatasetReader, tiny: Path, method: str
) -> None:
    asked = {"method": method, "num_negatives": 12, "range_max": 12, "split": "train"}
    if method == "model":
        asked |= {"model": str(tiny), "relative_margin": None}
    proposal = mine(workspace, **asked)
    proposed = set(links(proposal, NEGATIVE))
    assert proposed and not proposed & own_links(reader)
    assert proposal.result["left_out"]["query_itself"] > 0


def test_what_an_earlier_version_proposed_is_not_accepted(
    workspace: Workspace, reader: DatasetReader, tiny: Path
) -> None:
    proposal = mine(workspace, method="bm25", num_negatives=3, split="train")
    own = sorted(own_links(reader))
    import pyarrow.parquet as pq

    more = [
        {"query": q, "document": d, "part": NEGATIVE, "origin": "mined:bm25", "rank": 9}
        for q, d in own
    ]
    both = pa.concat_tables([proposal.table, pa.Table.from_pylist(more, schema=SCHEMA)])
    pq.write_table(both.sort_by("query"), workspace.jobs.folder(proposal.job.id) / FILE)
    accept(workspace, proposal.job.id)
    table = workspace.datasets.read("pets").candidates()
    kept = set(zip(table["query"].to_pylist(), table["document"].to_pylist(), strict=True))
    assert kept and not kept & set(own)


def test_training_neither_draws_it_nor_meets_it_in_a_batch(reader: DatasetReader) -> None:
    recipe = TrainEmbeddingRecipe(dataset="pets", batch_size=1, negatives=1)
    own = own_links(reader)
    for seed in range(5):
        rows = build_rows(reader, recipe.model_copy(update={"seed": seed}))
        drawn = zip(rows.queries.tolist(), rows.negatives[:, 0].tolist(), strict=True)
        assert not set(drawn) & own
    rows = build_rows(reader, recipe.model_copy(update={"batch_size": 8}))
    # Were a document that is one query another's positive, the two rows could not meet.
    first, second = rows.queries[:2].tolist()
    mine_ = next(document for query, document in sorted(own) if query == first)
    swapped = replace(rows, positives=np.where(rows.queries == second, mine_, rows.positives))
    assert not any({0, 1} <= batch for batch in batches(reader, swapped))
    assert any({0, 1} <= batch for batch in batches(reader, rows))


def batches(reader: DatasetReader, rows: TrainingRows) -> list[set[int]]:
    """The batches of ten epochs."""
    made = Batching(row_texts(reader, rows), size=len(rows))
    return [set(batch.tolist()) for number in range(10) for batch in made.epoch(number)]


def test_a_reranker_is_not_trained_against_it(reader: DatasetReader) -> None:
    own = own_links(reader)
    found, _ = candidates(reader, "train", k=18, seed=1)
    assert not {(query, one) for query, many in found.items() for one in many} & own
    rows = candidate_rows(reader, TrainRerankerRecipe(dataset="pets", negatives=8), None)
    pairs = {
        (query, one)
        for query, many in zip(rows.queries.tolist(), rows.negatives.tolist(), strict=True)
        for one in many
    }
    assert not pairs & own


def test_given_negatives_that_are_the_query_are_left_out(
    workspace: Workspace, tmp_path: Path
) -> None:
    rows = [
        {"query": one, "pos": [against], "neg": [one.lower(), COUNTER[at - 1]]}
        for at, (one, against) in enumerate(zip(ARGUMENTS, COUNTER, strict=True))
    ]
    file = lines(tmp_path / "train.jsonl", rows)
    found = bring(workspace, file, name="given", dev_share=0, test_share=0)[1]
    built = build_rows(found, TrainEmbeddingRecipe(dataset="given", negatives=2))
    pairs = zip(built.queries.tolist(), built.negatives.tolist(), strict=True)
    own = own_links(found)
    assert not {(query, one) for query, many in pairs for one in many} & own
    assert any("10 negatives of the data are the query itself" in note for note in built.notes)


def test_it_is_no_suspect_of_the_judge(workspace: Workspace, reader: DatasetReader) -> None:
    """A false negative is one that might be right; the query itself only scores high."""
    from workbench.data_check.suspects import _others

    class CheckedVersion:
        pass

    checked: Any = CheckedVersion()
    checked.reader = reader
    wrong, offered = map(np.array, zip(*sorted(own_links(reader)), strict=True))
    kept = _others(checked, np.append(wrong, 0), np.append(offered, 11), np.zeros(11, bool))
    assert (kept[0].tolist(), kept[1].tolist()) == ([0], [11])
