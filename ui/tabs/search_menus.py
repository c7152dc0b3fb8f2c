"""The menus of *Search*, and questions to begin with."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from ui.kit.choices import model_names, update
from ui.kit.markup import EMPTY, join, pick
from ui.services import Services
from ui.words import t
from ui.words.amounts import count
from ui.words.kinds import kind_name
from workbench.errors import DatasetNotFound
from workbench.model_kinds import scoring
from workbench.records import Index
from workbench.search.pictures import of_pictures

EXAMPLES = 6


def encoders(services: Services) -> list[str]:
    """The models an index can be built with."""
    others = {model.name for model in services.workspace.models.list() if model.kind in scoring()}
    return [name for name in model_names(services.workspace) if name not in others]


def second_menu(services: Services, value: str | None) -> dict[str, Any]:
    """None, and the models that can be a second stage; not shown where there is none of these.

    The chosen one stays while it exists, and so does a typed folder or hub id.
    """
    models = [model for model in services.workspace.models.list() if model.kind in scoring()]
    choices = [(f"{model.name} · {kind_name(model.kind)}", model.name) for model in models]
    typed = value is not None and "/" in value
    kept = value if typed or value in [name for _, name in choices] else ""
    none = (t("search.second_none"), "")
    return update([none, *choices], kept, visible=bool(choices) or typed)


def index_label(index: Index) -> str:
    key = "search.index_pictures" if of_pictures(index) else "search.index_one"
    return t(key, name=index.name, model=index.model, documents=count(index.documents))


def examples_html(services: Services, names: Sequence[str]) -> str:
    """A few questions of the first index's data set, its test queries first."""
    queries = examples(services, names)
    if not queries:
        return EMPTY
    chips = join(pick(query, query if len(query) < 90 else query[:88] + "…") for query in queries)
    return Markup('<p class="rw-quiet rw-small">{}</p><div class="rw-chips">{}</div>').format(
        t("search.examples"), chips
    )


def examples(services: Services, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    index = services.workspace.indexes.get(names[0])
    try:
        reader = services.workspace.datasets.read(index.dataset_id, index.version)
    except DatasetNotFound:
        return []
    rows = reader.page(0, EXAMPLES, split="test") or reader.page(0, EXAMPLES)
    return [row.query for row in rows]
