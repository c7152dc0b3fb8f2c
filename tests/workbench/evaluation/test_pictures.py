"""Both directions over pictures, against plain products of the same vectors."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workbench.data.fakes import bring
from tests.workbench.pictures.fakes import noise
from tests.workbench.pictures.test_importing import rows, written
from workbench.data.reader import DatasetReader
from workbench.evaluation.measure import measure, retrieve
from workbench.evaluation.pictures import FromPictures, OnPictures, Turned, has_pictures
from workbench.evaluation.pool import whole_pool
from workbench.evaluation.results import save_measured
from workbench.models.contract import Contract
from workbench.workspace import Workspace


class Hashed:
    """A model of pictures and texts whose vectors follow from the content alone."""

    contract = Contract(kind="image-text", dimensions=8)
    dimensions, device, precision = 8, "cpu", "fp32"

    def encode(self, texts: Any, _role: Any = "query", **_: Any) -> Any:
        return np.stack([self._vector(text.encode()) for text in texts])

    def encode_pictures(self, paths: Any, **_: Any) -> Any:
        return np.stack([self._vector(Path(path).read_bytes()) for path in paths])

    def _vector(self, data: bytes) -> Any:
        seed = int.from_bytes(hashlib.sha256(data).digest()[:4], "big")
        vector = np.random.default_rng(seed).normal(size=8).astype(np.float32)
        return vector / np.linalg.norm(vector)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Any:
    workspace = Workspace.open(tmp_path_factory.mktemp("both") / "home")
    files = {
        f"{split}/{at}.png": noise(at + 100 * (split == "test"))
        for split in ("train", "test")
        for at in range(12)
    }
    captions = {
        f"{split}/metadata.jsonl": rows(
            *({"file_name": f"{at}.png", "text": f"{split} {at // 2}"} for at in range(10)),
            # Another caption of a test picture that stands in train.
            *([{"file_name": "0.png", "text": "once more"}] if split == "test" else []),
        )
        for split in ("train", "test")
    }
    folder = written(tmp_path_factory.mktemp("set") / "s", {**files, **captions})
    _, found = bring(workspace, folder, name="both", dev_share=0.0)
    yield found
    workspace.close()


def ranked(scores: Any, ids: list[str]) -> list[str]:
    order = sorted(range(len(ids)), key=lambda at: (-scores[at], ids[at]))
    return [ids[at] for at in order]


def test_captions_search_all_pictures(reader: DatasetReader) -> None:
    model: Any = Hashed()
    pool = whole_pool(reader, "test")
    run = retrieve(OnPictures(model, reader.folder), pool, k=24)
    documents = reader.documents().to_pylist()
    ids = [one["id"] for one in documents]
    vectors = model.encode_pictures([reader.folder / one["picture"] for one in documents])
    assert len(documents) == 24
    for at, text in enumerate(pool.texts):
        wanted = ranked(vectors @ model.encode([text])[0], ids)
        assert [ids[row] for row in run.documents[at]] == wanted


def test_pictures_search_all_captions(reader: DatasetReader) -> None:
    model: Any = Hashed()
    turned = Turned(reader)
    pool = whole_pool(turned, "test")
    run = retrieve(FromPictures(OnPictures(model, reader.folder)), pool, k=20)
    captions = reader.queries().sort_by("row").to_pylist()
    ids = [one["id"] for one in captions]
    texts = model.encode([one["text"] for one in captions])
    # The pictures of the test captions, and each with all its captions.
    assert len(pool.queries) == 10 and pool.documents == len(captions) == 11
    for at, row in enumerate(pool.queries.tolist()):
        (one,) = reader.documents_at([row]).to_pylist()
        wanted = ranked(texts @ model.encode_pictures([reader.folder / one["picture"]])[0], ids)
        found = [row for row in run.documents[at].tolist() if row >= 0]
        assert [ids[row] for row in found] == wanted
        said = {captions[row]["text"] for row in pool.judgments[row]}
        number = int(one["id"].split("/")[1].split(".")[0])
        assert said == {f"test {number // 2}"} | ({"once more"} if number == 0 else set())


def test_what_pictures_found_is_kept_by_their_ids(reader: DatasetReader, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    turned = Turned(reader)
    pool = whole_pool(turned, "test")
    encoder: Any = FromPictures(OnPictures(Hashed(), reader.folder))  # type: ignore[arg-type]
    measured = measure(encoder, pool)
    save_measured(tmp_path, turned, "test", "m", pool.queries, measured)
    run = pq.read_table(tmp_path / "run.parquet").to_pylist()
    assert {one["query_id"] for one in run} == {f"test/{at}.png" for at in range(10)}
    texts = dict(
        zip(reader.queries()["id"].to_pylist(), reader.queries()["text"].to_pylist(), strict=True)
    )
    qrels = pq.read_table(tmp_path / "qrels.parquet").to_pylist()
    for one in qrels:
        number = int(one["query_id"].split("/")[1].split(".")[0])
        assert texts[one["document_id"]] in (f"test {number // 2}", "once more")
    assert len(qrels) == 11


def test_documents_without_a_picture_are_read_as_texts(
    workspace_of_texts: DatasetReader,
) -> None:
    reader = workspace_of_texts
    assert not has_pictures(reader)
    model: Any = Hashed()
    pool = whole_pool(reader, "train")
    run = retrieve(OnPictures(model, reader.folder), pool, k=3)
    vectors = model.encode(reader.documents()["text"].to_pylist())
    best = int(np.argmax(vectors @ model.encode(pool.texts)[0]))
    assert run.documents[0, 0] == best


@pytest.fixture
def workspace_of_texts(tmp_path: Path) -> Any:
    workspace = Workspace.open(tmp_path / "home")
    path = tmp_path / "a.jsonl"
    said = [{"query": f"q{at}", "pos": [f"p{at}"]} for at in range(3)]
    path.write_text("".join(json.dumps(one) + "\n" for one in said))
    yield bring(workspace, path, dev_share=0.0, test_share=0.0)[1]
    workspace.close()
