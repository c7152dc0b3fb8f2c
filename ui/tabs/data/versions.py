"""How a data set came to be: its versions, a look into one, and which is the current one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.events import on
from ui.kit.markup import EMPTY, badge, clipped, facts, join, pick, piece, table
from ui.services import Services
from ui.tabs.data.section import Section, Shown
from ui.words import sentences, t
from ui.words.amounts import ago, count
from workbench.data.lineage import VersionInfo, versions
from workbench.recipes.data_check import DataFixRecipe
from workbench.records import Dataset

#: Queries of a version that are shown.
ROWS = 5


class VersionsSection(Section):
    """The versions of the data set, and a look into one."""

    def __init__(self, shown: Shown) -> None:
        super().__init__(shown)
        with gr.Accordion(
            t("versions.title"), open=False, visible=False, elem_id="data-versions"
        ) as self.box:
            self.table = piece(elem_id="version-list", picks=True)
            self.about = piece(elem_id="version-shown")
            self.use = gr.Button(
                t("versions.use"),
                size="sm",
                visible=False,
                elem_id="version-use",
                elem_classes="rw-fit",
            )
        self.place = [shown.version]
        self.outputs = [self.box, self.table, shown.version, self.about, self.use]

    def listen(self) -> None:
        on(self.table.select, self._look, self.shown.id, self.outputs)
        used = on(self.use.click, self._use, [self.shown.id, self.shown.version])
        self.shown.refill(used)

    def _look(self, id: str, event: gr.EventData) -> dict[Any, Any]:
        dataset = self.workspace.datasets.get(self.dataset(id))
        return self.view(dataset, [int(str(event.value))])

    def _use(self, id: str, picked: float) -> None:
        self.workspace.datasets.make_current(self.dataset(id), int(picked))

    def view(self, dataset: Dataset | None, place: Sequence[Any] | None) -> dict[Any, Any]:
        """``place``: the number of the version that is looked into."""
        picked = int(place[0] or 0) if place else 0
        found = versions(self.workspace, dataset.name) if dataset else []
        at = next((place for place, one in enumerate(found) if one.version == picked), None)
        one = None if at is None else found[at]
        count = gr.Accordion(label=t("versions.count", count=len(found)), visible=True)
        return {
            self.box: count if dataset else gr.Accordion(visible=False),
            self.table: list_html(found, at) if dataset else EMPTY,
            self.shown.version: picked if one else 0,
            self.about: version_html(self.services, dataset, one) if dataset and one else EMPTY,
            self.use: gr.Button(visible=one is not None and not one.current),
        }


def list_html(found: list[VersionInfo], at: int | None) -> str:
    """The newest first."""
    heads = [t("versions.number"), t("versions.what"), t("data.col_queries")]
    heads += [t("data.col_documents"), t("versions.judgments"), t("versions.candidates")]
    heads.append(t("versions.made"))
    lines = [_line(one, place == at) for place, one in reversed(list(enumerate(found)))]
    chosen = None if at is None else len(found) - 1 - at
    caption = t("versions.title")
    return table(heads, lines, caption=caption, numeric=[2, 3, 4, 5], chosen=chosen)


def _line(one: VersionInfo, chosen: bool) -> list[str]:
    number = pick(str(one.version), str(one.version), chosen)
    if one.current:
        number = join([number, " ", badge(t("versions.current"), "good")])
    kinds = ("queries", "documents", "judgments", "candidates")
    counts = [count(one.summary.get(kind) or 0) for kind in kinds]
    return [number, what_words(one), *counts, ago(one.created_at)]


def what_words(one: VersionInfo) -> str:
    """What made a version, with what it counted."""
    if one.by == DataFixRecipe.task:
        what, said = t("versions.fixed", what=_fixes(one.counts)), ""
    else:
        what, said = sentences.said(one.what), ", ".join(_counted(one.counts))
    origin = t("versions.from", version=one.parent) if one.parent else ""
    return " · ".join(part for part in (what, said, origin) if part)


def _fixes(counts: Mapping[str, Any]) -> str:
    """Each fix with the number of things it changed. What left with them is the list's to show."""
    return ", ".join(
        f"{t(f'fixed_by.{code}')} ({count(sum(changed.values()))})"
        for code, changed in counts.items()
        if isinstance(changed, Mapping)
    )


def _counted(counts: Mapping[str, Any]) -> Iterator[str]:
    for key, value in counts.items():
        yield f"{sentences.said(key.replace('_', ' '))}: {_short(value)}"


def _short(value: Any) -> str:
    return count(value) if isinstance(value, int | float) else str(value)


def version_html(services: Services, dataset: Dataset, one: VersionInfo) -> Markup:
    """A version's splits and lineage, and its first queries."""
    splits = one.summary.get("pair_splits") or one.summary.get("splits") or {}
    about = {t(f"split.{split}"): count(number) for split, number in splits.items()}
    about |= {
        t("versions.step", version=step["version"]): sentences.said(str(step.get("what", "")))
        for step in one.lineage
    }
    reader = services.workspace.datasets.read(dataset.name, one.version)
    rows = [
        [badge(t(f"split.{row.split}")), clipped(row.query), _first(row.positives)]
        for row in reader.page(0, ROWS)
    ]
    heads = [t("rows.split"), t("rows.query"), t("rows.positives")]
    shown = table(heads, rows, caption=t("versions.rows", version=one.version)) if rows else EMPTY
    return Markup('<article class="rw-card"><h3>{}</h3>{}{}</article>').format(
        t("versions.rows", version=one.version), facts(about), shown
    )


def _first(texts: list[str]) -> Markup:
    return clipped(texts[0]) if texts else EMPTY
