"""What a comparison measured: whole tables and a chart on Compare, a line a model on Start."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from ui.kit.charts import grouped_bars
from ui.kit.markup import EMPTY, badge, heading, join, pick, quiet_lines, table
from ui.words import sentences, t
from ui.words.amounts import count
from ui.words.sentences import metric_label
from workbench.comparison.names import HEADLINE
from workbench.comparison.table import Row, Table, build_table
from workbench.comparison.text import Forgetting, forgetting, full_list_lines, tables


def results_html(result: Mapping[str, Any], offers: Mapping[str, str] | None = None) -> Markup:
    """Every table of a result: queries, scored pairs, and the same of a second data set.

    ``offers``: of a row, what could be measured beside it. It gets a button with these words, whose
    ``select`` event names the row.
    """
    parts = [table_html(one, result, offers or {}) for one in tables(result)]
    left_out = result.get("pairs", {}).get("left_out")
    if left_out:
        quiet = Markup('<p class="rw-quiet rw-small">{}</p>')
        parts.append(quiet.format(t("compare.left_out", names=", ".join(left_out))))
    parts += _whole_lists(result)
    second = result.get("second_dataset")
    if second:
        parts.append(_forgotten(forgetting(result)))
        parts += [table_html(one, second) for one in tables(second)]
        parts += _whole_lists(second)
    return join(parts)


def _whole_lists(result: Mapping[str, Any]) -> list[Markup]:
    line = Markup('<p class="rw-quiet rw-small" data-whole-lists>{}</p>')
    return [line.format(sentences.said(one)) for one in full_list_lines(result)]


def _forgotten(found: Sequence[Forgetting]) -> Markup:
    words = {
        "bad": t("compare.forgotten_bad"),
        "good": t("compare.forgotten_good"),
        "": t("compare.forgotten_open"),
    }
    line = Markup('<p class="rw-sentence">{} {}</p>')
    lines = (
        line.format(badge(words[one.tone], one.tone), sentences.said(one.text)) for one in found
    )
    return heading(t("compare.forgotten")) + join(lines)


def chart(measured: Table) -> Any:
    return grouped_bars(
        [sentences.row_said(row.model) for row in measured.rows],
        list(map(sentences.metric_said, measured.labels)),
        [row.values for row in measured.rows],
        t("compare.chart_title", dataset=measured.dataset, split=t(f"split.{measured.split}")),
    )


def table_html(
    measured: Table, result: Mapping[str, Any], offers: Mapping[str, str] | None = None
) -> Markup:
    """Models as rows, metrics as columns, and what each difference is worth."""
    model = t("compare.model_searched" if measured.staged else "compare.model")
    heads = [model, *map(sentences.metric_said, measured.labels), t("compare.difference")]
    numeric = range(1, len(measured.labels) + 1)
    caption = t("compare.caption_pairs" if measured.unit == "pairs" else "compare.caption")
    parts: list[str] = [heading(measured.dataset, _about(measured, result))]
    for mode in measured.evaluation_modes:
        if len(measured.evaluation_modes) > 1:
            parts.append(Markup('<h3 class="rw-mode">{}</h3>').format(_mode_title(mode)))
        rows = [
            _cells(row, measured, (offers or {}).get(row.model, ""))
            for row in measured.rows
            if row.evaluation_mode == mode
        ]
        parts.append(table(heads, rows, caption=caption, numeric=numeric, stacked=True))
    return join([*parts, quiet_lines(measured.notes), _legend(measured)])


def _mode_title(mode: str) -> str:
    words = {
        "retrieval": t("ways.retrieval"),
        "reranking": t("ways.reranking"),
        "pipeline": t("ways.pipeline"),
        "text-to-picture": t("ways.text-to-picture"),
        "picture-to-text": t("ways.picture-to-text"),
    }
    return words[mode]


def _about(measured: Table, result: Mapping[str, Any]) -> str:
    split = t(f"split.{measured.split}")
    asked = count(measured.rows[0].queries if measured.rows else 0)
    if measured.unit == "pairs":
        return t("compare.measured_pairs", split=split, pairs=asked)
    about = t("compare.measured", split=split, queries=asked)
    documents = result.get("documents")
    if not documents:
        return about
    return t("compare.measured_over", about=about, documents=count(documents))


def short_table(result: Mapping[str, Any]) -> Markup:
    """The headline only: two models, one number each, and the verdict."""
    measured = build_table(result)
    at = measured.metrics.index(HEADLINE) if HEADLINE in measured.metrics else 0
    heads = [
        t("compare.model"),
        sentences.metric_said(measured.labels[at]),
        t("compare.difference"),
        t("compare.verdict"),
    ]
    rows = [
        [_named(row.model, _tokens(row)), _value(row, at), *_difference(row, measured)]
        for row in measured.rows
    ]
    drawn = table(heads, rows, caption=t("compare.caption"), numeric=[1])
    return join([drawn, quiet_lines(measured.notes)])


def _cells(row: Row, measured: Table, offer: str) -> list[str]:
    # Below the name, as the verdict is above the difference: more columns would not be seen.
    about = [searched_words(row.searched)] if measured.staged else []
    model = _named(row.model, [*about, *_tokens(row)])
    if offer:
        model += Markup('<br><span class="rw-small">{}</span>').format(pick(row.model, offer))
    values = (_value(row, at) for at in range(len(row.values)))
    difference, verdict = _difference(row, measured)
    return [model, *values, verdict + difference]


def _named(model: str, about: Sequence[str]) -> Markup:
    """A model's name, and what there is to say of its row below it."""
    quiet = Markup('<br><span class="rw-quiet rw-small">{}</span>')
    return Markup("{}{}").format(
        sentences.row_said(model), join(quiet.format(one) for one in about)
    )


def _tokens(row: Row) -> list[str]:
    """How many tokens the model reads, where that is known: a note below the table explains it."""
    return [t("compare.tokens", tokens=row.tokens)] if row.tokens else []


def searched_words(searched: str) -> str:
    """What was searched, in the page's words; the record keeps it in English."""
    top, _, stage = searched.partition(" of ")
    if searched == "all documents":
        return t("compare.searched_all")
    if searched == "the query's own candidates":
        return t("compare.searched_own")
    if stage and top.startswith("top "):
        return t("compare.searched_top", count=top.removeprefix("top "), stage=stage)
    return sentences.said(searched)


def _value(row: Row, at: int) -> Markup:
    shape = "<strong>{}</strong>" if row.best[at] else "{}"
    value = Markup(shape).format(f"{row.values[at]:.3f}")
    if not row.intervals:
        return value
    low, high = row.intervals[at]
    return value + Markup('<br><span class="rw-quiet rw-small">[{:.3f}, {:.3f}]</span>').format(
        low, high
    )


def _difference(row: Row, measured: Table) -> list[str]:
    one = row.comparison
    if one is None:
        first_stage = row.kind == "first-stage"
        return [t("compare.stage_order" if first_stage else "compare.reference"), EMPTY]
    tone = "" if not one.sure else "good" if one.delta > 0 else "bad"
    text = Markup('<span class="rw-difference">{}</span>').format(sentences.said(one.text))
    quiet = Markup('<span class="rw-quiet rw-small">{}</span>')
    counted = t("compare.counted", wins=one.wins, losses=one.losses, ties=one.ties)
    if measured.staged:
        against = t("compare.against", against=sentences.row_said(one.against))
        counted = Markup("{}<br>{}").format(against, counted)
    text += quiet.format(counted)
    return [text, badge(sentences.said(one.verdict), tone)]


def _legend(measured: Table) -> Markup:
    found = [row.comparison for row in measured.rows if row.comparison]
    if not found:
        return EMPTY
    one = next((one for one in found if not one.second_stage), None)
    lines = [
        t(
            "compare.legend",
            metric=metric_label(one.metric),
            against=sentences.row_said(one.against),
        )
        if one
        else t("compare.legend_stage_only", metric=metric_label(found[0].metric))
    ]
    if any(one.second_stage for one in found):
        lines.append(t("compare.legend_stage"))
    if len(measured.evaluation_modes) > 1:
        lines.append(t("ways.apart"))
    if len(found) > 1:
        lines.append(t("compare.legend_holm", count=len(found)))
    return Markup('<p class="rw-quiet rw-small">{}</p>').format(" ".join(lines))
