"""Words whose meaning differs from ours, each converted by a function of its own: the table, and
the functions for data, lengths, schedule and files. Those of the model: :mod:`.rules_model`."""

from collections.abc import Callable
from pathlib import PurePosixPath

from workbench.commands import rules_model as model
from workbench.commands.parse import Option
from workbench.commands.reading import Reading
from workbench.models.names import name_from

Rule = Callable[[Reading, Option], None]

_SCHEDULES = {
    "linear": "linear", "warmup_linear": "linear", "warmuplinear": "linear",
    "cosine": "cosine", "warmupcosine": "cosine", "warmup_cosine": "cosine",
    "constant": "constant", "constant_with_warmup": "constant", "warmupconstant": "constant",
}  # fmt: skip
#: Names of folders that say nothing about the model in them.
_PLAIN_FOLDERS = ("output", "outputs", "out", "model", "models", "checkpoints", "project-name", "")


def _group_size(reading: Reading, option: Option) -> None:
    size = reading.whole(option)
    if size is None:
        return
    least = 1 if reading.kind == "reranker" else 0
    negatives = max(size - 1, least)
    reading.put("negatives", negatives, option)
    what = f"it counts the relevant document and its negatives, so negatives is {negatives}."
    if size - 1 < least:
        what = f"at least {least} negative is needed, so negatives is {negatives}."
    reading.note(option, what)


def _across(reading: Reading, option: Option) -> None:
    wanted = reading.flag(option)
    if wanted is None:
        return
    if wanted or reading.has("negatives_cross_device"):
        reading.put("negatives_cross_device", wanted, option)


def _schedule(reading: Reading, option: Option) -> None:
    known = _SCHEDULES.get(option.text.lower())
    if known is None:
        reading.note(option, "no equal: the learning rate falls linear, as a cosine, or not.")
        return
    reading.put("scheduler", known, option)


def _warmup_steps(reading: Reading, option: Option) -> None:
    steps = reading.number(option)
    if steps is None:
        return
    if 0 <= steps < 1:
        reading.put("warmup", steps, option)
    else:
        reading.note(option, "warm-up is a share of all steps here: set 'warmup' (0.1 is a tenth).")


def _max_steps(reading: Reading, option: Option) -> None:
    steps = reading.whole(option)
    if steps is not None and steps > 0:
        reading.put("max_steps", steps, option)


def _both_lengths(reading: Reading, option: Option) -> None:
    if reading.kind == "reranker":
        reading.pair_length = reading.whole(option)
        return
    reading.put("query_max_len", option.text, option)
    reading.put("passage_max_len", option.text, option)


def _kept(reading: Reading, option: Option) -> None:
    count = reading.whole(option)
    if count is not None:
        reading.put("checkpoints_kept", max(count, 2), option)
        if count < 2:
            reading.note(option, "the best and the last checkpoint always stay, so it is 2.")


def _row_limit(reading: Reading, option: Option) -> None:
    count = reading.whole(option)
    # The tools' own default stands for 'no limit'.
    if count is not None and 0 < count < 100_000_000:
        reading.put("max_rows", count, option)
        if option.word == "max_example_num_per_dataset":
            reading.note(option, "the limit holds for all files together here.")


def _name(reading: Reading, option: Option) -> None:
    folder = PurePosixPath(option.text.replace("\\", "/"))
    if folder.name.lower() in _PLAIN_FOLDERS or folder.name.strip(".") == "":
        reading.note(
            option, "the model is kept in the workspace, under a name made of model and data set."
        )
        return
    name = name_from(str(folder))
    reading.put("name", name, option)
    reading.note(option, f"the model is kept in the workspace, under the name '{name}'.")


def _no_gpu(reading: Reading, option: Option) -> None:
    if reading.flag(option):
        reading.put("device", "cpu", option)


def _trust(reading: Reading, option: Option) -> None:
    if reading.flag(option):
        reading.note(
            option, "code that models bring runs only if the program was started with "
            "--trust-remote-code."
        )  # fmt: skip


def _config(reading: Reading, option: Option) -> None:
    reading.note(option, "this file is not opened; paste what is in it instead of the command.")


def _kind(reading: Reading, option: Option) -> None:
    if option.text != reading.kind:
        reading.note(option, f"the command was read as training {reading.words}.")


RULES: dict[str, Rule] = {
    "train_group_size": _group_size,
    "negatives_cross_device": _across,
    "gather_across_devices": _across,
    **dict.fromkeys(
        ("normalized", "normlized", "normalize_embeddings", "normalize"), model.normalized
    ),
    **dict.fromkeys(("sentence_pooling_method", "pooling_method", "pooling_mode"), model.pooling),
    **dict.fromkeys(("no_in_batch_neg_flag", "no_in_batch_neg"), model.no_batch),
    "fp16": model.fp16,
    "bf16": model.bf16,
    "mixed_precision": model.mixed,
    **dict.fromkeys(("finetune_type", "finetuning_type", "tuning_type"), model.method),
    **dict.fromkeys(("use_lora", "use_peft", "peft", "lora"), model.use_lora),
    **dict.fromkeys(("load_in_4bit", "use_qlora", "qlora"), model.four_bits),
    "load_in_8bit": model.eight_bits,
    **dict.fromkeys(("quantization_bits", "quantization_bit", "bits"), model.bits),
    **dict.fromkeys(("target_modules", "lora_target_modules", "lora_target"), model.modules),
    **dict.fromkeys(
        ("scheduler", "lr_scheduler_type", "lr_scheduler", "lr_schedule"), _schedule
    ),
    "warmup_steps": _warmup_steps,
    "max_steps": _max_steps,
    **dict.fromkeys(("max_seq_length", "max_len", "max_length", "max_seq_len"), _both_lengths),
    **dict.fromkeys(("save_total_limit", "num_max_checkpoints"), _kept),
    **dict.fromkeys(
        ("max_example_num_per_dataset", "max_train_samples", "max_samples"), _row_limit
    ),
    **dict.fromkeys(
        ("query_instruction_for_retrieval", "query_instruction_for_rerank", "query_instruction",
         "query_prefix", "query_prompt"),
        model.query_prompt,
    ),
    **dict.fromkeys(
        ("passage_instruction_for_retrieval", "passage_instruction_for_rerank",
         "passage_instruction", "passage_prefix", "document_prefix", "document_prompt"),
        model.document_prompt,
    ),
    **dict.fromkeys(("query_instruction_format", "passage_instruction_format"), model.format),
    "knowledge_distillation": model.distillation,
    "kd_loss_type": model.distillation_loss,
    **dict.fromkeys(("loss", "loss_type", "loss_fn"), model.loss),
    "scale": model.scale,
    **dict.fromkeys(("mrl_dims", "matryoshka_dims"), model.matryoshka),
    "use_mrl": model.use_matryoshka,
    "model_type": model.architecture,
    "train_type": model.train_type,
    **dict.fromkeys(("output_dir", "project_name", "output_path", "model_save_path"), _name),
    **dict.fromkeys(("no_cuda", "use_cpu"), _no_gpu),
    "trust_remote_code": _trust,
    **dict.fromkeys(("config", "config_path"), _config),
    "kind": _kind,
}  # fmt: skip
