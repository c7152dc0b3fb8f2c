"""Which contracts make sense for the model in a folder. Torch-free.

A contract says how weights are used; what the weights themselves decide (their shapes, what they
were trained with here) cannot be set to something else.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.errors import BadInput, BadRecipe
from workbench.model_kinds import MODEL_KINDS
from workbench.models.architecture import (
    DECODERS,
    PLAIN_LENGTH,
    hidden_size,
    is_causal,
    position_limit,
    text_config,
)
from workbench.models.contract import (
    INSTRUCTION,
    NO,
    TEMPLATE,
    YES,
    Contract,
    as_kind,
    has_token_head,
    own_template,
    template_of,
)
from workbench.models.inspect import ModelFolder, is_language_model, read_json, read_list
from workbench.recipes.base import ContractRecipe

#: What changes a model's vectors or scores through its own files, not only how texts are handed in.
OWN_FILES = ("kind", "pooling", "normalize", "causal", "yes_token", "no_token")
_ANSWERS = ("yes_token", "no_token", "instruction", "prompt_template")
#: bge-m3's own head for a vector per token.


@dataclass(frozen=True)
class Rules:
    """A model's folder, its contract, and whether its weights were trained here by it."""

    found: ModelFolder
    contract: Contract
    trained: bool = False
    #: An adapter's base has the transformer's files.
    base: Path | None = None
    refused: dict[str, str] = field(default_factory=dict)

    def apply(self, wanted: ContractRecipe) -> Contract:
        """The contract with what was asked for; raises :class:`BadRecipe` with a sentence per
        field that makes no sense for this model."""
        self.refused.clear()
        asked = _asked(wanted)
        new = self._as_kind(asked.pop("kind", self.contract.kind))
        changes = {name: value for name, value in asked.items() if getattr(new, name) != value}
        new = new.model_copy(update=changes)
        for name in changes:
            self._check(name, new)
        self._check_lengths(changes, new)
        if self.refused:
            said = " ".join(f"{name}: {sentence}" for name, sentence in self.refused.items())
            raise BadRecipe(
                said,
                "Leave out what cannot be set; nothing was changed.",
                fields=dict(self.refused),
            )
        return new

    def kinds(self) -> tuple[str, ...]:
        """The kinds that the files can be used as, without weights that would be random."""
        folder, own = self.found.path, self.contract.kind
        if self.trained or self.found.layout == "adapter":
            return (own,)
        if self.found.layout == "sentence-transformers" and not has_token_head(folder):
            return (own,)
        return MODEL_KINDS.named(lambda kind: kind.name == own or kind.held_by(folder))

    @property
    def transformer(self) -> Path:
        """Where the transformer's own configuration lies."""
        folder = self.found.path
        if (folder / "modules.json").is_file():
            return folder / str(read_list(folder / "modules.json")[0].get("path", ""))
        return folder

    @property
    def limit(self) -> int | None:
        """The most tokens the model can read, special ones included."""
        return position_limit(self._config(), self._tokenizer())

    def _as_kind(self, kind: str) -> Contract:
        if kind == self.contract.kind:
            return self.contract
        if kind not in self.kinds():
            self.refused["kind"] = self._not_that_kind(kind)
            return self.contract
        folder = self.found.path
        length = min(self.limit or PLAIN_LENGTH, PLAIN_LENGTH)
        plain = self.contract.model_copy(
            update={
                "architecture": "",
                "normalize": True,
                "query_max_len": length,
                "passage_max_len": length,
                "dimensions": hidden_size(self._config()),
                **dict.fromkeys(_ANSWERS, ""),
            }
        )
        if MODEL_KINDS.get(kind).token_vectors:
            # Its width is that of the head, which is known once it is loaded.
            plain = plain.model_copy(update={"dimensions": 0})
        new = as_kind(plain, kind, llm=is_language_model(folder))
        if new.architecture != "llm":
            return new
        answers = {"yes_token": YES, "no_token": NO}
        if not own_template(folder):
            answers |= {"instruction": INSTRUCTION, "prompt_template": TEMPLATE}
        return new.model_copy(update=answers)

    def _not_that_kind(self, kind: str) -> str:
        if self.trained:
            return f"It was trained here as a {self.contract.kind} model."
        wanted = MODEL_KINDS.get(kind)
        if wanted.token_vectors:
            return "It has no token projection: train it as a late-interaction model first."
        if wanted.reads_pairs:
            return "It has no score head and is no language model: train it as a reranker first."
        return f"Its files are those of a {self.contract.kind} model."

    def _check(self, name: str, new: Contract) -> None:
        check: Callable[[Contract], str] | None = getattr(self, f"_check_{name}", None)
        said = self._not_of_the_kind(name, new) or (check(new) if check else "")
        if said:
            self.refused.setdefault(name, said)

    def _not_of_the_kind(self, name: str, new: Contract) -> str:
        if name in ("pooling", "normalize", "causal") and not new.model_kind.pools:
            return f"Only embedding models have this setting; this is a {new.kind} model."
        if name in ("query_prompt", "document_prompt") and new.model_kind.reads_pairs:
            return "A reranker takes no query or document prompt: it reads both together."
        if name in _ANSWERS and new.architecture != "llm":
            return "Only rerankers that are language models have this setting."
        return ""

    def _check_pooling(self, new: Contract) -> str:
        if self.trained:
            return f"It was trained here with {self.contract.pooling} pooling."
        if self.found.layout == "adapter":
            return "An adapter uses its base's pooling: merge it first, or change the base."
        if self.found.layout == "sentence-transformers" and pooling_config(self.found.path) is None:
            return "Its files define several poolings or none, which cannot be changed here."
        if new.causal and new.pooling == "cls":
            return "CLS pooling does not work with causal attention: the first token sees no other."
        return ""

    def _check_normalize(self, _new: Contract) -> str:
        if self.trained:
            if self.contract.normalize:
                return "It was trained here with L2 normalization."
            return "It was trained here without L2 normalization."
        if self.found.layout == "adapter":
            return "An adapter normalizes as its base does: merge it first, or change the base."
        return ""

    def _check_causal(self, new: Contract) -> str:
        if self.trained:
            if self.contract.causal:
                return "It was trained here with causal attention."
            return "It was trained here with bidirectional attention."
        if self.found.layout == "adapter":
            return "An adapter uses its base's attention: merge it first, or change the base."
        config = self._config()
        if text_config(config).get("model_type") not in DECODERS:
            return "Only decoders can use causal attention; this model is an encoder."
        if new.causal and not is_causal({**config, "is_causal": True}):
            return "Its own configuration makes its attention bidirectional."
        return ""

    def _check_yes_token(self, new: Contract) -> str:
        return self._check_answer(new.yes_token, new)

    def _check_no_token(self, new: Contract) -> str:
        return self._check_answer(new.no_token, new)

    def _check_answer(self, word: str, new: Contract) -> str:
        if self.trained:
            return "It was trained here with other answer tokens."
        if not word:
            return "Give the token that the model answers with."
        if new.yes_token == new.no_token:
            return "The two tokens must differ."
        if answer_id(self.tokenizer_file(), word) is None:
            return f"The tokenizer has no single token for '{word}'."
        return ""

    def _check_instruction(self, new: Contract) -> str:
        if not new.prompt_template and own_template(self.found.path):
            return "The model's own chat template contains the instruction: set the prompt as well."
        return ""

    def _check_prompt_template(self, new: Contract) -> str:
        if not new.prompt_template and self.found.layout != "transformers":
            return "This model needs a prompt."
        try:
            if new.prompt_template:
                template_of(new)
        except BadInput as error:
            return error.message
        return ""

    def _check_lengths(self, changes: dict[str, Any], new: Contract) -> None:
        limit = self.limit
        names = [name for name in ("query_max_len", "passage_max_len") if name in changes]
        for name in names:
            if limit and getattr(new, name) > limit:
                self.refused[name] = f"The model reads at most {limit} tokens."
        if names and limit and new.model_kind.reads_pairs and new.longest > limit:
            said = f"Query and document together are {new.longest} tokens; the model reads {limit}."
            self.refused.setdefault(names[-1], said)

    def tokenizer_file(self) -> Path:
        for folder in (self.transformer, self.found.path, self.base):
            if folder and (folder / "tokenizer.json").is_file():
                return folder / "tokenizer.json"
        return self.transformer / "tokenizer.json"

    def _config(self) -> dict[str, Any]:
        for folder in (self.transformer, self.base):
            if folder and (folder / "config.json").is_file():
                return read_json(folder / "config.json")
        return {}

    def _tokenizer(self) -> dict[str, Any]:
        return read_json(self.transformer / "tokenizer_config.json", missing={})


def _asked(wanted: ContractRecipe) -> dict[str, Any]:
    """What a recipe does not leave as it is, as the contract has it."""
    found: dict[str, Any] = {}
    for name in ContractRecipe.model_fields:
        value = getattr(wanted, name)
        if value in (None, "auto"):
            continue
        found[name] = value == "yes" if name in ("normalize", "causal") else value
    return found


def pooling_config(folder: Path) -> Path | None:
    """The file of a sentence-transformers folder's one pooling; None where there is not just one
    mode."""
    modules = read_list(folder / "modules.json")
    paths = [
        folder / str(module.get("path", "")) / "config.json"
        for module in modules
        if str(module.get("type", "")).rpartition(".")[2] == "Pooling"
    ]
    if len(paths) != 1 or not paths[0].is_file():
        return None
    said = read_json(paths[0])
    on = [name for name, value in said.items() if name.startswith("pooling_mode_") and value]
    mode = said.get("pooling_mode", on)
    several = isinstance(mode, list) and len(mode) != 1
    return None if several else paths[0]


def answer_id(tokenizer_json: Path, word: str) -> int | None:
    """The one token that an answer is; some tokenizers have it with a space before it only."""
    from tokenizers import Tokenizer

    if not tokenizer_json.is_file():
        return None
    tokenizer = Tokenizer.from_file(str(tokenizer_json))
    unknown = json.loads(tokenizer_json.read_text(encoding="utf-8"))["model"].get("unk_token")
    for text in (word, f" {word}"):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        if len(ids) == 1 and tokenizer.id_to_token(ids[0]) != unknown:
            return int(ids[0])
    return None
