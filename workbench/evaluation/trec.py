"""Evaluations as TREC run and qrels files, which every other tool reads. Torch-free.

    run:    query-id Q0 document-id rank score model
    qrels:  query-id 0 document-id grade

Other tools order a run by its scores and break ties by an order of their own, so the scores written
here decrease strictly: where two were equal, the later one is the next smaller float32.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from storage.records import Evaluation
from workbench.data.reader import DatasetReader
from workbench.errors import BadInput, NotFound
from workbench.evaluation.registry import QRELS_FILE, QUERIES_FILE, RUN_FILE
from workbench.evaluation.results import judged

if TYPE_CHECKING:
    from workbench.workspace import Workspace

#: The files' columns are separated by white space, so an id must not have any.
_UNWRITABLE = re.compile(r"[\s%]")
_NAME = re.compile(r"[^\w.+-]+")


@dataclass(frozen=True, slots=True)
class TrecFile:
    """A file's name and its lines, each with its end."""

    name: str
    lines: Callable[[], Iterator[str]]


def trec_files(workspace: "Workspace", evaluations: Sequence[Evaluation]) -> list[TrecFile]:
    """A run and its qrels for each evaluation, named after the model; of other data than the first
    one's (a second data set), after that too. The qrels have exactly the queries that were
    measured. Raises :class:`NotFound` where a file is gone."""
    found: dict[str, TrecFile] = {}
    for one in evaluations:
        folder = workspace.path(one.path)
        if not (folder / RUN_FILE).is_file():
            raise NotFound(f"The run of the evaluation '{one.id}' is missing.", "Evaluate again.")
        wanted = one.model
        if _ground(one) != _ground(evaluations[0]):
            wanted = f"{one.model}-{_data(workspace, one)}"
        name = _NAME.sub("-", wanted).strip("-.") or one.id
        name = f"{name}-{one.id}" if f"{name}.run" in found else name
        for suffix, lines in (("run", _run(folder, one)), ("qrels", _qrels(workspace, one))):
            found[f"{name}.{suffix}"] = TrecFile(f"{name}.{suffix}", lines)
    return list(found.values())


def _ground(one: Evaluation) -> tuple[str, int, str]:
    return one.dataset_id, one.version, one.split


def _data(workspace: "Workspace", one: Evaluation) -> str:
    """The data set's name, or its id where it was removed."""
    names = {known.id: known.name for known in workspace.datasets.list()}
    return names.get(one.dataset_id, one.dataset_id)


def export(workspace: "Workspace", evaluations: Sequence[Evaluation], target: Path) -> list[Path]:
    """Write the files into a folder, each beside and renamed; raises :class:`BadInput` where it
    cannot be written."""
    files = trec_files(workspace, evaluations)
    try:
        target.mkdir(parents=True, exist_ok=True)
        return [_write(target / file.name, file.lines()) for file in files]
    except OSError as error:
        raise BadInput(
            f"The files cannot be written to {target}: {error.strerror or error}.",
            "Choose another folder.",
        ) from error


def _write(path: Path, lines: Iterator[str]) -> Path:
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as out:
            out.writelines(lines)
        return partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)


def strictly_decreasing(
    queries: NDArray[np.int64], scores: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Scores (n,) in rank order within each query, lowered where they would tie."""
    lowered = scores.astype(np.float32, copy=True)
    within = queries[1:] == queries[:-1]
    while (tied := within & (lowered[1:] >= lowered[:-1])).any():
        lowered[1:][tied] = np.nextafter(lowered[:-1][tied], np.float32(-np.inf))
    return lowered


def _run(folder: Path, evaluation: Evaluation) -> Callable[[], Iterator[str]]:
    def lines() -> Iterator[str]:
        table = pq.read_table(folder / RUN_FILE)
        scores = strictly_decreasing(table["query"].to_numpy(), table["score"].to_numpy())
        model = _written(evaluation.model)
        rows = zip(
            _ids(table["query_id"]),
            _ids(table["document_id"]),
            table["rank"].to_pylist(),
            scores.tolist(),
            strict=True,
        )
        for query, document, rank, score in rows:
            # Nine digits are what a float32 needs to be read back as it was.
            yield f"{query} Q0 {document} {rank} {score:.9g} {model}\n"

    return lines


def _qrels(workspace: "Workspace", evaluation: Evaluation) -> Callable[[], Iterator[str]]:
    def lines() -> Iterator[str]:
        table = _judgments(workspace, evaluation)
        rows = (_ids(table["query_id"]), _ids(table["document_id"]), table["grade"].to_pylist())
        for query, document, grade in zip(*rows, strict=True):
            yield f"{query} 0 {document} {grade}\n"

    return lines


def _judgments(workspace: "Workspace", evaluation: Evaluation) -> Any:
    folder = workspace.path(evaluation.path)
    if (folder / QRELS_FILE).is_file():
        return pq.read_table(folder / QRELS_FILE)
    # Measured before evaluations kept their judgments: the data set's version has them.
    reader: DatasetReader = workspace.datasets.read(evaluation.dataset_id, evaluation.version)
    measured = pq.read_table(folder / QUERIES_FILE)["query"].to_numpy()
    return judged(reader, evaluation.split, measured)


def _ids(column: Any) -> Iterable[str]:
    """Ids as they can be written; most repeat, so each is looked at once."""
    encoded = column.combine_chunks().dictionary_encode()
    known = [_written(id) for id in encoded.dictionary.to_pylist()]
    return (known[at] for at in encoded.indices.to_pylist())


def _written(id: str) -> str:
    return _UNWRITABLE.sub(lambda found: quote(found.group()), id)
