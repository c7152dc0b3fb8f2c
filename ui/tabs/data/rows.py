"""What is in one data set: counts and notes, rows by page, lengths, and the problem list."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.cards import set_aside_text
from ui.kit.charts import histogram
from ui.kit.events import on
from ui.kit.markup import EMPTY, badge, clipped, facts, heading, join, pick, piece, table
from ui.kit.pager import Pager
from ui.routes.pictures import picture_html
from ui.tabs.data.section import Section, Shown
from ui.words import sentences, t
from ui.words.amounts import count, size
from workbench.records import Dataset, Job

PAGE = 10
PROBLEMS = 20
#: Texts of one cell that are shown; the rest is counted.
TEXTS = 3
_PLOT: dict[str, Any] = {"show_label": False, "min_width": 300}


class RowsSection(Section):
    """Rows by page, the lengths of the texts, and what was wrong with the files."""

    def __init__(self, shown: Shown) -> None:
        super().__init__(shown)
        with gr.Column(visible=False) as self.box, gr.Tabs():
            with gr.Tab(t("rows.tab")):
                with gr.Row(equal_height=False):
                    self.split = gr.Radio(
                        _split_choices(),
                        value="",
                        label=t("rows.split"),
                        interactive=True,
                        min_width=240,
                        elem_id="rows-split",
                    )
                    self.find = gr.Textbox(
                        label=t("rows.find"),
                        placeholder=t("rows.find_hint"),
                        max_lines=1,
                        interactive=True,
                        min_width=200,
                        elem_id="rows-find",
                    )
                self.table = piece(elem_id="rows-table")
                self.pager = Pager(PAGE, "rows")
            with gr.Tab(t("rows.lengths")), gr.Row(equal_height=False):
                self.queries = gr.Plot(label=t("rows.query_lengths"), **_PLOT)
                self.documents = gr.Plot(label=t("rows.document_lengths"), **_PLOT)
            with gr.Tab(t("rows.problems"), id="problems"):
                self.codes = piece(elem_id="problem-codes", picks=True)
                self.code = gr.Textbox(visible=False, label=t("rows.code"))
                self.problems = piece(elem_id="problem-list")
                self.problem_pager = Pager(PROBLEMS, "problems")
        rows_from, problems_from = self.pager.start, self.problem_pager.start
        self.place = [self.split, self.find, rows_from, self.code, problems_from]
        self.rows = [self.table, *self.pager.outputs]
        self.problem_list = [self.codes, self.code, self.problems, *self.problem_pager.outputs]
        first = [self.box, self.split, self.find, self.queries, self.documents]
        self.outputs = [*first, *self.rows, *self.problem_list]

    def listen(self) -> None:
        wanted = [self.shown.id, self.split, self.find]
        self.pager.listen(self._page, wanted, self.rows)
        on(self.split.input, self._page, wanted, self.rows)
        on(self.find.submit, self._page, wanted, self.rows)
        wanted = [self.shown.id, self.code]
        self.problem_pager.listen(self._problem_page, wanted, self.problem_list)
        on(self.codes.select, self._pick_code, self.shown.id, self.problem_list)

    def _page(self, id: str, split: str, find: str, start: int = 0) -> dict[Any, Any]:
        return self.page(self.dataset(id), split, find, start)

    def _problem_page(self, id: str, code: str, start: int) -> dict[Any, Any]:
        return self.problem_page(self.dataset(id), code, start)

    def _pick_code(self, id: str, event: gr.EventData) -> dict[Any, Any]:
        return self.problem_page(self.dataset(id), str(event.value))

    def view(self, dataset: Dataset | None, place: Sequence[Any] | None) -> dict[Any, Any]:
        """The first page of everything, or where a person is already."""
        if dataset is None:
            return {self.box: gr.Column(visible=False)}
        reader = self.workspace.datasets.read(dataset.name)
        split, find, start, code, problems_start = place or ("", "", 0, "", 0)
        code = code if code in reader.problem_counts else ""
        # What is typed meanwhile is not written over.
        fields = {} if place else {self.split: gr.Radio(value=""), self.find: gr.Textbox(value="")}
        return {
            self.box: gr.Column(visible=True),
            **fields,
            **self.page(dataset.name, split, find, int(start)),
            self.queries: histogram(reader.histograms["query"], t("rows.query_lengths")),
            self.documents: histogram(reader.histograms["document"], t("rows.document_lengths")),
            **self.problem_page(dataset.name, code, int(problems_start)),
        }

    def page(self, name: str, split: str = "", find: str = "", start: int = 0) -> dict[Any, Any]:
        """A page of rows; one row more is read, to know whether there are more."""
        reader = self.workspace.datasets.read(name)
        id = self.workspace.datasets.get(name).id
        see = lambda row: picture_html(self.services, id, reader.version, row)  # noqa: E731
        if reader.counts["queries"]:
            heads, lines = _query_lines(reader, split, find, start, see)
        else:
            heads, lines = item_lines(reader, start, PAGE + 1, split, see)
        if start and not lines:  # Another version has fewer.
            return self.page(name, split, find)
        more = len(lines) > PAGE
        lines = lines[:PAGE]
        caption = t("rows.caption", first=start + 1, last=start + len(lines), name=name)
        html = Markup('<p class="rw-quiet">{}</p>').format(t("rows.none"))
        if lines:
            at = Markup('<p class="rw-quiet rw-small">{}</p>').format(caption)
            html = table(heads, lines, caption=caption) + at
        return {self.table: html, **self.pager.at(start, more)}

    def problem_page(self, name: str, code: str, start: int = 0) -> dict[Any, Any]:
        """A page of problems, of one code or of all."""
        reader = self.workspace.datasets.read(name)
        counts: dict[str, int] = reader.problem_counts
        found = reader.problems(start, PROBLEMS + 1, code=code or None)
        if start and not found:
            return self.problem_page(name, code)
        lines = [_problem_cells(one.to_dict()) for one in found[:PROBLEMS]]
        return {
            self.codes: codes_html(counts, code),
            self.code: code,
            self.problems: problems_html(lines, bool(counts)),
            **self.problem_pager.at(start, len(found) > PROBLEMS),
        }


# -- what is shown ---------------------------------------------------------------------------


def _query_lines(
    reader: Any, split: str, find: str, offset: int, see: Callable[[int], Markup]
) -> tuple[list[str], list[list[str]]]:
    found = reader.page(offset, PAGE + 1, split=split or None, search=find.strip())
    heads = [t("rows.split"), t("rows.query"), t("rows.positives"), t("rows.negatives")]
    return heads, [
        [
            _split_badge(row.split),
            clipped(row.query),
            # What a picture shows says more than its caption, which is the query.
            join(see(one) for one in row.pictures[:TEXTS]) or _texts(row.positives),
            _texts(row.negatives),
        ]
        for row in found
    ]


def item_lines(
    reader: Any, offset: int, limit: int, split: str, see: Callable[[int], Markup]
) -> tuple[list[str], list[list[str]]]:
    """The heads and the rows of a table of them; ``see`` shows a document's picture."""
    if reader.counts["pairs"]:
        return _pair_lines(reader, offset, limit, split)
    return _document_lines(reader, offset, limit, see)


def pair_facts(summary: Mapping[str, Any]) -> dict[str, str]:
    """How many scored pairs there are, where there are any."""
    pairs = summary.get("pairs", 0)
    return {t("bring.remark_pairs"): count(pairs)} if pairs else {}


def _pair_lines(
    reader: Any, offset: int, limit: int, split: str
) -> tuple[list[str], list[list[str]]]:
    heads = [t("rows.split"), t("bring.left"), t("bring.right"), t("bring.score")]
    found = reader.pair_page(offset, offset + limit, split or None).to_pylist()
    return heads, [
        [
            badge(t(f"split.{one['split']}")),
            clipped(one["left"]),
            clipped(one["right"]),
            f"{one['score']:g}",
        ]
        for one in found
    ]


def _document_lines(
    reader: Any, offset: int, limit: int, see: Callable[[int], Markup]
) -> tuple[list[str], list[list[str]]]:
    heads = [t("bring.title"), t("bring.text"), t("bring.source")]
    found = reader.documents(offset, offset + limit).to_pylist()
    return heads, [
        [
            see(offset + at) if one["picture"] else one["title"] or "",
            clipped(one["text"]),
            _source(one["fields"], one["id"]),
        ]
        for at, one in enumerate(found)
    ]


def _source(fields: str | None, id: str) -> Markup:
    """Where a piece comes from; the id of a document that says nothing of that."""
    known = json.loads(fields) if fields else {}
    said = [str(known[name]) for name in ("file", "heading", "page") if known.get(name)]
    return Markup('<span class="rw-text short">{}</span>').format(", ".join(said) or id)


def codes_html(counts: dict[str, int], chosen: str) -> Markup:
    """How often each code was found; a click shows only those."""
    if not counts:
        return EMPTY
    every = pick("", t("rows.all_codes", n=count(sum(counts.values()))), chosen == "")
    ones = (
        pick(code, t("rows.one_code", code=code, n=count(n)), chosen == code)
        for code, n in sorted(counts.items(), key=lambda pair: -pair[1])
    )
    return Markup('<div class="rw-chips">{}</div>').format(join([every, *ones]))


def problems_html(lines: Sequence[Sequence[str]], any_at_all: bool = True) -> Markup:
    if not lines:
        words = t("rows.no_more_problems") if any_at_all else t("rows.no_problems")
        return Markup('<p class="rw-quiet">{}</p>').format(words)
    heads = [t("rows.file"), t("rows.line"), t("rows.field"), t("rows.code"), t("rows.message")]
    return table(heads, lines, caption=t("rows.problems"), numeric=[1])


def refused_html(job: Job) -> Markup:
    """The first problems of an import that was refused as a whole."""
    details = (job.error or {}).get("details") or {}
    found: list[dict[str, Any]] = details.get("problems") or []
    return problems_html([_problem_cells(one) for one in found[:PROBLEMS]]) if found else EMPTY


def _problem_cells(problem: dict[str, Any]) -> list[str]:
    tone = "bad" if problem.get("severity") == "error" else "warn"
    line = problem.get("line")
    return [
        Markup('<span class="rw-text short">{}</span>').format(problem.get("file") or ""),
        "" if line is None else count(line),
        problem.get("field") or "",
        badge(problem["code"], tone),
        Markup('<span class="rw-text">{}</span>').format(sentences.said(problem["message"])),
    ]


def summary_html(dataset: Dataset) -> Markup:
    """Counts, splits, size, the badge for too few queries, and the import's notes."""
    summary = dataset.summary
    splits = summary.get("splits" if summary.get("queries") else "pair_splits", {})
    pairs = {
        t("data.col_queries"): count(summary.get("queries", 0)),
        t("data.col_documents"): count(summary.get("documents", 0)),
        t("rows.judgments"): count(summary.get("judgments", 0)),
        t("rows.candidates"): count(summary.get("candidates", 0)),
        **pair_facts(summary),
        **{t(f"split.{split}"): count(splits.get(split, 0)) for split in ("train", "dev", "test")},
        t("rows.size"): size(summary.get("bytes", 0)),
    }
    few = badge(t("rows.too_few"), "warn") if summary.get("too_few") else EMPTY
    notes = join(
        Markup("<li>{}</li>").format(sentences.said(note)) for note in summary.get("notes", ())
    )
    listed = Markup('<ul class="rw-notes">{}</ul>').format(notes) if notes else EMPTY
    aside = set_aside_text(summary)
    first = Markup('<p class="warning">{}</p>').format(aside) if aside else EMPTY
    return Markup('{}<article class="rw-card"><header>{}{}</header>{}{}{}</article>').format(
        heading(dataset.name),
        badge(str(summary.get("format", ""))),
        few,
        first,
        facts(pairs),
        listed,
    )


def _split_choices() -> list[tuple[str, str]]:
    named = [(t(f"split.{split}"), split) for split in ("train", "dev", "test")]
    return [(t("rows.all_splits"), ""), *named]


def _split_badge(split: str) -> Markup:
    return badge(t(f"split.{split}"))


def _texts(texts: Sequence[str]) -> Markup:
    shown = [clipped(text) for text in texts[:TEXTS]]
    rest = len(texts) - len(shown)
    if rest:
        shown.append(Markup('<em class="rw-quiet">{}</em>').format(t("rows.and_more", n=rest)))
    return join(shown)
