"""The script's ``load_model``, as models/assemble.py and training/method.py do it."""

from string import Template
from typing import Any

from workbench.models.contract import Contract
from workbench.models.inspect import Layout
from workbench.takeaway import pieces

_POOLING = "from sentence_transformers.sentence_transformer.modules import Pooling"


def load_function(
    this: Any,
    recipe: Any,
    contract: Contract,
    layout: Layout,
    keeping: Any,
    heads: list[str] | None,
    *,
    m3: bool,
) -> str:
    """The function's text; what it imports is added to ``this``. ``heads``: trained whole beside an
    adapter; ``m3``: the base has bge-m3's head for a vector per token."""
    kept = _kept(this, keeping)
    body = {
        "embedding": lambda: _embedding(this, recipe, contract, layout, kept),
        "reranker": lambda: _reranker(this, contract, layout, kept),
        "late-interaction": lambda: _late(this, contract, kept, m3=m3),
    }[recipe.kind]()
    body += pieces.PADDING
    if recipe.kind == "reranker" and contract.architecture != "llm":
        body += (
            '    if getattr(model.config, "pad_token_id", None) is None:\n'
            "        model.config.pad_token_id = model.tokenizer.pad_token_id\n"
        )
    if keeping.quantization:
        body += pieces.STEADY
    if keeping.whole:
        body += "    model.float()\n"
    body += _method(this, recipe, heads) + _manner(recipe)
    before = pieces.PROJECTION if "projection(" in body else ""
    if before:
        this.imports.add("from sentence_transformers.base.modules import Dense")
    return f"{before}\n\ndef load_model():\n{body}    return model\n"


def _kept(this: Any, keeping: Any) -> str:
    """The expression for how weights are kept in memory."""
    dtype = str(keeping.dtype)
    if not keeping.quantization:
        return f'{{"dtype": {dtype}}}'
    this.imports.add("from transformers import BitsAndBytesConfig")
    skipped = ["classifier", "pooler", "score", "lm_head"]
    if keeping.quantization == "int8":
        config = f"load_in_8bit=True, llm_int8_skip_modules={skipped}"
    else:
        config = (
            f"load_in_4bit=True, bnb_4bit_quant_type={keeping.quantization!r}, "
            f"bnb_4bit_use_double_quant={keeping.double_quantization}, "
            f"bnb_4bit_compute_dtype={keeping.compute_dtype}, llm_int8_skip_modules={skipped}"
        )
    return (
        f'{{"dtype": {dtype}, "quantization_config": BitsAndBytesConfig({config}), '
        '"device_map": {"": DEVICE}}'
    )


def _embedding(this: Any, recipe: Any, contract: Contract, layout: Layout, kept: str) -> str:
    this.imports.add("from sentence_transformers import SentenceTransformer")
    if layout == "transformers":
        this.imports |= {
            _POOLING,
            "from sentence_transformers.base.modules import Normalize, Transformer",
        }
        mode = "mean" if contract.pooling == "other" else contract.pooling
        ends = ", Normalize()" if contract.normalize else ""
        return (
            Template(pieces.LOAD_PLAIN).substitute(kept=kept)
            + f"    pooling = Pooling(transformer.get_embedding_dimension(), {mode!r})\n"
            + f"    modules = [transformer, pooling{ends}]\n"
            + "    model = SentenceTransformer(modules=modules, device=DEVICE)\n"
        )
    text = f"    model = SentenceTransformer(BASE, device=DEVICE, model_kwargs={kept})\n"
    if recipe.pooling != "auto":
        this.imports.add(_POOLING)
        text += (
            "    for module in model:\n        if isinstance(module, Pooling):\n"
            f"            module.pooling_mode = {contract.pooling!r}\n"
        )
    return text


def _reranker(this: Any, contract: Contract, layout: Layout, kept: str) -> str:
    this.imports.add("from sentence_transformers import CrossEncoder")
    if contract.architecture == "llm" and layout == "transformers":
        this.imports |= {
            "from sentence_transformers.base.modules import Transformer",
            "from sentence_transformers.cross_encoder.modules import LogitScore",
        }
        asked = '{"chat_template": CHAT_TEMPLATE}' if contract.prompt_template else "{}"
        return Template(pieces.LOAD_LLM).substitute(kept=kept, asked=asked, answers=pieces.ANSWERS)
    labels = "" if contract.architecture == "llm" else "num_labels=1, "
    text = (
        f"    model = CrossEncoder(\n        BASE, device=DEVICE, {labels}"
        f"activation_fn=torch.nn.Identity(), model_kwargs={kept}\n    )\n"
    )
    if contract.architecture != "llm" or not contract.prompt_template:
        return text
    text += pieces.ASK
    if contract.yes_token and contract.no_token:
        this.imports.add("from sentence_transformers.cross_encoder.modules import LogitScore")
        text += pieces.ANSWERS + pieces.ASK_ANSWERS
    return text


def _late(this: Any, contract: Contract, kept: str, *, m3: bool) -> str:
    this.imports.add("from sentence_transformers import MultiVectorEncoder")
    if m3:
        this.imports |= {
            "from sentence_transformers.base.modules import Normalize, Transformer",
            "from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask",
            "from transformers.utils import cached_file",
        }
        return Template(pieces.LOAD_PLAIN).substitute(kept=kept) + pieces.LOAD_M3
    return (
        f"    model = MultiVectorEncoder(BASE, device=DEVICE, model_kwargs={kept})\n"
        f"    if model.get_embedding_dimension() != {contract.dimensions}:\n"
        "        # The base brings no projection of its own: a fresh one is drawn from the seed.\n"
        f"        width = model[0].get_embedding_dimension()\n"
        f"        model[1] = projection(width, {contract.dimensions}).to(model.device)\n"
    )


def _method(this: Any, recipe: Any, heads: list[str] | None) -> str:
    if recipe.method == "full":
        return "    model.requires_grad_(True)\n"
    this.imports.add("from peft import LoraConfig")
    names = [name.strip() for name in recipe.target_modules.split(",") if name.strip()]
    plain = not names or names == ["all-linear"]
    return Template(pieces.ADAPTER).substitute(
        r=recipe.lora_r,
        alpha=recipe.lora_alpha,
        dropout=recipe.lora_dropout,
        targets=repr("all-linear" if plain else names),
        heads=repr(sorted(heads) if heads else None),
    )


def _manner(recipe: Any) -> str:
    """The prompts, and the lengths that the run cut texts at."""
    if recipe.kind == "reranker":
        return (
            "    # A pair has room for both lengths.\n"
            "    model.max_seq_length = QUERY_MAX_LEN + PASSAGE_MAX_LEN\n"
        )
    text = '    model.prompts = {"query": QUERY_PROMPT, "document": DOCUMENT_PROMPT}\n'
    text += "    model.max_seq_length = max(QUERY_MAX_LEN, PASSAGE_MAX_LEN)\n"
    if recipe.kind == "embedding":
        text += "    model.default_prompt_name = None\n"
    return text
