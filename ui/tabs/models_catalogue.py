"""Models people start from, as a table: what they are for, and the id to type in Train."""

from markupsafe import Markup

from ui.kit.markup import EMPTY, heading, join, piece, table
from ui.words import sentences, t
from ui.words.amounts import size
from ui.words.kinds import kind_name
from workbench.models.resolve import CatalogueModel, catalogue, manner

_PROMPTS = {
    "query_prompt": "catalogue.query_prompt",
    "document_prompt": "catalogue.document_prompt",
}


def render() -> None:
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
