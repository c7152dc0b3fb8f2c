"""Sends a data set to a hub, laid out as MTEB's retrieval sets are. Torch-free.

``corpus``, ``queries`` and ``qrels`` by split, as Parquet, with scored pairs beside them where
there are any; the card names them, so that ``hf:OWNER/NAME`` reads them back. That layout has no
place for given negatives: an export keeps them.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.data.export_held import told
from workbench.data.reader import DatasetReader
from workbench.data.splits import SPLITS
from workbench.jobs.reporting import JobContext
from workbench.recipes.push import PushDataRecipe
from workbench.takeaway.push import send

_HUB_NAMES = {"train": "train", "dev": "validation", "test": "test"}


def run(recipe: PushDataRecipe, context: JobContext) -> dict[str, Any]:
    """Upload a data set; returns its address, and what the layout has no place for. Raises
    :class:`workbench.takeaway.push.PushFailed`."""
    reader = context.workspace.datasets.read(recipe.dataset, recipe.dataset_version)
    address = send(lambda folder: stage(reader, folder), recipe, context, kind="dataset")
    about = {"dataset": reader.name, "repo": recipe.repo, "address": address}
    return {**about, "private": recipe.private, "left_out": left_out(reader)}


def left_out(reader: DatasetReader) -> list[str]:
    """What a hub's layout has no place for, in sentences with how many there are."""
    candidates = reader.candidates()
    counts = Counter(
        candidates=candidates.num_rows, scores=candidates.num_rows - candidates["score"].null_count
    )
    for table in reader.iter_documents():
        counts["pictures"] += table.num_rows - table["picture"].null_count
    return told(counts, ())


def stage(reader: DatasetReader, folder: Path) -> None:
    """Write the files of a hub's repository into an empty folder."""
    files: dict[str, dict[str, str]] = {}
    if reader.counts["documents"]:
        _write(folder / "corpus.parquet", _corpus(reader))
        files["corpus"] = {"corpus": "corpus.parquet"}
    if reader.counts["queries"]:
        _write(folder / "queries.parquet", [_queries(reader)])
        files["queries"] = {"queries": "queries.parquet"}
    for split in SPLITS:
        if reader.counts["splits"].get(split):
            target = f"qrels/{_HUB_NAMES[split]}.parquet"
            _write(folder / target, [_qrels(reader, split)])
            files.setdefault("qrels", {})[_HUB_NAMES[split]] = target
        pairs = reader.pairs(split).select(["left", "right", "score", "fields"])
        if pairs.num_rows:
            target = f"pairs/{_HUB_NAMES[split]}.parquet"
            _write(folder / target, [pairs])
            files.setdefault("pairs", {})[_HUB_NAMES[split]] = target
    (folder / "README.md").write_text(card(reader, files), encoding="utf-8")


def card(reader: DatasetReader, files: dict[str, dict[str, str]]) -> str:
    """The repository's README: which files are what, for people and for the hub."""
    lines = ["---", "configs:"]
    for config, by_split in files.items():
        lines += [f"- config_name: {config}", "  data_files:"]
        for split, path in by_split.items():
            lines += [f"  - split: {split}", f"    path: {path}"]
    counts = reader.counts
    said = [f"{counts[name]:,} {name}" for name in ("documents", "queries", "judgments", "pairs")]
    lines += ["tags:", "- retrieval", "---", f"# {reader.name}", "", ", ".join(said) + ".", ""]
    return "\n".join(lines)


def _write(path: Path, tables: Iterator[pa.Table] | list[pa.Table]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = None
    for table in tables:
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _corpus(reader: DatasetReader) -> Iterator[pa.Table]:
    for table in reader.iter_documents():
        chosen = table.select(["id", "title", "text", "fields"])
        yield chosen.rename_columns(["_id", "title", "text", "fields"])


def _queries(reader: DatasetReader) -> pa.Table:
    chosen = reader.queries().select(["id", "text", "prompt", "fields"])
    return chosen.rename_columns(["_id", "text", "prompt", "fields"])


def _qrels(reader: DatasetReader, split: str) -> pa.Table:
    """The judgments as query-id, corpus-id and score."""
    queries = reader.queries(split)
    names = dict(zip(queries["row"].to_pylist(), queries["id"].to_pylist(), strict=True))
    judged = reader.judgments(split)
    documents = reader.documents_at(judged["document"].to_pylist())["id"]
    ids = pa.array([names[row] for row in judged["query"].to_pylist()], pa.string())
    columns = {"query-id": ids, "corpus-id": documents, "score": judged["grade"].cast(pa.int64())}
    return pa.table(columns)
