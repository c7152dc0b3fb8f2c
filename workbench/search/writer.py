"""A causal language model in the search process that writes, piece by piece. Imports torch."""

import threading
from collections.abc import Callable
from typing import Any

import torch
from transformers import TextStreamer

from workbench.errors import BadInput
from workbench.models.resolve import resolve
from workbench.search.found import LruCache
from workbench.search.protocol import Write
from workbench.synthesis.local import framed, load_writer
from workbench.workspace import Workspace

#: A language model is large: one stays in memory.
_KEPT = 1


class Writer:
    """Loads a model on use; one text at a time. Searches go on meanwhile."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._models: LruCache[tuple[Any, Any]] = LruCache(_KEPT)
        self._lock = threading.Lock()

    def write(self, request: Write, say: Callable[[dict[str, Any]], None]) -> Any:
        """Continue the request's prompt; ``say`` gets each piece and may raise to stop it.

        The answer is what it took: tokens read and written, and whether the limit cut it off.
        """
        with self._lock:
            name, device = request.model, request.device
            found = resolve(self._workspace, name)
            key = f"{device} {found.model_id or found.source}"
            tokenizer, model = self._models.get(
                key, lambda: load_writer(self._workspace, name, device)
            )
            return _write(tokenizer, model, request, say)


def _write(
    tokenizer: Any, model: Any, request: Write, say: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    most = request.max_tokens
    fed = tokenizer(
        framed(tokenizer, request.prompt),
        return_tensors="pt",
        # A chat's template writes its own special tokens.
        add_special_tokens=not tokenizer.chat_template,
        return_token_type_ids=False,
    ).to(model.device)
    read = fed["input_ids"].shape[1]
    _check_room(model, request.model, read, most)
    say({"read": read})
    free = request.temperature
    sampling = {"do_sample": True, "temperature": free} if free else {"do_sample": False}
    with torch.inference_mode():
        made = model.generate(
            **fed,
            max_new_tokens=most,
            pad_token_id=tokenizer.pad_token_id,
            streamer=_Saying(tokenizer, say),
            **sampling,
        )
    wrote = made.shape[1] - read
    return {"prompt_tokens": read, "completion_tokens": wrote, "cut": wrote >= most}


def _check_room(model: Any, name: str, read: int, most: int) -> None:
    room = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if room and read + most > room:
        raise BadInput(
            f"'{name}' reads and writes {room:,} tokens at most; the passages and the question are "
            f"{read:,}, and the answer may take {most:,}.",
            "Lower the budget for passages, or the longest answer.",
        )


class _Saying(TextStreamer):
    """Hands on whole words as soon as they stand."""

    def __init__(self, tokenizer: Any, say: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self._say = say

    def put(self, value: Any) -> None:
        super().put(value)
        # A model that writes nothing to be seen is at work all the same.
        self._say({"text": ""})

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:  # noqa: ARG002
        self._say({"text": text})
