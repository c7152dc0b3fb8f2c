"""Words about the model and the objective: pooling, precision, adapters, prompts, losses."""

from workbench.commands.parse import Option
from workbench.commands.reading import Reading

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


def four_bits(reading: Reading, option: Option) -> None:
    _loaded_in(reading, option, "4")


def eight_bits(reading: Reading, option: Option) -> None:
    _loaded_in(reading, option, "8")


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


def query_prompt(reading: Reading, option: Option) -> None:
    _prompt(reading, option, "query_prompt")


def document_prompt(reading: Reading, option: Option) -> None:
    _prompt(reading, option, "document_prompt")


def _prompt(reading: Reading, option: Option, name: str) -> None:
    if reading.kind == "reranker":
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
    if reading.kind != "reranker":
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
