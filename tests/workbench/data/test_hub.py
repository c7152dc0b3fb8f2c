"""A hub's data set by id, and one sent back: the real library on folders, a hub that is a fake."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.workbench.data.fakes import bring, context, everything, lines
from workbench.data import hub
from workbench.data.job import run_import
from workbench.data.push import run, stage
from workbench.errors import BadInput
from workbench.prepare import prepare
from workbench.recipes.data import ImportRecipe
from workbench.recipes.push import PushDataRecipe
from workbench.takeaway import push
from workbench.takeaway.push import PushFailed
from workbench.workspace import Workspace

pytestmark = pytest.mark.slow  # The datasets library takes seconds to import.


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Any]:
    """The ``datasets`` library, for which one folder stands for every repository."""
    monkeypatch.setattr(hub, "hub_is_offline", lambda: False)

    def of(folder: Path) -> Any:
        import datasets

        cache = str(tmp_path / "cache")
        fake = SimpleNamespace(
            get_dataset_config_names=lambda _repo: datasets.get_dataset_config_names(str(folder)),
            load_dataset=lambda _repo, *config, **more: datasets.load_dataset(
                str(folder), *config, cache_dir=cache, **more
            ),
        )
        monkeypatch.setattr(hub, "load_library", lambda: fake)
        return fake

    return of


def fetched(workspace: Workspace, **more: Any) -> Any:
    name = workspace.datasets.free_name("hub")
    recipe = ImportRecipe(paths=["hf:owner/name"], name=name, **more)
    return run_import(recipe, context(workspace)), workspace.datasets.read(name)


def test_what_was_sent_comes_back(
    workspace: Workspace, tmp_path: Path, library: Callable[[Path], Any]
) -> None:
    rows = [{"query": f"q{n}", "pos": [{"title": "T", "text": f"p{n}"}]} for n in range(30)]
    pairs = [{"text1": f"l{n}", "text2": f"r{n}", "score": n / 4} for n in range(30)]
    files = [lines(tmp_path / "rows.jsonl", rows), lines(tmp_path / "pairs.jsonl", pairs)]
    sent, reader = bring(workspace, *files)
    folder = tmp_path / "sent"
    folder.mkdir()
    stage(reader, folder)
    library(folder)
    result, again = fetched(workspace)
    for name in ("queries", "documents", "judgments", "pairs", "splits", "pair_splits"):
        assert result[name] == sent[name], name
    assert everything(again) == everything(reader)
    order = [("left", "ascending")]
    assert again.pairs().sort_by(order).to_pylist() == reader.pairs().sort_by(order).to_pylist()
    ids = lambda one: sorted(one.queries()["id"].to_pylist())  # noqa: E731
    assert ids(again) == ids(reader)


def test_one_split_with_mapped_columns(
    workspace: Workspace, tmp_path: Path, library: Callable[[Path], Any]
) -> None:
    for split in ("train", "validation"):
        rows = [{"frage": f"{split} {n}?", "antwort": f"a{n}"} for n in range(3)]
        lines(tmp_path / f"set/{split}.jsonl", rows)
    library(tmp_path / "set")
    result, reader = fetched(
        workspace, hub_split="validation", mapping=["query=frage", "positive=antwort"]
    )
    assert result["splits"] == {"train": 0, "dev": 3, "test": 0}
    assert everything(reader)["validation 1?"][1] == ["a1"]
    with pytest.raises(BadInput, match="no split 'test'") as refused:
        fetched(workspace, hub_split="test")
    assert "train, validation" in refused.value.hint
    with pytest.raises(BadInput, match="no subset 'de'"):
        fetched(workspace, hub_subset="de")


def test_what_the_library_raises_is_said_without_the_token(
    workspace: Workspace, library: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_repo: str) -> None:
        raise ConnectionError("refused: Bearer hf_secret")

    library(Path("nowhere")).get_dataset_config_names = fail
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with pytest.raises(hub.HubFailed) as failed:
        fetched(workspace)
    assert "***" in failed.value.message
    assert "hf_secret" not in str(failed.value)


@pytest.mark.parametrize(
    ("path", "message"),
    [("hf:owner/name", "HF_HUB_OFFLINE"), ("hf:../../etc", "not a data set of the Hub")],
)
def test_it_is_refused_at_the_click(path: str, message: str, workspace: Workspace) -> None:
    with pytest.raises(BadInput, match=message):
        prepare(ImportRecipe(paths=[path], name="x"), workspace, False)


class Api:
    """Takes what is sent; remembers what it saw."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def create_repo(self, repo: str, **more: Any) -> None:
        self.seen.append((repo, more))

    def preupload_lfs_files(self, _repo: str, _additions: list[Any], **_: Any) -> None:
        """What is large goes ahead of the commit."""

    def create_commit(self, _repo: str, operations: list[Any], **more: Any) -> Any:
        self.seen.append(({Path(one.path_in_repo).name for one in operations}, more))


def test_pushing(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, reader = bring(workspace, lines(tmp_path / "a.jsonl", [{"query": "q", "pos": ["p"]}]))
    recipe = PushDataRecipe.read({"dataset": reader.name, "repo": "me/data"})
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    api = Api()
    monkeypatch.setattr(push, "_api", lambda _token: api)
    done = run(recipe, context(workspace))
    assert done["address"] == "https://huggingface.co/datasets/me/data"
    assert [more["repo_type"] for _, more in api.seen] == ["dataset", "dataset"]
    assert api.seen[1][0] == {"README.md", "corpus.parquet", "queries.parquet", "train.parquet"}
    assert "hf_secret" not in str(api.seen) + str(done)
    monkeypatch.setattr(api, "create_repo", lambda *_, **__: (_ for _ in ()).throw(OSError("gone")))
    with pytest.raises(PushFailed, match="gone") as failed:
        run(recipe, context(workspace))
    assert "download the data set" in failed.value.hint
