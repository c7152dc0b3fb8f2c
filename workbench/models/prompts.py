"""An LLM reranker's prompt, as a person writes it and as its tokenizer keeps it. Torch-free.

The tokenizer's chat template carries the prompt, so that the saved folder asks the same question
in sentence-transformers alone: it renders a pair as two messages, 'query' and 'document', and when
a pair is too long it cuts the document and puts what follows it back.
"""

import json
import re
from pathlib import Path

from workbench.errors import BadInput
from workbench.models.contract import Contract

#: The prompt of an LLM reranker whose own files bring none.
TEMPLATE = (
    "Judge whether the document answers the query. Answer only {yes} or {no}.\n"
    "Instruction: {instruction}\nQuery: {query}\nDocument: {document}\nAnswer:"
)
INSTRUCTION = "Find documents that answer the query."
YES, NO = "yes", "no"

_FIELD = re.compile(r"\{(query|document|instruction|yes|no)\}")
_GATHER = (
    "{%- set pair = namespace(query='', document='') -%}"
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'query' -%}{%- set pair.query = message['content'] -%}"
    "{%- elif message['role'] == 'document' -%}{%- set pair.document = message['content'] -%}"
    "{%- endif -%}{%- endfor -%}"
)


def chat_template(template: str, *, instruction: str, yes: str, no: str) -> str:
    """The Jinja template of a prompt with ``{query}`` and ``{document}``.

    ``{instruction}``, ``{yes}`` and ``{no}`` are filled in; any other brace stays as it is. Raises
    :class:`BadInput` where the prompt would not contain the query or the document.
    """
    for needed in ("query", "document"):
        if template.count(f"{{{needed}}}") != 1:
            raise BadInput(
                f"The prompt must contain {{{needed}}} exactly once.",
                "Write for example: Query: {query} Document: {document} Answer:",
            )
    given = {"instruction": instruction, "yes": yes, "no": no}
    pieces = _FIELD.split(template)
    written = []
    for at, piece in enumerate(pieces):
        if at % 2 == 0:
            written.append(_literal(piece))
        elif piece in given:
            written.append(_literal(given[piece]))
        else:
            written.append(f"{{{{- pair.{piece} -}}}}")
    return _GATHER + "".join(written)


def own_template(folder: Path) -> bool:
    """Whether the model brings a chat template of its own that knows queries and documents; one
    for plain chats does not."""
    path = folder / "chat_template.jinja"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return "query" in text and "document" in text


def template_of(contract: Contract) -> str:
    """The chat template that asks a contract's question; raises :class:`BadInput`."""
    return chat_template(
        contract.prompt_template or TEMPLATE,
        instruction=contract.instruction or INSTRUCTION,
        yes=contract.yes_token or YES,
        no=contract.no_token or NO,
    )


def _literal(text: str) -> str:
    """Text that Jinja prints as it is, whatever it contains."""
    return f"{{{{- {json.dumps(text, ensure_ascii=False)} -}}}}" if text else ""
