"""The README of a quantized model: what it is, and how to use it outside. Torch-free."""

from pathlib import Path

from workbench.models.contract import Contract
from workbench.takeaway.snippet import HERE, snippet

_HOW = {
    "bf16": "Its weights are kept in bfloat16.",
    "fp16": "Its weights are kept in float16.",
    "int8": "Its linear layers are kept in 8 bits by bitsandbytes, all else in bfloat16.",
    "nf4": "Its linear layers are kept in 4 bits (nf4) by bitsandbytes, all else in bfloat16.",
    "fp4": "Its linear layers are kept in 4 bits (fp4) by bitsandbytes, all else in bfloat16.",
    "onnx": "It is an ONNX graph in full precision.",
    "onnx-int8": "It is an ONNX graph whose weights are kept in 8 bits, for CPUs.",
}
_PAGE = """\
---
{tags}
---

# {name}

The model `{source}`, quantized. {how}

```python
{use}
```

Prompts and lengths are saved in `contract.json`.
"""


def write_card(folder: Path, name: str, source: str, contract: Contract) -> None:
    page = _PAGE.format(
        tags="tags: [retrieval, quantized]",
        name=name,
        source=source,
        how=_HOW[contract.weights],
        use=snippet(contract, HERE),
    )
    (folder / "README.md").write_text(page, encoding="utf-8")
