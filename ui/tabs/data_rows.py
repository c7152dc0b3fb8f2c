"""What is in one data set: counts and notes, rows by page, lengths, and the problem list."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.cards import set_aside_text
from ui.choices import shown_dataset
from ui.feedback import on
from ui.markup import EMPTY, badge, clipped, facts, heading, join, pick, piece, table
from ui.plots import histogram
from ui.routes.pictures import picture_html
from ui.services import Services
from ui.tabs import data_items
from ui.words import sentences, t
from ui.words.amounts import count, size
from workbench.records import Dataset, Job

PAGE = 10
PROBLEMS = 20
#: Texts of one cell that are shown; the rest is counted.
TEXTS = 3


@dataclass(frozen=True)
class Place:
    """Where a person is in a data set: the values of ``Rows.place``."""

    split: str = ""
    find: str = ""
    offset: float = 0
    code: str = ""
    problems_offset: float = 0


@dataclass(frozen=True)
class Rows:
    summary: gr.HTML
    box: gr.Column
    split: gr.Radio
    find: gr.Textbox
    table: gr.HTML
    before: gr.Button
    after: gr.Button
    offset: gr.Number
    query_plot: gr.Plot
    document_plot: gr.Plot
    codes: gr.HTML
    code: gr.Textbox
    problems: gr.HTML
    problems_before: gr.Button
    problems_after: gr.Button
    problems_offset: gr.Number

    @property
    def page(self) -> list[Any]:
        """One page of rows."""
        return [self.table, self.before, self.after, self.offset]

    @property
    def problem_page(self) -> list[Any]:
        return [
            self.codes,
            self.code,
            self.problems,
            self.problems_before,
            self.problems_after,
            self.problems_offset,
        ]

    @property
    def place(self) -> list[Any]:
        """What a person chose, typed and turned to."""
        return [self.split, self.find, self.offset, self.code, self.problems_offset]

    @property
    def outputs(self) -> list[Any]:
        plots = [self.query_plot, self.document_plot]
        first = [self.summary, self.box, self.split, self.find]
        return [*first, *self.page, *plots, *self.problem_page]


def render(summary: gr.HTML) -> Rows:
    """Draw the rest below ``summary``, which the tab places (its own buttons stand between)."""
    with gr.Column(visible=False) as box, gr.Tabs():
        with gr.Tab(t("rows.tab")):
            with gr.Row(equal_height=False):
                split = gr.Radio(
                    _split_choices(),
                    value="",
                    label=t("rows.split"),
                    interactive=True,
                    min_width=240,
                    elem_id="rows-split",
                )
                find = gr.Textbox(
                    label=t("rows.find"),
                    placeholder=t("rows.find_hint"),
                    max_lines=1,
                    interactive=True,
                    min_width=200,
                    elem_id="rows-find",
                )
            shown = piece(elem_id="rows-table")
            before, after, offset = _pager()
        with gr.Tab(t("rows.lengths")), gr.Row(equal_height=False):
            query_plot = gr.Plot(label=t("rows.query_lengths"), show_label=False, min_width=300)
            document_plot = gr.Plot(
                label=t("rows.document_lengths"), show_label=False, min_width=300
            )
        with gr.Tab(t("rows.problems"), id="problems"):
            codes = piece(elem_id="problem-codes", picks=True)
            code = gr.Textbox(visible=False, label=t("rows.code"))
            problems = piece(elem_id="problem-list")
            problems_before, problems_after, problems_offset = _pager()
    return Rows(
        summary=summary,
        box=box,
        split=split,
        find=find,
        table=shown,
        before=before,
        after=after,
        offset=offset,
        query_plot=query_plot,
        document_plot=document_plot,
        codes=codes,
        code=code,
        problems=problems,
        problems_before=problems_before,
        problems_after=problems_after,
        problems_offset=problems_offset,
    )


def listen(services: Services, rows: Rows, chosen: gr.Textbox) -> None:
    """``chosen`` holds the id of the data set that is shown."""

    def turn(step: int) -> Any:
        def turned(name: str, split: str, find: str, offset: float) -> list[Any]:
            return page(services, name, split, find, max(0, int(offset) + step * PAGE))

        return turned

    def turn_problems(step: int) -> Any:
        def turned(name: str, code: str, offset: float) -> list[Any]:
            return problem_page(services, name, code, max(0, int(offset) + step * PROBLEMS))

        return turned

    def pick_code(name: str, event: gr.EventData) -> list[Any]:
        return problem_page(services, name, str(event.value), 0)

    where = [chosen, rows.split, rows.find, rows.offset]
    on(rows.before.click, turn(-1), where, rows.page)
    on(rows.after.click, turn(+1), where, rows.page)
    first = lambda name, split, find, _offset: page(services, name, split, find, 0)  # noqa: E731
    on(rows.split.input, first, where, rows.page)
    on(rows.find.submit, first, where, rows.page)
    place = [chosen, rows.code, rows.problems_offset]
    on(rows.problems_before.click, turn_problems(-1), place, rows.problem_page)
    on(rows.problems_after.click, turn_problems(+1), place, rows.problem_page)
    on(rows.codes.select, pick_code, chosen, rows.problem_page)


def view(services: Services, dataset: Dataset | None, place: Place | None = None) -> list[Any]:
    """Updates for ``Rows.outputs``: the first page of everything, or where a person is already."""
    if dataset is None:
        return [EMPTY, gr.Column(visible=False), *[gr.skip()] * 14]
    reader = services.workspace.datasets.read(dataset.name)
    lengths = reader.histograms
    # What is typed meanwhile is not written over.
    fields = [gr.skip()] * 2 if place else [gr.Radio(value=""), gr.Textbox(value="")]
    at = place or Place()
    code = at.code if at.code in reader.problem_counts else ""
    return [
        summary_html(dataset),
        gr.Column(visible=True),
        *fields,
        *page(services, dataset.name, at.split, at.find, int(at.offset)),
        histogram(lengths["query"], t("rows.query_lengths")),
        histogram(lengths["document"], t("rows.document_lengths")),
        *problem_page(services, dataset.name, code, int(at.problems_offset)),
    ]


def page(services: Services, picked: str, split: str, find: str, offset: int) -> list[Any]:
    """Updates for ``Rows.page``; one row more is read, to know whether there are more."""
    name = shown_dataset(services.workspace, picked)
    reader = services.workspace.datasets.read(name)
    id = services.workspace.datasets.get(name).id
    see = lambda row: picture_html(services, id, reader.version, row)  # noqa: E731
    if reader.counts["queries"]:
        heads, lines = _query_lines(reader, split, find, offset, see)
    else:
        heads, lines = data_items.lines(reader, offset, PAGE + 1, split, see)
    if offset and not lines:  # Another version has fewer.
        return page(services, picked, split, find, 0)
    more = len(lines) > PAGE
    lines = lines[:PAGE]
    caption = t("rows.caption", first=offset + 1, last=offset + len(lines), name=name)
    if lines:
        place = Markup('<p class="rw-quiet rw-small">{}</p>').format(caption)
        html = table(heads, lines, caption=caption) + place
    else:
        html = Markup('<p class="rw-quiet">{}</p>').format(t("rows.none"))
    return [html, gr.Button(interactive=offset > 0), gr.Button(interactive=more), offset]


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


def problem_page(services: Services, picked: str, code: str, offset: int) -> list[Any]:
    """Updates for ``Rows.problem_page``."""
    reader = services.workspace.datasets.read(shown_dataset(services.workspace, picked))
    counts: dict[str, int] = reader.problem_counts
    found = reader.problems(offset, PROBLEMS + 1, code=code or None)
    if offset and not found:
        return problem_page(services, picked, code, 0)
    return [
        codes_html(counts, code),
        code,
        problems_html([_problem_cells(vars_of(one)) for one in found[:PROBLEMS]], bool(counts)),
        gr.Button(interactive=offset > 0),
        gr.Button(interactive=len(found) > PROBLEMS),
        offset,
    ]


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


def vars_of(problem: Any) -> dict[str, Any]:
    return dict(problem.to_dict())


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
        **data_items.pair_facts(summary),
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


def name_from(paths: Sequence[str]) -> str:
    """A data set's name from its first file's."""
    return Path(paths[0]).name.split(".")[0][:80] or t("data.unnamed")


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


def _pager() -> tuple[gr.Button, gr.Button, gr.Number]:
    with gr.Row(elem_classes="rw-actions"):
        before = gr.Button(t("rows.before"), size="sm", interactive=False)
        after = gr.Button(t("rows.after"), size="sm", interactive=False)
    return before, after, gr.Number(0, visible=False, label=t("rows.offset"))
