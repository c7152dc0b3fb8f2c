"""The task 'train-reranker': a cross-encoder or an LLM reranker, measured on frozen candidates."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers.cross_encoder.training_args import CrossEncoderTrainingArguments
from transformers import TrainerCallback

from workbench.data.reader import DatasetReader
from workbench.data_check.lengths import counter_of
from workbench.errors import BadInput
from workbench.jobs.reporting import JobContext
from workbench.models.contract import (
    INSTRUCTION,
    NO,
    TEMPLATE,
    YES,
    Contract,
    as_kind,
    own_template,
)
from workbench.models.inspect import is_language_model
from workbench.models.load import LoadedReranker
from workbench.models.locate import LocalModel, locate
from workbench.recipes.train_kinds import TrainRerankerRecipe
from workbench.training.callbacks import Cadence, Recorder
from workbench.training.dev import Dev
from workbench.training.epoch import steps
from workbench.training.loss import as_trained, fresh_heads, module_of, pair_lengths
from workbench.training.pairs import PairCollator, Teacher, candidate_rows
from workbench.training.rows import TrainingRows, load_texts
from workbench.training.run import (
    Head,
    Place,
    Prepared,
    Run,
    batched_arguments,
    encoder_of,
    reports,
    reranking_dev,
    teacher_of,
)
from workbench.training.trainer import RerankerTrainer
from workbench.workspace import Workspace

#: The learning rate of a head that is trained alone, as linear probes are.
HEAD_RATE = 1e-3


class HeadFirst(TrainerCallback):
    """Trains the parts of a model that are called so alone for the first steps, then all of it
    (linear probing, then fine-tuning: Kumar et al. 2022): a head of chance would turn the encoder's
    good features into worse ones until it is worth something itself.

    ``rate``: the learning rate of these steps; the warm-up begins after them. The scripts of
    takeaway/ hold this class as it is.
    """

    def __init__(self, model: Any, parts: Any, steps: int, rate: float) -> None:
        named = model.named_parameters()
        self.others = [one for name, one in named if not set(name.split(".")) & set(parts)]
        self.steps = steps
        self.rate = rate

    def on_pre_optimizer_step(
        self,
        args: Any,
        state: Any,
        control: Any,  # noqa: ARG002 - the library's hook
        optimizer: Any = None,
        **_: Any,
    ) -> None:
        step = state.global_step
        if step >= self.steps:
            # The scheduler warms up from the first step on; all weights do from this one on.
            if self.steps and step < args.warmup_steps:
                done = (step - self.steps) / (args.warmup_steps - self.steps)
                for group in optimizer.param_groups:
                    group["lr"] *= done * args.warmup_steps / step
            return
        # Not by freezing: processes that train together expect every gradient.
        for one in self.others:
            one.grad = None
        for group in optimizer.param_groups:
            # The scheduler sets the next step's.
            group["lr"] = self.rate


class RerankerTraining:
    """What is particular to rerankers."""

    def start(self, recipe: TrainRerankerRecipe, base: LocalModel) -> Contract:
        """A reranker as it is, or an encoder or language model made into one."""
        contract = base.contract
        if contract.model_kind.token_vectors:
            raise BadInput(
                f"'{base.name}' is a late-interaction model, not a reranker.",
                "Train it with --kind late-interaction, or choose another model.",
            )
        if contract.model_kind.first_stage:
            llm = recipe.architecture == "llm"
            if recipe.architecture == "auto":
                llm = is_language_model(base.folder)
            contract = as_kind(contract, recipe.kind, llm=llm)
        if contract.architecture == "llm":
            contract = _asked(contract, recipe, base.folder)
        return contract

    def brings(self, recipe: Any, base: LocalModel) -> bool:
        """A reranker, or a language model, which answers yes or no without any training."""
        ranks = not base.contract.model_kind.first_stage
        return ranks or self.start(recipe, base).architecture == "llm"

    def dev(
        self,
        recipe: TrainRerankerRecipe,
        context: JobContext,
        reader: DatasetReader,
        output: Path,
        place: Place,
    ) -> Dev:
        return reranking_dev(recipe, context, reader, output, place)

    def contract(
        self, loaded: LoadedReranker, recipe: TrainRerankerRecipe, base_name: str
    ) -> Contract:
        return as_trained(loaded.contract, loaded.model, recipe, base_name)

    def begin(self, run: Run, loaded: LoadedReranker) -> None:
        """Nothing: it is measured and trained as it is."""

    def prepare(
        self, run: Run, loaded: LoadedReranker, recorder: Recorder, cadence: Cadence
    ) -> Prepared:
        recipe, contract, model = run.recipe, loaded.contract, loaded.model
        rows = run.group.tell(partial(_rows, run))
        queries, documents = load_texts(run.reader, rows, contract)
        # The losses ask the model for pairs' tokens, and know no other length than its own.
        lengths = pair_lengths(model, recipe)
        model.max_seq_length = sum(lengths.values())
        collator = PairCollator(
            model,
            queries,
            documents,
            query=lengths["query_max_len"],
            listwise=not recipe.chosen_objective.pointwise,
            right=recipe.chosen_objective.right,
        )
        parts = fresh_heads(model[0].model, run.base)
        alone = recipe.head_first if parts else 0.0
        arguments, made = batched_arguments(
            CrossEncoderTrainingArguments,
            run,
            rows,
            head=alone,
            # All are used. Looking for others fails where the loss tokenizes pairs: they come in a
            # BatchEncoding, into which torch does not look.
            ddp_find_unused_parameters=False,
        )
        total = steps(recipe, made)
        head = Head(tuple(parts), round(alone * total))
        trainer = RerankerTrainer(
            model,
            contract=contract,
            dev=run.dev_evaluation(loaded),
            args=arguments,
            train_dataset=Dataset.from_dict(rows.columns),
            loss=reranker_loss(model, recipe),
            data_collator=collator,
            callbacks=[recorder, cadence],
        )
        if head.steps:
            trainer.add_callback(HeadFirst(model, head.parts, head.steps, HEAD_RATE))
        teacher = teacher_of(recipe, run.context.workspace)
        notes = rows.notes + head.notes(total)
        return Prepared(trainer, rows, made, notes, lengths, head, teacher)


def _asked(contract: Contract, recipe: TrainRerankerRecipe, folder: Path) -> Contract:
    """An LLM reranker's question: the recipe's, else the contract's, else the folder's own files'.

    A saved reranker's files say both answers and prompt; a plain checkpoint may bring a prompt,
    which then holds the instruction, too.
    """
    saved = (folder / "modules.json").is_file()
    own = saved or own_template(folder)
    template = recipe.prompt_template or contract.prompt_template or ("" if own else TEMPLATE)
    answers = ("", "") if saved else (YES, NO)
    return contract.model_copy(
        update={
            "yes_token": recipe.yes_token or contract.yes_token or answers[0],
            "no_token": recipe.no_token or contract.no_token or answers[1],
            "instruction": recipe.instruction
            or contract.instruction
            or (INSTRUCTION if template else ""),
            "prompt_template": template,
        }
    )


def _rows(run: Run) -> TrainingRows:
    place, context = Place(run.device, run.precision), run.context
    said = reports(context, "Finding negatives")
    teacher = teacher_of(run.recipe, context.workspace)
    return rows_of(context.workspace, run.reader, run.asks_rows, place, teacher, context.note, said)


def rows_of(
    workspace: Workspace,
    reader: DatasetReader,
    recipe: TrainRerankerRecipe,
    place: Place,
    teacher: str,
    tell: Callable[[str], None] | None = None,
    reporting: Mapping[str, Any] | None = None,
) -> TrainingRows:
    """What a reranker is trained on. ``teacher``: the name of the model that checks it, or ''.
    Raises what :func:`candidate_rows` raises."""
    encoder = encoder_of(workspace, recipe.first_stage, place, tell)
    checks = encoder if teacher == recipe.first_stage else encoder_of(workspace, teacher, place)
    check = None
    if teacher:
        counted = counter_of(locate(workspace, teacher))
        check = Teacher(teacher, checks, counted[0] if counted else None)
    return candidate_rows(reader, recipe, encoder, check, **(reporting or {}))


def reranker_loss(model: Any, recipe: TrainRerankerRecipe) -> torch.nn.Module:
    """The recipe's objective, all sentence-transformers' own."""
    return module_of(recipe.loss(), model)
