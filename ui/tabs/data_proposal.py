"""A proposal as pieces of HTML: its summary, and a page of its queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ui.markup import EMPTY, badge, clipped, facts, join, pick, table
from ui.words import t
from ui.words.amounts import count
from workbench.mining.proposal import Judged, Proposal, ProposedRow

#: Characters of a document that are shown before it unfolds.
SHORT = 120
_SPREAD = {
    "min": "mine.lowest",
    "p25": "mine.quarter",
    "median": "mine.median",
    "p75": "mine.three_quarters",
    "max": "mine.highest",
}
_REASONS = {
    "judged": "mine.reason.judged",
    "query_itself": "mine.reason.query_itself",
    "equal_text": "mine.reason.equal_text",
    "repeated": "mine.reason.repeated",
    "absolute_margin": "mine.reason.absolute_margin",
    "relative_margin": "mine.reason.relative_margin",
    "max_score": "mine.reason.max_score",
    "min_score": "mine.reason.min_score",
    "range_min": "mine.reason.range_min",
}


@dataclass(frozen=True)
class Page:
    """Some queries of a proposal, and how many there are."""

    rows: list[ProposedRow]
    offset: int
    total: int

    @classmethod
    def read(cls, proposal: Proposal, above: bool, offset: int, limit: int) -> "Page":
        total = len(proposal.queries(above))
        # What is filtered may have fewer pages than the one that was open.
        offset = min(offset, max(0, (total - 1) // limit * limit))
        return cls(proposal.page(offset, limit, above), offset, total)


def proposal_html(proposal: Proposal, version: int | None) -> Markup:
    """What was found, by whom, what was left out, and whether it was accepted."""
    result = proposal.result
    named = result["origin"].partition(":")[2]
    marks = [badge(t("mine.found_by", name=named)), badge(_version(result))]
    if result["teacher"] not in ("", named):
        marks.append(badge(t("mine.scored_by", name=result["teacher"])))
    marks.append(_standing(proposal, version))
    title = t("mine.proposed", n=count(result["negatives"]), queries=count(result["queries"]))
    return Markup(
        '<article class="rw-card" data-proposal="{}"><header><h3>{}</h3>{}</header>{}{}{}</article>'
    ).format(
        proposal.job.id, title, join(marks), facts(_facts(proposal)), _none(result), _scores(result)
    )


def _version(result: Mapping[str, Any]) -> str:
    return t("mine.version_of", version=result["version"])


def _standing(proposal: Proposal, version: int | None) -> Markup:
    if version is not None:
        return badge(t("mine.accepted", version=version), "good")
    if proposal.outdated:
        return badge(t("mine.outdated"), "warn")
    return badge(t("mine.not_accepted"))


def _facts(proposal: Proposal) -> dict[str, str]:
    result = proposal.result
    each = result["queries_by_negatives"]
    sizes = ", ".join(t("mine.each", count=count(n), size=size) for size, n in each.items())
    gone = ", ".join(t(_REASONS[one], n=count(n)) for one, n in result["left_out"].items() if n)
    found = {
        t("mine.per_query"): sizes,
        t("mine.left_out"): gone or t("mine.nothing_left_out"),
    }
    if result["teacher"]:
        found[t("mine.above_count")] = count(result["above_positive"])
    if result["earlier"]:
        found[t("mine.earlier_count")] = count(result["earlier"])
    if proposal.unticked:
        found[t("mine.by_hand")] = count(len(proposal.unticked))
    return found


def _none(result: Mapping[str, Any]) -> Markup:
    without = result["queries_by_negatives"].get("0")
    if not without:
        return EMPTY
    return Markup('<p class="rw-quiet">{}</p>').format(t("mine.without", count=count(without)))


def _scores(result: Mapping[str, Any]) -> Markup:
    """Positives and negatives side by side: how far apart they are is what mining is about."""
    rows = [
        [t(name), *(f"{found[one]:.3f}" for one in _SPREAD)]
        for name, found in (
            ("mine.of_positives", result["scores"]["positive"]),
            ("mine.of_negatives", result["scores"]["negative"]),
        )
        if found
    ]
    if not rows:
        return EMPTY
    heads = [t("mine.scores"), *(t(name) for name in _SPREAD.values())]
    return table(heads, rows, caption=t("mine.scores"), numeric=range(1, len(heads)))


def page_html(page: Page, ticks: bool) -> Markup:
    """The queries of a page; ``ticks``: negatives can be left out and taken back in."""
    if not page.rows:
        return Markup('<p class="rw-quiet">{}</p>').format(t("mine.none"))
    first, last = page.offset + 1, page.offset + len(page.rows)
    caption = t("mine.caption", first=count(first), last=count(last), total=count(page.total))
    heads = [t("mine.query"), t("mine.positives"), t("mine.negatives")]
    lines = [_line(row, ticks) for row in page.rows]
    place = Markup('<p class="rw-quiet rw-small">{}</p>').format(caption)
    return table(heads, lines, caption=caption) + place


def _line(row: ProposedRow, ticks: bool) -> Sequence[str]:
    wrong = [_negative(row.query, one, ticks) for one in row.negatives]
    nothing = Markup('<span class="rw-quiet">{}</span>').format(t("mine.no_negatives"))
    return [clipped(row.text), join(map(_document, row.positives)), join(wrong) or nothing]


def _document(one: Judged) -> Markup:
    return Markup("<div>{} {}</div>").format(_score(one), clipped(one.text, SHORT))


def _negative(query: int, one: Judged, ticks: bool) -> Markup:
    marks = [_score(one)]
    if one.above:
        marks.append(badge(t("mine.is_above"), "warn"))
    if not one.ticked:
        marks.append(badge(t("mine.is_out"), "bad"))
    if ticks:
        words = t("mine.take_out") if one.ticked else t("mine.put_back")
        marks.append(pick(f"{query}:{one.document}", words, not one.ticked))
    return Markup("<div>{} {}</div>").format(Markup(" ").join(marks), clipped(one.text, SHORT))


def _score(one: Judged) -> Markup:
    return EMPTY if one.score is None else badge(f"{one.score:.3f}")
