"""One model: what it gained, its contract, and the link to take it away."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from ui.kit.markup import facts, heading, join, quiet_lines
from ui.routes.downloads import download_url
from ui.services import Services
from ui.tabs.models_list import kind_name, measure
from ui.words import t
from ui.words.amounts import count, size
from workbench.comparison.conditions import LENGTHS, excluded
from workbench.comparison.names import HEADLINE, label
from workbench.errors import ModelNotFound
from workbench.records import Model

#: The contract's fields in their order, and the kinds that have them (all, where it says none).
_VECTOR, _TEXTS = ("embedding",), ("embedding", "late-interaction", "image-text")
CONTRACT: dict[str, tuple[str, ...]] = {
    "kind": (),
    "pictures_by": ("image-text",),
    "pooling": _VECTOR,
    "normalize": _VECTOR,
    "causal": _VECTOR,
    "dimensions": _TEXTS,
    "query_prompt": _TEXTS,
    "document_prompt": _TEXTS,
    "title_separator": (),
    "query_max_len": (),
    "passage_max_len": (),
    "yes_token": ("llm",),
    "no_token": ("llm",),
    "instruction": ("llm",),
    "prompt_template": ("llm",),
    "dtype": (),
}


def find(services: Services, picked: str | None) -> Model | None:
    if not picked:
        return None
    try:
        return services.workspace.models.get(picked)
    except ModelNotFound:
        return None


def details_html(services: Services, model: Model) -> Markup:
    """The contract: what must be known to use the model as it was trained."""
    metric = label(str(model.summary.get("metric", HEADLINE)))
    measured = {
        t("models.before", metric=metric): measure(model, "untrained", "baseline"),
        t("models.after", metric=metric): measure(model, "best"),
    }
    folder = str(services.workspace.models.folder(model.id))
    return Markup(
        '{}<article class="rw-card">{}</article>'
        '<article class="rw-card"><h3>{}</h3><p class="rw-quiet">{}</p>{}'
        '<p class="rw-quiet rw-mono">{}</p></article>'
    ).format(
        heading(model.name, (model.base and t("models.from_base", base=model.base)) or ""),
        join([facts(measured | _training(model)), quiet_lines(excluded(model.summary))]),
        t("models.contract"),
        t("models.contract_about"),
        facts(contract_facts(model.contract)),
        folder,
    )


def _training(model: Model) -> dict[str, str]:
    """What it was trained on, and at which lengths: those of its use are in the contract."""
    found = {t("models.trained_on"): str(model.summary.get("dataset") or "–")}
    lengths = model.summary.get("training_lengths")
    if lengths:
        query, document = (count(int(lengths[name])) for name in LENGTHS)
        said = t("models.trained_at_tokens", query=query, document=document)
        found[t("models.trained_at")] = said
    return found


def download_html(services: Services, model: Model) -> Markup:
    """A link to the model's folder as a zip, made while it is sent."""
    return Markup('<p><a class="rw-link" href="{}" download>{}</a></p>').format(
        download_url(services, "models", model.name),
        t("models.download", size=size(services.workspace.models.bytes(model))),
    )


def contract_facts(contract: Mapping[str, Any]) -> dict[str, str]:
    """What the contract says of a model of its kind, in words."""
    of = {str(contract.get("kind", "embedding")), str(contract.get("architecture", ""))}
    return {
        t(f"contract.{name}"): _plain(name, contract.get(name))
        for name, kinds in CONTRACT.items()
        if not kinds or of & set(kinds)
    }


def _plain(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return t("word.yes") if value else t("word.no")
    if value in (None, ""):
        return t("word.none")
    if name == "kind":
        return kind_name(str(value))
    if name == "title_separator":
        return {sign: words for words, sign in separators()}.get(value, repr(value))
    return str(value)


def separators() -> list[tuple[str, str]]:
    """What may stand between title and text, in words."""
    return [
        (t("contract.space"), " "),
        (t("contract.line"), "\n"),
        (t("contract.two_lines"), "\n\n"),
        (t("contract.colon"), ": "),
    ]
