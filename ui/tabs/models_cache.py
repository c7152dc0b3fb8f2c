"""What is kept of models' work on disk (encodings, scores of pairs): how much, and a way to be rid
of it."""

from dataclasses import dataclass

import gradio as gr
from markupsafe import Markup

from ui.kit import confirm
from ui.kit.markup import piece
from ui.services import Services
from ui.words import t
from ui.words.amounts import count, size
from workbench.evaluation.encoding_cache import EncodingCache
from workbench.records import Model


@dataclass(frozen=True)
class Cache:
    line: gr.HTML
    clear: confirm.Confirm


def render() -> Cache:
    """Draw it inside the current block."""
    line = piece(elem_id="models-cache")
    return Cache(line, confirm.render(t("models.cache_clear"), t("models.cache_clear_yes")))


def listen(services: Services, cache: Cache) -> None:
    def warn() -> tuple[list[Model], str]:
        return [], t("models.cache_warning", size=size(_cache(services).bytes()))

    def clear() -> str:
        _cache(services).clear()
        return html(services)

    confirm.listen(cache.clear, warn, clear, None, [], [cache.line])


def html(services: Services) -> str:
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
