"""A causal language model in the worker that writes questions. Imports torch."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, StoppingCriteria

from workbench.errors import ModelUnusable
from workbench.models.inspect import refuse_mute
from workbench.models.locate import locate
from workbench.models.precision import choose, dtype_of, pick_device
from workbench.recipes.synthesize import SynthesizeRecipe
from workbench.synthesis.answers import Answer, Answers
from workbench.workspace import Workspace

#: Passages that are read together. More would gain little on a CPU, and wait longer for answers.
BATCH = {"cpu": 4, "cuda": 32}


class LocalWriter:
    """Loads the model when it is asked to write."""

    def __init__(self, recipe: SynthesizeRecipe, workspace: Workspace) -> None:
        self.recipe = recipe
        self.workspace = workspace

    def write(
        self,
        prompts: Iterable[tuple[int, str]],
        answers: Answers,
        check: Callable[[], None],
        said: Callable[[], None],
    ) -> None:
        """As an endpoint's: an answer for every passage; ``check`` raises where it is to stop."""
        check()
        recipe = self.recipe
        tokenizer, model = load_writer(self.workspace, recipe.local_model, recipe.device)
        torch.manual_seed(self.recipe.seed)
        for batch in _batches(prompts, BATCH[model.device.type]):
            written = self._generate(tokenizer, model, [prompt for _, prompt in batch], check)
            for (row, _), answer in zip(batch, written, strict=True):
                answers.add(row, answer)
            said()

    def _generate(
        self, tokenizer: Any, model: Any, prompts: list[str], check: Callable[[], None]
    ) -> list[Answer]:
        recipe = self.recipe
        fed = tokenizer(
            [framed(tokenizer, one) for one in prompts],
            return_tensors="pt",
            padding=True,
            # A chat's template writes its own special tokens.
            add_special_tokens=not tokenizer.chat_template,
            return_token_type_ids=False,
        ).to(model.device)
        free = bool(recipe.temperature)
        sampling = {"do_sample": True, "temperature": recipe.temperature} if free else {}
        with torch.inference_mode():
            made = model.generate(
                **fed,
                max_new_tokens=recipe.max_tokens,
                pad_token_id=tokenizer.pad_token_id,
                stopping_criteria=[_Looking(check)],
                **(sampling or {"do_sample": False}),
            )
        new = made[:, fed["input_ids"].shape[1] :]
        texts = tokenizer.batch_decode(new, skip_special_tokens=True)
        read = fed["attention_mask"].sum(1).tolist()
        wrote = (new != tokenizer.pad_token_id).sum(1).tolist()
        return [Answer(*one) for one in zip(texts, read, wrote, strict=True)]


class _Looking(StoppingCriteria):
    """Looks after every token whether the person asked to stop; never ends a text itself."""

    def __init__(self, check: Callable[[], None]) -> None:
        self.check = check

    def __call__(self, input_ids: Any, _scores: Any, **_more: Any) -> Any:
        self.check()
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)


def load_writer(workspace: Workspace, name: str, device: str) -> tuple[Any, Any]:
    """A causal language model (MODEL) on a device, and its tokenizer.

    Raises :class:`ModelNotFound`, :class:`ModelUnusable` or :class:`BadInput`.
    """
    local = locate(workspace, name)
    refuse_mute(local.folder, name)
    where, trust = pick_device(device), local.trust_remote_code
    try:
        tokenizer = AutoTokenizer.from_pretrained(local.weights, trust_remote_code=trust)
        model = AutoModelForCausalLM.from_pretrained(
            local.weights, dtype=dtype_of(choose("auto", where)), trust_remote_code=trust
        )
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ModelUnusable(f"'{name}' cannot be loaded as a language model: {reason}") from error
    # What is to be continued must stand at the end of every row.
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer, model.to(where).eval()


def framed(tokenizer: Any, prompt: str) -> str:
    """As the model's chats look; a model without chats continues the prompt."""
    if not tokenizer.chat_template:
        return f"{prompt}\n\n"
    turns = [{"role": "user", "content": prompt}]
    framed: str = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    return framed


def _batches(prompts: Iterable[tuple[int, str]], size: int) -> Iterator[list[tuple[int, str]]]:
    left = iter(prompts)
    while batch := list(islice(left, size)):
        yield batch
