"""The table of the workspace's models: what they are and what they gained."""

from ui.kit.choices import PACKAGED
from ui.kit.markup import badge, empty, pick, table
from ui.services import Services
from ui.words import t
from ui.words.amounts import ago, size
from ui.words.kinds import kind_name
from workbench.comparison.names import HEADLINE
from workbench.records import Model


def list_html(services: Services, picked: str | None) -> str:
    """All models as a table, the newest first."""
    models = services.workspace.models.list()
    if not models:
        return str(empty(t("models.empty"), t("models.empty_hint", model=PACKAGED)))
    heads = [t("models.col_name"), t("models.col_kind"), t("models.col_base")]
    heads += [t("models.col_before"), t("models.col_after"), t("models.col_verdict")]
    heads += [t("models.col_size"), t("models.col_made")]
    lines = [_line(services, model, model.name == picked) for model in models]
    names = [model.name for model in models]
    at = names.index(picked) if picked in names else None
    return str(table(heads, lines, caption=t("models.title"), numeric=[3, 4, 6], chosen=at))


def _line(services: Services, model: Model, chosen: bool) -> list[str]:
    return [
        pick(model.name, model.name, chosen),
        kind_name(model.kind),
        model.base or "–",
        measure(model, "untrained", "baseline"),
        measure(model, "best"),
        verdict(model),
        size(services.workspace.models.bytes(model)),
        ago(model.created_at),
    ]


def measure(model: Model, *which: str) -> str:
    """The first of these that the model's record has."""
    found = (model.summary.get(one) for one in which)
    # Homes of an earlier day have models of random weights that say 'untrained' alone.
    values: dict[str, float] = next((one for one in found if one and isinstance(one, dict)), {})
    value = values.get(model.summary.get("metric", HEADLINE))
    return "–" if value is None else f"{value:.3f}"


def verdict(model: Model) -> str:
    """'better', 'no better than the original', or nothing where nothing was trained."""
    if model.verdict:
        return badge(t(f"verdict.{model.verdict}"), "warn")
    if model.summary.get("best"):
        return badge(t("verdict.better"), "good")
    return "–"
