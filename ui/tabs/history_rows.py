"""Lines of the history: which model, on what, when, and every number of it."""

import time
from collections.abc import Mapping

from markupsafe import Markup

from ui.kit.markup import join, table
from ui.words import t
from ui.words.amounts import count
from ui.words.metrics import label
from workbench.comparison.recipes import shown
from workbench.reports.history import Measurement, headline_metrics

_QUIET = Markup('<span class="rw-quiet rw-small">{}</span>')


def history_html(found: list[Measurement], start: int, all: int) -> Markup:
    """``found``: the rows from ``start`` on, of ``all``."""
    quiet = Markup('<p class="rw-quiet rw-small">{}</p>')
    if not found:
        return quiet.format(t("compare.history_none"))
    heads = [
        t("compare.history_model"),
        t("compare.history_data"),
        t("compare.history_settings"),
        t("compare.history_measures"),
    ]
    drawn = table(heads, map(_row, found), caption=t("compare.history"), stacked=True)
    place = t("explore.page", first=start + 1, last=start + len(found), all=count(all))
    return join([quiet.format(t("compare.history_help")), drawn, quiet.format(place)])


def source_words(source: str) -> str:
    words = {
        "comparison": t("history.comparison"),
        "matrix": t("history.matrix"),
        "training": t("history.training"),
        "quantization": t("history.quantization"),
        "blend": t("history.blend"),
    }
    return words[source]


def data_words(one: Measurement) -> str:
    """The data set's name; of one that was removed it says so."""
    return t("history.removed", name=one.dataset) if one.removed else one.dataset


def _row(one: Measurement) -> list[str]:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.measured_at))
    by = t("history.by", source=source_words(one.source), when=when)
    settings = ", ".join(f"{name}={shown(value)}" for name, value in one.settings.items())
    return [_two(_model(one), by), _two(_data(one), _asked(one)), settings, _measures(one)]


def _two(first: str, second: str) -> Markup:
    return Markup("{}<br>{}").format(first, _QUIET.format(second))


def _model(one: Measurement) -> str:
    if one.step is not None:
        return t("history.at_step", model=one.model, step=count(one.step))
    return t("compare.cut", model=one.model, size=one.cut_to) if one.cut_to else one.model


def _data(one: Measurement) -> str:
    split = t(f"split.{one.split}")
    if one.version is None:
        return t("history.unversioned", data=data_words(one), split=split)
    return t("history.data", data=data_words(one), version=one.version, split=split)


def _asked(one: Measurement) -> str:
    if one.pairs:
        return t("compare.pairs", count=count(one.pairs))
    return t("compare.queries", count=count(one.queries)) if one.queries else ""


def _measures(one: Measurement) -> Markup:
    """The headlines, and all others to be opened."""
    heads = headline_metrics(one.metrics)
    shown = _lines({name: one.metrics[name] for name in heads})
    if one.milliseconds is not None:
        took = t("history.took", ms=f"{one.milliseconds:,.1f}")
        shown = Markup("{}<br>{}").format(shown, took)
    others = {name: value for name, value in one.metrics.items() if name not in heads}
    if not others:
        return shown
    more = Markup('<details class="rw-small"><summary>{}</summary>{}</details>')
    return shown + more.format(t("history.others", count=count(len(others))), _lines(others))


def _lines(metrics: Mapping[str, float]) -> Markup:
    return Markup("<br>").join(
        Markup("{} {:.3f}").format(label(name), value) for name, value in metrics.items()
    )
