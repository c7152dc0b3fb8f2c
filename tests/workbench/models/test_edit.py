"""A contract changed: what is refused and why, what is written, and who hears of it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storage.records import Index, JobStatus, Model
from tests.storage import make
from tests.workbench.models import tiny
from tests.workbench.models.fakes import FakeContext, write_json, write_modules, write_plain
from workbench.errors import BadRecipe, InUse
from workbench.models.contract import Contract
from workbench.models.inspect import inspect_folder
from workbench.models.jobs import edit
from workbench.models.registry import new_model
from workbench.models.rules import Rules, answer_id
from workbench.prepare import prepare
from workbench.recipes.base import ContractRecipe
from workbench.recipes.data import AddModelRecipe
from workbench.workspace import Workspace

LLM = {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "max_position_embeddings": 128}


@pytest.fixture
def opened(home: Path) -> Iterator[Workspace]:
    workspace = Workspace.open(home)
    yield workspace
    workspace.close()


def word_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    words = {word: at for at, word in enumerate(("[UNK]", "yes", "no", "ja"))}
    made = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = Whitespace()
    made.save(str(folder / "tokenizer.json"))


def rules(folder: Path, *, trained: bool = False) -> Rules:
    found = inspect_folder(folder)
    return Rules(found, found.contract, trained)


def refused(rules: Rules, **wanted: Any) -> dict[str, str]:
    with pytest.raises(BadRecipe) as told:
        rules.apply(ContractRecipe.read(wanted))
    fields: dict[str, str] = told.value.details["fields"]
    return fields


def add(opened: Workspace, write: Any, **summary: Any) -> Model:
    id, folder = opened.models.new_folder()
    write(folder)
    contract = inspect_folder(folder).contract
    contract.write(folder)
    model = new_model(id, "mine", contract=contract.model_dump(), summary=summary)
    return opened.models.add(model)


def test_what_is_left_out_stays(tmp_path: Path) -> None:
    found = rules(write_plain(tmp_path / "m"))
    assert found.apply(ContractRecipe()) == found.contract
    new = found.apply(ContractRecipe.read({"query_prompt": "query: ", "title_separator": "\\n"}))
    assert (new.query_prompt, new.title_separator) == ("query: ", "\n")
    assert new.model_copy(update={"query_prompt": "", "title_separator": " "}) == found.contract


def test_each_field_that_makes_no_sense_has_its_sentence(tmp_path: Path) -> None:
    found = rules(write_plain(tmp_path / "m"))
    said = refused(
        found, kind="reranker", causal="yes", query_max_len=600, yes_token="ja", instruction="x"
    )
    assert set(said) == {"kind", "causal", "query_max_len", "yes_token", "instruction"}
    assert said["query_max_len"] == "The model reads at most 512 tokens."
    assert "no score head" in said["kind"]
    assert "encoder" in said["causal"]


def test_a_decoder_may_look_both_ways_and_then_take_its_first_token(tmp_path: Path) -> None:
    found = rules(write_plain(tmp_path / "m", **LLM))
    assert "causal attention" in refused(found, pooling="cls")["pooling"]
    new = found.apply(ContractRecipe(pooling="cls", causal="no"))
    assert (new.pooling, new.causal) == ("cls", False)


def test_a_language_model_may_be_a_reranker_with_its_answers(tmp_path: Path) -> None:
    folder = write_plain(tmp_path / "m", **LLM)
    word_tokenizer(folder)
    found = rules(folder)
    new = found.apply(ContractRecipe(kind="reranker", yes_token="ja"))
    assert (new.kind, new.architecture, new.yes_token, new.no_token) == (
        "reranker",
        "llm",
        "ja",
        "no",
    )
    assert "{query}" in new.prompt_template
    said = refused(
        found, kind="reranker", yes_token="oui", no_token="yes", prompt_template="{query}?"
    )
    assert said["yes_token"] == "The tokenizer has no single token for 'oui'."
    assert "{document}" in said["prompt_template"]
    said = refused(found, kind="reranker", query_max_len=100, passage_max_len=100)
    assert "together are 200 tokens" in said["passage_max_len"]
    assert answer_id(folder / "tokenizer.json", "no") == 2


def test_what_weights_were_trained_with_here_stays(tmp_path: Path) -> None:
    found = rules(write_plain(tmp_path / "m", **LLM), trained=True)
    said = refused(found, kind="reranker", pooling="mean", normalize="no", causal="no")
    assert set(said) == {"kind", "pooling", "normalize", "causal"}
    assert found.apply(ContractRecipe(query_prompt="q: ")).query_prompt == "q: "


def test_several_poolings_in_one_stay(tmp_path: Path) -> None:
    folder = write_modules(tmp_path / "m")
    both = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}
    write_json(folder / "1_Pooling" / "config.json", both)
    assert "several poolings" in refused(rules(folder), pooling="cls")["pooling"]


def test_record_contract_and_own_files_change_together(opened: Workspace) -> None:
    model = add(opened, lambda folder: write_modules(folder, "Normalize"), origin="added")
    folder = opened.models.folder("mine")
    (folder / "README.md").write_text("# mine\n")
    wanted = {"pooling": "cls", "normalize": "no", "query_prompt": "q: ", "passage_max_len": 99}
    done = edit(opened, "mine", ContractRecipe.read(wanted))
    assert done.changed == ("pooling", "normalize", "query_prompt", "passage_max_len")
    assert done.notes == ()
    now = opened.models.get(model.id)
    assert now.contract["pooling"] == "cls"
    assert Contract.read(folder) == Contract.model_validate(now.contract)
    # The folder alone says the same.
    (folder / "contract.json").unlink()
    again = inspect_folder(folder).contract
    assert (again.pooling, again.query_prompt) == ("cls", "q: ")
    assert "Normalize" not in (folder / "modules.json").read_text()
    assert "`query_prompt` is now `'q: '`" in (folder / "README.md").read_text()
    assert not list(folder.rglob("*.new"))


def test_nothing_is_changed_by_a_refusal_or_a_failure(
    opened: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(opened, write_modules, origin="added")
    folder = opened.models.folder("mine")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(BadRecipe):
        edit(opened, "mine", ContractRecipe(query_prompt="q: ", query_max_len=1000))

    def full(_self: Any, _model: Model) -> Model:
        raise OSError("disk full")

    monkeypatch.setattr(type(opened.models), "update", full)
    with pytest.raises(OSError, match="disk full"):
        edit(opened, "mine", ContractRecipe(query_prompt="q: ", pooling="max"))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_decoders_own_configuration_says_where_it_looks(opened: Workspace) -> None:
    add(opened, lambda folder: write_plain(folder, **LLM), origin="added")
    edit(opened, "mine", ContractRecipe(causal="no"))
    folder = opened.models.folder("mine")
    assert json.loads((folder / "config.json").read_text())["is_causal"] is False
    (folder / "contract.json").unlink()
    assert inspect_folder(folder).contract.causal is False


def an_index(model: Model) -> Index:
    about = {"version": 1, "type": "exact", "documents": 1, "bytes": 1}
    names = {"name": "old", "dataset_id": "d", "model": model.name, "model_id": model.id}
    return Index(id="i", path="indexes/i", **about, **names)


def test_an_index_hears_of_it_and_forbids_what_would_make_it_wrong(opened: Workspace) -> None:
    model = add(opened, write_modules, origin="added")
    opened.store.indexes.insert(an_index(model))
    done = edit(opened, "mine", ContractRecipe(document_prompt="d: "))
    assert "index 'old' keeps the settings it was built with" in done.notes[0]
    with pytest.raises(InUse, match="pooling would make the index 'old' wrong"):
        edit(opened, "mine", ContractRecipe(pooling="cls"))


def test_a_job_with_the_model_forbids_any_change(opened: Workspace) -> None:
    add(opened, write_modules, origin="added")
    job = make.job("j1", status=JobStatus.QUEUED)
    opened.store.jobs.insert(replace(job, recipe={"model": "mine"}))
    with pytest.raises(InUse, match="j1"):
        edit(opened, "mine", ContractRecipe(query_prompt="q: "))


def test_adding_refuses_at_the_click(opened: Workspace, tmp_path: Path) -> None:
    source = str(write_plain(tmp_path / "m"))
    with pytest.raises(BadRecipe, match="no score head"):
        prepare(AddModelRecipe(source=source, kind="reranker"), opened, False)
    assert prepare(AddModelRecipe(source=source, pooling="cls"), opened, False).pooling == "cls"


@pytest.mark.slow  # imports sentence-transformers
def test_a_model_added_with_another_pooling_is_used_with_it(
    opened: Workspace, tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    from workbench.models.jobs import run_add
    from workbench.models.load import load_embedding
    from workbench.models.locate import locate

    source = tiny.bert(tmp_path / "tiny")
    whole = tmp_path / "whole"
    SentenceTransformer(str(source)).save_pretrained(str(whole))
    for path in (source, whole):
        recipe = AddModelRecipe(source=str(path), pooling="cls")
        run_add(prepare(recipe, opened, False), FakeContext(opened))

    def vector(name: str) -> Any:
        return load_embedding(locate(opened, name), precision="fp32").encode(["the fox"], "query")

    np.testing.assert_allclose(vector("tiny"), vector("whole"), atol=1e-6)
    outside = SentenceTransformer(str(opened.models.folder("whole"))).encode("the fox")
    np.testing.assert_allclose(vector("whole")[0], outside / np.linalg.norm(outside), atol=1e-5)
    edit(opened, "whole", ContractRecipe(pooling="mean"))
    mean = load_embedding(locate(opened, str(source)), precision="fp32")
    np.testing.assert_allclose(vector("whole"), mean.encode(["the fox"], "query"), atol=1e-6)
    assert np.abs(vector("whole") - vector("tiny")).max() > 0.01
