"""What is shown of models: their list, what one gained and its contract, how it is taken away, what
is kept of their work, and the catalogue.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import gradio as gr
from markupsafe import Markup

from ui.kit.choices import PACKAGED
from ui.kit.confirm import Confirm
from ui.kit.markup import EMPTY, badge, empty, facts, heading, join, pick, piece, quiet_lines, table
from ui.kit.pushing import Pushing
from ui.routes.downloads import download_url
from ui.services import Services
from ui.words import sentences, t
from ui.words.amounts import ago, count, size
from ui.words.sentences import kind_name, metric_label
from workbench.comparison.names import HEADLINE
from workbench.comparison.table import LENGTHS, excluded
from workbench.errors import ModelNotFound
from workbench.evaluation.encoding_cache import EncodingCache
from workbench.model_kinds import MODEL_KINDS
from workbench.models.contract import Contract
from workbench.models.resolve import CatalogueModel, catalogue, manner
from workbench.recipes.push import PushModelRecipe
from workbench.records import Model
from workbench.takeaway.snippet import missing_base, use_lines

# The table of the workspace's models: what they are and what they gained.


def list_html(services: Services, picked: str | None) -> str:
    """All models as a table, the newest first."""
    models = services.workspace.models.list()
    if not models:
        return str(empty(t("models.empty"), t("models.empty_hint", model=PACKAGED)))
    heads = [t("models.col_name"), t("models.col_kind"), t("models.col_base")]
    heads += [t("models.col_before"), t("models.col_after"), t("models.col_verdict")]
    heads += [t("models.col_size"), t("models.col_made")]
    lines = [_row(services, model, model.name == picked) for model in models]
    names = [model.name for model in models]
    at = names.index(picked) if picked in names else None
    return str(table(heads, lines, caption=t("models.title"), numeric=[3, 4, 6], chosen=at))


def _row(services: Services, model: Model, chosen: bool) -> list[str]:
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


Has = Callable[[Contract], bool]


def _all(_contract: Contract) -> bool:
    return True


def _pools(contract: Contract) -> bool:
    return contract.model_kind.pools


def _reads_alone(contract: Contract) -> bool:
    """Whether queries and documents are read one at a time."""
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
    "dimensions": _reads_alone,
    "query_prompt": _reads_alone,
    "document_prompt": _reads_alone,
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
    metric = metric_label(str(model.summary.get("metric", HEADLINE)))
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


# Models people start from, as a table: what they are for, and the id to type in Train.

_PROMPTS = {
    "query_prompt": "catalogue.query_prompt",
    "document_prompt": "catalogue.document_prompt",
}


def catalogue_piece() -> None:
    """The table; it never changes while the page is open."""
    piece(heading(t("catalogue.title"), t("catalogue.about")))
    piece(catalogue_html(), elem_id="models-catalogue")


def catalogue_html() -> Markup:
    """All models of the catalogue, in the file's order."""
    heads = [t("catalogue.col_id"), t("catalogue.col_kind"), t("catalogue.col_languages")]
    heads += [t("catalogue.col_size"), t("catalogue.col_length"), t("catalogue.col_use")]
    heads += [t("catalogue.col_licence"), t("catalogue.col_remark")]
    lines = [_line(model) for model in catalogue()]
    return table(heads, lines, caption=t("catalogue.title"), numeric=[3, 4])


def _line(model: CatalogueModel) -> list[str]:
    return [
        Markup('<code class="rw-mono">{}</code>').format(model.id),
        kind_name(model.kind),
        sentences.said(model.languages),
        size(model.size * 1_000_000) if model.size else t("catalogue.unknown"),
        f"{model.max_len:,}" if model.max_len else t("catalogue.unknown"),
        ", ".join(map(sentences.said, manner(model).split(", "))) or EMPTY,
        sentences.said(model.licence or "") or t("catalogue.unknown"),
        join([Markup("{}").format(sentences.said(model.remark)), _prompt(model)]),
    ]


def _prompt(model: CatalogueModel) -> Markup:
    """What it expects before queries and documents."""
    said = [
        t(words, prompt=" ".join(str(model.contract[name]).split()))
        for name, words in _PROMPTS.items()
        if model.contract.get(name)
    ]
    if not said:
        return EMPTY
    return Markup('<br><span class="rw-quiet">{}</span>').format(" ".join(said))


# What is kept of models' work on disk (encodings, scores of pairs): how much, and a way to be rid
# of it.


class Cache:
    """How much is kept, and a button that removes it."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.line = piece(elem_id="models-cache")
        self.clear = Confirm(t("models.cache_clear"), t("models.cache_clear_yes"))

    def listen(self) -> None:
        def warn() -> tuple[list[Model], str]:
            return [], t("models.cache_warning", size=size(_cache(self.services).bytes()))

        def clear() -> dict[Any, Any]:
            _cache(self.services).clear()
            return self.view()

        self.clear.listen(warn, clear, None, [], [self.line])

    def view(self) -> dict[Any, Any]:
        return {self.line: kept_html(self.services)}


def kept_html(services: Services) -> str:
    """What is kept, in a line."""
    cache = _cache(services)
    if not cache.limit:
        said = t("models.cache_off")
    else:
        models, taken = count(len(cache.models())), size(cache.bytes())
        said = t("models.cache", size=taken, limit=size(cache.limit), models=models)
    return str(Markup('<p class="rw-quiet rw-small">{}</p>').format(said))


def _cache(services: Services) -> EncodingCache:
    return EncodingCache(services.workspace.home)


# Take it away: the lines that use a model elsewhere, its run as a script, a push to a hub.


class Take:
    """How a model is used elsewhere; below, what sends it to a hub."""

    def __init__(self, services: Services) -> None:
        self.services = services
        with gr.Accordion(t("take.title"), open=False, elem_id="model-take"):
            self.use = piece(elem_id="model-use")
            self.push = Pushing(services, "push", PushModelRecipe, "model")

    def listen(self, chosen: Any) -> None:
        """``chosen`` holds the name of the model that is shown."""
        self.push.listen(chosen, self.services.workspace.models.get)

    def view(self, model: Model | None) -> dict[Any, Any]:
        """What a chosen model changes."""
        return {
            self.use: html(self.services, model) if model else EMPTY,
            **self.push.view(model),
        }


def _repeatable(kind: str) -> bool:
    """Whether a script can be written that repeats a run of this kind."""
    return kind in MODEL_KINDS and MODEL_KINDS.get(kind).scripted


def html(services: Services, model: Model) -> Markup:
    """The lines that use the model, what else to take along, and its run as a script."""
    workspace = services.workspace
    base = missing_base(workspace, model)
    along = Markup("<p>{}</p>").format(t("take.base", base=base)) if base else EMPTY
    script = EMPTY
    if model.job_id and _repeatable(model.kind):
        where = services.url(f"/api/download/models/{quote(model.name, safe='')}/script.zip")
        script = Markup('<p>{} <a href="{}" download>{}</a></p>').format(
            t("take.script"), where, t("take.script_get")
        )
    return Markup('<p>{}</p><pre class="rw-mono" tabindex="0"><code>{}</code></pre>{}{}').format(
        t("take.use"), use_lines(workspace, model, model.name), along, script
    )
