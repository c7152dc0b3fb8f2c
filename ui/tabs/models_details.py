"""One model: what it gained, its contract, and the link to take it away."""

from collections.abc import Callable, Mapping
from typing import Any

from markupsafe import Markup

from ui.kit.markup import facts, heading, join, quiet_lines
from ui.routes.downloads import download_url
from ui.services import Services
from ui.tabs.models_list import measure
from ui.words import t
from ui.words.amounts import count, size
from ui.words.kinds import kind_name
from workbench.comparison.conditions import LENGTHS, excluded
from workbench.comparison.names import HEADLINE, label
from workbench.errors import ModelNotFound
from workbench.models.contract import Contract
from workbench.records import Model

Has = Callable[[Contract], bool]


def _all(_contract: Contract) -> bool:
    return True


def _pools(contract: Contract) -> bool:
    return contract.model_kind.pools


def _apart(contract: Contract) -> bool:
    return not contract.model_kind.reads_pairs


def _answers(contract: Contract) -> bool:
    return contract.architecture == "llm"


#: The contract's fields in their order, and which models have them.
CONTRACT: dict[str, Has] = {
    "kind": _all,
    "pictures_by": lambda contract: contract.model_kind.reads_pictures,
    "pooling": _pools,
    "normalize": _pools,
    "causal": _pools,
    "dimensions": _apart,
    "query_prompt": _apart,
    "document_prompt": _apart,
    "title_separator": _all,
    "query_max_len": _all,
    "passage_max_len": _all,
    "yes_token": _answers,
    "no_token": _answers,
    "instruction": _answers,
    "prompt_template": _answers,
    "dtype": _all,
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
    of = Contract.model_validate(contract)
    return {
        t(f"contract.{name}"): _plain(name, contract.get(name))
        for name, has in CONTRACT.items()
        if has(of)
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
