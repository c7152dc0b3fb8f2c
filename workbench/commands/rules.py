"""Words whose meaning differs from ours, each converted by a function of its own: the table, and
the functions for data, lengths, schedule and files. Those of the model: :mod:`.rules_model`.
"""

from collections.abc import Callable
from functools import partial
from pathlib import PurePosixPath

from workbench.commands.parse import Option
from workbench.commands.reading import Reading
from workbench.models.contract import name_from

# Words about the model and the objective: pooling, precision, adapters, prompts, losses.

_POOLINGS = {"cls": "cls", "mean": "mean", "last_token": "lasttoken", "last": "lasttoken",
             "lasttoken": "lasttoken", "eos": "lasttoken", "avg": "mean"}  # fmt: skip
_METHODS = {"full": "full", "all": "full", "lora": "lora", "qlora": "qlora"}
_ARCHITECTURES = {
    "encoder": "cross-encoder", "cross-encoder": "cross-encoder", "cross_encoder": "cross-encoder",
    "seqclassificationranker": "cross-encoder", "bert_encoder": "cross-encoder",
    "decoder": "llm", "llm_decoder": "llm", "llm": "llm",
}  # fmt: skip
_LOSSES = {
    "multiplenegativesrankingloss": "contrastive", "infonce": "contrastive",
    "cachedmultiplenegativesrankingloss": "cached-contrastive", "gistembedloss": "gist",
    "cachedgistembedloss": "cached-gist", "distillkldivloss": "distill-kl",
    "marginmseloss": "margin-mse", "kl_div": "distill-kl", "point_ce": "bce",
    "binarycrossentropyloss": "bce", "classification": "bce", "listwise_ce": "contrastive",
    "listnetloss": "listnet", "lambdaloss": "lambda", "cosentloss": "cosent",
    "cosinesimilarityloss": "cosine",
}  # fmt: skip


def normalized(reading: Reading, option: Option) -> None:
    wanted = reading.flag(option)
    if wanted is None:
        return
    if reading.has("normalize"):
        reading.put("normalize", wanted, option)
    elif wanted:
        reading.note(option, "vectors are compared by their cosine here, so it always holds.")
    else:
        reading.note(option, "no equal: training compares vectors by their cosine.")


def pooling(reading: Reading, option: Option) -> None:
    mode = _POOLINGS.get(option.text.lower())
    if mode is None:
        reading.unclear(option, "no pooling known here (mean, cls, last_token).")
    else:
        reading.put("pooling", mode, option)


def no_batch(reading: Reading, option: Option) -> None:
    off = reading.flag(option)
    if off is not None:
        reading.put("in_batch_negatives", not off, option)


def fp16(reading: Reading, option: Option) -> None:
    if reading.flag(option):
        _half(reading, option)


def _half(reading: Reading, option: Option) -> None:
    if reading.gpu:
        reading.put("precision", "fp16", option)
        return
    reading.put("precision", "auto", option)
    reading.note(
        option,
        "fp16 needs a GPU, and there is none here, so precision is 'auto': bf16 where the "
        "processor is fast at it, else fp32.",
    )


def bf16(reading: Reading, option: Option) -> None:
    if reading.flag(option):
        reading.put("precision", "bf16", option)


def mixed(reading: Reading, option: Option) -> None:
    said = option.text.lower()
    if said == "fp16":
        _half(reading, option)
    elif said == "bf16":
        reading.put("precision", "bf16", option)
    elif said in ("no", "none", "null", "fp32", ""):
        reading.put("precision", "fp32", option)
    else:
        reading.unclear(option, "no number format known here (fp16, bf16, no).")


def method(reading: Reading, option: Option) -> None:
    method = _METHODS.get(option.text.lower())
    if method is None or not reading.allows("method", method):
        known = ", ".join(
            name for name in ("full", "lora", "qlora") if reading.allows("method", name)
        )
        reading.unclear(option, f"{reading.words} is trained by {known}.")
    else:
        reading.put("method", method, option)


def use_lora(reading: Reading, option: Option) -> None:
    wanted = reading.flag(option)
    if wanted is not None and reading.values.get("method") != "qlora":
        reading.put("method", "lora" if wanted else "full", option)


def _loaded_in(reading: Reading, option: Option, bits: str) -> None:
    if not reading.flag(option):
        return
    if not reading.allows("method", "qlora"):
        reading.note(option, f"{reading.words} is not trained over quantized weights.")
        return
    reading.put("method", "qlora", option)
    reading.put("quantization_bits", bits, option)


def bits(reading: Reading, option: Option) -> None:
    if option.text in ("0", "16", "32", "none", "None"):
        reading.note(option, "the weights are not quantized.")
    else:
        reading.put("quantization_bits", option.text, option)


def modules(reading: Reading, option: Option) -> None:
    names = " ".join(option.values).replace(",", " ").split()
    reading.put("target_modules", ",".join(names), option)


def _prompt(reading: Reading, option: Option, name: str) -> None:
    if reading.model_kind.reads_pairs:
        reading.note(
            option, "a reranker has no prompt before each text; an LLM's is its 'prompt_template'."
        )
        return
    reading.put(name, option.text, option)


def format(reading: Reading, option: Option) -> None:
    """``query_instruction_format``, applied when all words were read."""
    query = option.word.startswith("query")
    reading.formats["query_prompt" if query else "document_prompt"] = option.text


def distillation(reading: Reading, option: Option) -> None:
    if not reading.flag(option):
        return
    if reading.allows("objective", "distill-kl"):
        reading.put("objective", "distill-kl", option)
        reading.note(option, "the objective is 'distill-kl', which learns the data's scores.")
    else:
        reading.note(option, f"no equal: {reading.words} does not learn a teacher's scores here.")


def distillation_loss(reading: Reading, option: Option) -> None:
    if option.text != "kl_div":
        reading.note(option, "no equal: distillation learns by KL divergence, or MarginMSE.")


def loss(reading: Reading, option: Option) -> None:
    known = _LOSSES.get(option.text.lower().rpartition(".")[2])
    if known and reading.allows("objective", known):
        reading.put("objective", known, option)
    else:
        reading.note(option, "no equal among the objectives here; the usual one is taken.")


def scale(reading: Reading, option: Option) -> None:
    scale = reading.number(option)
    if scale is not None and scale > 0:
        reading.put("temperature", 1 / scale, option)
        reading.note(option, f"a scale is one through the temperature, which is {1 / scale:g}.")


def matryoshka(reading: Reading, option: Option) -> None:
    dims = " ".join(option.values).replace(",", " ").replace("[", " ").replace("]", " ").split()
    if all(dim.isdecimal() for dim in dims):
        reading.put("matryoshka_dims", ", ".join(dims), option)
    else:
        reading.unclear(option, "no list of dimensions, so it was not taken.")


def use_matryoshka(reading: Reading, option: Option) -> None:
    if reading.flag(option):
        reading.note(option, "the lengths are what 'matryoshka_dims' (mrl_dims) says.")


def architecture(reading: Reading, option: Option) -> None:
    known = _ARCHITECTURES.get(option.text.lower())
    if not reading.model_kind.reads_pairs:
        reading.note(option, f"the command trains {reading.words}.")
    elif known:
        reading.put("architecture", known, option)
    else:
        reading.note(option, "the kind of reranker is read from the model's own files.")


def train_type(reading: Reading, option: Option) -> None:
    if option.text.startswith("distill"):
        reading.note(option, "no equal: embeddings of a teacher are not learnt from.")
    else:
        reading.note(option, "the kind of training follows from the data's columns.")


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
    least = 1 if reading.model_kind.reads_pairs else 0
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
    if reading.model_kind.reads_pairs:
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
        ("normalized", "normlized", "normalize_embeddings", "normalize"), normalized
    ),
    **dict.fromkeys(("sentence_pooling_method", "pooling_method", "pooling_mode"), pooling),
    **dict.fromkeys(("no_in_batch_neg_flag", "no_in_batch_neg"), no_batch),
    "fp16": fp16,
    "bf16": bf16,
    "mixed_precision": mixed,
    **dict.fromkeys(("finetune_type", "finetuning_type", "tuning_type"), method),
    **dict.fromkeys(("use_lora", "use_peft", "peft", "lora"), use_lora),
    **dict.fromkeys(("load_in_4bit", "use_qlora", "qlora"), partial(_loaded_in, bits="4")),
    "load_in_8bit": partial(_loaded_in, bits="8"),
    **dict.fromkeys(("quantization_bits", "quantization_bit", "bits"), bits),
    **dict.fromkeys(("target_modules", "lora_target_modules", "lora_target"), modules),
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
        partial(_prompt, name="query_prompt"),
    ),
    **dict.fromkeys(
        ("passage_instruction_for_retrieval", "passage_instruction_for_rerank",
         "passage_instruction", "passage_prefix", "document_prefix", "document_prompt"),
        partial(_prompt, name="document_prompt"),
    ),
    **dict.fromkeys(("query_instruction_format", "passage_instruction_format"), format),
    "knowledge_distillation": distillation,
    "kd_loss_type": distillation_loss,
    **dict.fromkeys(("loss", "loss_type", "loss_fn"), loss),
    "scale": scale,
    **dict.fromkeys(("mrl_dims", "matryoshka_dims"), matryoshka),
    "use_mrl": use_matryoshka,
    "model_type": architecture,
    "train_type": train_type,
    **dict.fromkeys(("output_dir", "project_name", "output_path", "model_save_path"), _name),
    **dict.fromkeys(("no_cuda", "use_cpu"), _no_gpu),
    "trust_remote_code": _trust,
    **dict.fromkeys(("config", "config_path"), _config),
    "kind": _kind,
}  # fmt: skip
