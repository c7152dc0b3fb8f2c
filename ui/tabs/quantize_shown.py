"""What the quantization lab measured, as pieces of the page."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from ui.kit.markup import EMPTY, badge, heading, join, quiet_lines, table
from ui.words import sentences, t
from ui.words.amounts import count, size
from workbench.comparison.conditions import conditions
from workbench.comparison.names import HEADLINE, label
from workbench.quantization.methods import signed

METRICS = (HEADLINE, "ndcg@10", "recall@100")
TITLES = {"models": "lab.models", "vectors": "lab.vectors"}
PANELS = tuple(TITLES)
TAKEN = ("lab.size", "lab.memory", "lab.per_query", "lab.per_document")


def lab_html(result: Mapping[str, Any]) -> Markup:
    """Both tables, each with what is recommended of it and why."""
    return join([_about(result), *(_panel(result, name) for name in PANELS if result[name])])


def _about(result: Mapping[str, Any]) -> Markup:
    words = t(
        "lab.measured",
        model=result["model"],
        dataset=result["dataset"],
        version=result["dataset_version"],
        split=t(f"split.{result['split']}"),
        queries=count(result["queries"]),
        documents=count(result["documents"]),
        device=result["device"],
    )
    about = Markup('<p class="rw-quiet">{}</p>').format(words)
    return join([about, quiet_lines([*conditions(result, [result]), *result.get("notes", ())])])


def _panel(result: Mapping[str, Any], name: str) -> Markup:
    take = str(result[f"{name}_take"])
    rows = [_row(row, take) for row in result[name]]
    title = t(TITLES[name])
    return join(
        [
            heading(title),
            table(_heads(), rows, caption=title, numeric=range(1, 9), stacked=True),
            _recommended(take, str(result[f"{name}_why"])),
        ]
    )


def _heads() -> list[str]:
    return [
        t("lab.method"),
        *(t(key) for key in TAKEN),
        *(label(metric) for metric in METRICS),
        t("lab.agreement"),
        t("lab.bound"),
    ]


def _row(row: Mapping[str, Any], take: str) -> Sequence[str]:
    name = method_name(row)
    if "error" in row:
        why = Markup('<span class="error">{}</span>').format(sentences.said(row["error"]))
        return [name, *["–"] * 8, join([badge(t("lab.failed"), "bad"), Markup(" "), why])]
    chosen = join([Markup("{} ").format(name), badge(t("lab.take"), "good")])
    return [
        chosen if row["name"] == take else name,
        size(row["bytes"]),
        size(row["memory"]),
        f"{row['milliseconds_per_query']:.1f}",
        f"{row['milliseconds_per_document']:.1f}",
        *(f"{row[metric]:.3f}" for metric in METRICS),
        t(
            "lab.agrees",
            overlap=f"{100 * row['overlap@10']:.0f}",
            correlation=f"{row['rank_correlation']:.2f}",
        ),
        _bound(row),
    ]


def _bound(row: Mapping[str, Any]) -> Markup:
    if not row["bound"]:
        return Markup("–")
    met = row["met"]
    words = t("lab.lost", change=signed(-row["lost"]), bound=f"{row['bound']:g}")
    return join(
        [badge(t("lab.met" if met else "lab.failed"), "good" if met else "bad"), Markup(" "), words]
    )


def method_name(row: Mapping[str, Any]) -> str:
    return t("lab.original") if row["name"] == "original" else str(row["name"])


def _recommended(take: str, why: str) -> Markup:
    if not take:
        return EMPTY
    name = t("lab.original") if take == "original" else take
    return Markup('<p class="rw-lab-why"><strong>{}</strong> {}</p>').format(
        t("lab.recommended", name=name), sentences.said(why)
    )
