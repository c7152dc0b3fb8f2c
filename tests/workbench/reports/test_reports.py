"""Reports, slices, the published table and the history, from what is on record."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from storage.records import Job, JobStatus
from tests.storage import make
from tests.workbench.reports.conftest import METRIC, NAMES, kept
from workbench.cli.main import main
from workbench.errors import BadInput, NotFound
from workbench.reports.gather import gather, published, published_markdown, slices_of
from workbench.reports.history import history
from workbench.reports.html import escaped
from workbench.reports.write import report
from workbench.workspace import Workspace


class Page(HTMLParser):
    """Tags that are open, all tags with their attributes, and the text of each cell."""

    VOID = ("meta", "rect", "line", "circle", "polyline")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.stack.pop() == tag


def test_html_is_one_file_with_charts_and_runs_nothing(workspace: Workspace, compared: Job) -> None:
    text = report(workspace, compared.id, "html")
    page = Page(text)
    names = [tag for tag, _ in page.tags]
    assert page.stack == []
    assert names.count("svg") == 3 and "script" not in names and "link" not in names
    # Nothing is fetched: no address but the name of SVG's namespace.
    assert set(re.findall(r"https?://[^\"' <]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not {"src", "href"} & {name for _, attrs in page.tags for name in attrs}
    assert "tuned &lt;b&gt;|_" in text and "<b>" not in text
    assert "<strong>" in text and "Chinese characters" in text


def test_markdown_has_every_section(workspace: Workspace, compared: Job) -> None:
    text = report(workspace, compared.id, "md")
    heads = re.findall(r"^#+ (.*)$", text, flags=re.M)
    assert heads == [
        "Comparison on tea",
        "tea, test queries",
        "Reduced dimensions",
        "By kind of query",
        "How",
    ]
    assert "p < 0.001 | 60 / 0 / 0 | better |" in text
    assert "| 128 | 0.450 |" in text and "| 1 | 30 |" in text
    for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.M):
        widths = {line.replace("\\|", "").count("|") for line in table.splitlines()}
        assert len(widths) == 1


def test_latex_is_escaped_and_its_rows_are_whole(workspace: Workspace, compared: Job) -> None:
    text = report(workspace, compared.id, "tex")
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 4
    assert r"\toprule" in text and r"\textbf{" in text
    assert r"tuned $<$b$>$\textbar{}\_" in text
    for columns, body in re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end", text, flags=re.S):
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert rows and all(line.count(" & ") == len(columns) - 1 for line in rows)
        assert body.count("{") == body.count("}")
    assert escaped("a_b%c\\d{") == r"a\_b\%c\textbackslash{}d\{"


def test_a_report_is_found_by_the_evaluations_id_too(workspace: Workspace, compared: Job) -> None:
    one = kept(workspace, "base", job=compared.id)
    assert gather(workspace, one.id).id == compared.id
    with pytest.raises(NotFound):
        gather(workspace, "nothing")
    workspace.store.jobs.insert(make.job("tr1"))
    with pytest.raises(BadInput, match="is no comparison"):
        gather(workspace, "tr1")
    failed = make.job("ev2", task="evaluate", status=JobStatus.FAILED)
    workspace.store.jobs.insert(failed)
    with pytest.raises(BadInput, match="it is failed"):
        gather(workspace, "ev2")


def test_slices_are_over_the_queries_that_all_were_asked(
    workspace: Workspace, compared: Job
) -> None:
    result = compared.result or {}
    found = {one.by: one for one in slices_of(workspace, result, METRIC)}
    script = {one.name: one for one in found["script"].slices}
    assert {name: one.queries for name, one in script.items()} == {
        "Latin": 40,
        "Chinese characters": 20,
    }
    base, tuned = (one[0] for one in script["Latin"].values)
    assert tuned - base == pytest.approx(0.1)
    assert [one.name for one in found["relevant"].slices] == ["1", "2"]
    assert slices_of(workspace, result, "none@1") == []
    assert slices_of(workspace, {**result, "evaluations": ["gone"]}, METRIC) == []


def trained(workspace: Workspace, name: str, base: str) -> str:
    model = workspace.store.models.insert(make.model(f"id-{name}", name=name, base=base))
    return str(model.id)


def test_the_published_table_has_a_row_per_base(workspace: Workspace) -> None:
    def measured(model: str, value: float, at: float, **more: Any) -> None:
        kept(workspace, model, metrics={METRIC: value}, created_at=at, **more)

    old, new, other = (
        trained(workspace, name, base)
        for name, base in (("old", "MiniLM"), ("new", "MiniLM"), ("e5-tuned", "/models/e5"))
    )
    cross = trained(workspace, "cross-tuned", "cross")
    measured("MiniLM", 0.5, 1.0)
    measured("old", 0.9, 2.0, model_id=old)
    measured("new", 0.6, 3.0, model_id=new)
    # The base in another way, and the tuned one cut, or read at another length: none counts.
    measured("MiniLM", 0.1, 4.0, settings={"max_queries": 5})
    measured("new", 0.2, 5.0, model_id=new, settings={"cut_to": 32})
    measured("new at 64 tokens", 0.99, 5.5, model_id=new, settings={"own_lengths": False})
    measured("e5", 0.7, 6.0)
    measured("e5-tuned", 0.65, 7.0, model_id=other)
    second = {"searched": "top 50 of bm25", "kind": "reranker"}
    measured("bm25 + cross", 0.3, 8.0, settings=second)
    measured("bm25 + cross-tuned", 0.4, 9.0, model_id=cross, settings=second)
    rows = published(workspace, "tea")
    assert [(row.model, row.original, row.finetuned, row.trained) for row in rows] == [
        ("cross", 0.3, 0.4, "bm25 + cross-tuned"),
        ("e5", 0.7, 0.65, "e5-tuned"),
        ("MiniLM", 0.5, 0.6, "new"),
    ]
    assert published_markdown(rows).splitlines() == [
        "| Model | Original (MAP@100) | Finetuned (MAP@100) |",
        "| --- | ---: | ---: |",
        "| cross | 0.300 | **0.400** |",
        "| e5 | **0.700** | 0.650 |",
        "| MiniLM | 0.500 | **0.600** |",
    ]
    assert published(workspace, "tea", "dev") == []


def test_history_keeps_every_number(workspace: Workspace) -> None:
    settings = {"max_queries": 5, "top_k": 100, "candidates": 50}
    first = kept(workspace, "base", created_at=1.0, settings=settings)
    again = kept(workspace, "base", created_at=2.0, version=4)
    staged = kept(workspace, "bm25 + base", created_at=3.0, settings={"cut_to": 32})
    kept(workspace, "other", created_at=4.0)
    found = history(workspace, model="base")
    assert [one.id for one in found] == [staged.id, again.id, first.id]
    assert [one.version for one in found] == [3, 4, 3]
    assert (found[0].cut_to, found[0].dataset) == (32, "tea")
    # What is as it always is, is not said.
    assert found[2].settings == {"max_queries": 5}
    assert len(history(workspace, dataset="tea")) == 4
    assert history(workspace, dataset="coffee") == []


def test_history_has_what_training_measured_on_dev(workspace: Workspace) -> None:
    result = {
        "model": "tuned",
        "model_id": "m1",
        "baseline_name": "the original",
        "dev_queries": 40,
    }
    recipe = {"dataset": "tea", "dataset_version": 3, "model": "base", "epochs": 2}
    about = {"task": "train-embedding", "recipe": recipe, "result": result, "started_at": 9e9}
    workspace.store.jobs.insert(make.job("tr1", **about, attempt=1, status=JobStatus.RUNNING))
    values = (("baseline", 0, 0.5), ("train", 10, 0.1), ("dev", 10, 0.6), ("dev", 20, 0.55))
    for kind, step, value in values:
        row = {"step": step, "kind": kind, "at": 9e9 + step, "numbers": {METRIC: value}}
        workspace.store.metrics.append("tr1", 1, [row])
    found = history(workspace, source="training")
    assert [(one.model, one.step, one.metrics[METRIC]) for one in found] == [
        ("tuned", 20, 0.55),
        ("tuned", 10, 0.6),
        ("base", 0, 0.5),
    ]
    assert all((one.split, one.queries, one.version) == ("dev", 40, 3) for one in found)
    assert not any(one.removed for one in found) and len({one.id for one in found}) == 3
    assert [one.step for one in history(workspace, model="base")] == [0]
    # A second stage: the baseline is the first stage's order, and the base is dev's first point.
    row = {"step": 0, "kind": "dev", "at": 9e9 + 1, "numbers": {METRIC: 0.1}}
    workspace.store.metrics.append("tr1", 1, [row])
    staged = [(one.model, one.metrics[METRIC]) for one in history(workspace, source="training")]
    assert staged[-2:] == [("base", 0.1), ("the original", 0.5)]
    # Another data set of the name came later: what was measured then is of a removed one.
    job = workspace.jobs.get("tr1")
    workspace.store.jobs.rewrite(replace(job, recipe={**recipe, "dataset": "coffee"}), job)
    assert all(one.removed for one in history(workspace, dataset="coffee"))


def test_history_has_each_cutoff_of_a_matrix(workspace: Workspace) -> None:
    one = kept(workspace, "bm25", job="mx1")
    top = [{"k": k, "hit_rate": k / 10, "mrr": 0.3, "map": 0.2, "ndcg": 0.4} for k in (1, 2)]
    row = {"retriever": "bm25", "reranker": "", "top": top, "evaluation": one.id}
    result = {"rows": [{**row, "milliseconds": {"search": 2.5, "total": 2.5}}]}
    workspace.store.jobs.insert(make.job("mx1", task="matrix", result=result))
    (found,) = history(workspace, source="matrix")
    assert found.metrics["hit_rate@1"] == 0.1 and found.metrics["ndcg@2"] == 0.4
    assert found.metrics[METRIC] == 0.5 and found.milliseconds == 2.5


def test_history_has_what_smaller_forms_and_blends_cost(workspace: Workspace) -> None:
    rows = [{"name": "original", METRIC: 0.5, "bytes": 9}, {"name": "int4", "error": "no"}]
    lab = {"model": "base", "dataset": "tea", "dataset_version": 3, "split": "test", "queries": 60}
    lab |= {"models": rows, "vectors": [{"name": "int8", METRIC: 0.4}]}
    recipe = {"dataset": "tea", "model": "base"}
    workspace.store.jobs.insert(make.job("lab1", task="quantize-lab", recipe=recipe, result=lab))
    blend = {"tuned": "t", "base": "b", "rows": [{"ratio": 0.25, "dataset": "x", METRIC: 0.3}]}
    workspace.store.jobs.insert(make.job("bl1", task="blend", result=blend))
    found = history(workspace, source="quantization")
    assert {one.model: one.metrics for one in found} == {
        "base, models: original": {METRIC: 0.5},
        "base, vectors: int8": {METRIC: 0.4},
    }
    (mixed,) = history(workspace, source="blend")
    assert mixed.model == "0.25 of t and the rest of b" and mixed.dataset == "x"


def test_a_data_set_that_was_removed_keeps_its_name_in_history(workspace: Workspace) -> None:
    first = kept(workspace, "base", job="ev1", dataset_id="gone1")
    second = kept(workspace, "base", job="ev1", dataset_id="gone2")
    alone = kept(workspace, "base", dataset_id="gone3", settings={"dataset": "milk"})
    nothing = kept(workspace, "base", dataset_id="gone4")
    result = {
        "evaluations": [first.id],
        "second_dataset": {"dataset": "cocoa", "evaluations": [second.id]},
    }
    recipe = {"dataset": "coffee"}
    workspace.store.jobs.insert(make.job("ev1", task="evaluate", recipe=recipe, result=result))
    names = {one.id: (one.dataset, one.removed) for one in history(workspace)}
    assert names == {
        first.id: ("coffee", True),
        second.id: ("cocoa", True),
        alone.id: ("milk", True),
        nothing.id: ("gone4", True),
    }
    assert [one.id for one in history(workspace, dataset="coffee")] == [first.id]


def test_the_command_line(workspace: Workspace, compared: Job, capsys: Any, tmp_path: Any) -> None:
    home = str(workspace.home)

    def run(*argv: str) -> Any:
        assert main(["--home", home, "--json", *argv]) == 0
        return json.loads(capsys.readouterr().out)

    out = tmp_path / "report.html"
    assert run("evaluations", "report", "ev1", "--format", "html", "--output", str(out)) == {
        "id": "ev1",
        "format": "html",
        "file": str(out),
    }
    assert out.read_text().startswith("<!doctype html>")
    assert "# Comparison on tea" in run("evaluations", "report", "ev1")["text"]
    assert main(["--home", home, "evaluations", "report", "ev1", "--output", str(tmp_path)]) == 2
    assert "cannot be written" in capsys.readouterr().err

    (sliced,) = run("evaluations", "slices", "ev1", "--by", "script")["slicings"]
    assert sliced["models"] == list(NAMES)
    assert [one["queries"] for one in sliced["slices"]] == [40, 20]
    assert main(["--home", home, "evaluations", "slices", "ev1"]) == 0
    assert "Chinese characters" in capsys.readouterr().out

    rows = run("evaluations", "history", "--model", NAMES[0])
    assert [(row["model"], row["dataset"], row["queries"]) for row in rows] == [("base", "tea", 60)]
    assert run("evaluations", "history", "--source", "matrix") == []
    assert main(["--home", home, "evaluations", "history"]) == 0
    assert "comparison" in capsys.readouterr().out
    assert run("evaluations", "published", "--dataset", "tea")["rows"] == []
    workspace.store.jobs.insert(make.job("one", recipe={"epochs": 1, "seed": 1}))
    workspace.store.jobs.insert(make.job("two", recipe={"epochs": 2, "seed": 1}))
    found = run("jobs", "diff", "one", "two")["differences"]
    assert found == [{"field": "epochs", "first": 1, "second": 2}]
    assert main(["--home", home, "jobs", "diff", "one", "one"]) == 0
    assert "are the same" in capsys.readouterr().out
