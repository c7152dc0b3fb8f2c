"""The prompt of an LLM reranker as a chat template."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.sandbox import ImmutableSandboxedEnvironment

from workbench.errors import BadInput
from workbench.models.contract import TEMPLATE, chat_template

ANSWERS = {"instruction": "Be strict.", "yes": "yes", "no": "no"}


def render(template: str, query: str, document: str) -> str:
    # As transformers renders chat templates.
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    messages = [{"role": "query", "content": query}, {"role": "document", "content": document}]
    return environment.from_string(template).render(messages=messages)


def test_the_shipped_prompt() -> None:
    shown = render(chat_template(TEMPLATE, **ANSWERS), "who?", "nobody")
    assert "Instruction: Be strict.\nQuery: who?\nDocument: nobody\nAnswer:" in shown
    assert "only yes or no" in shown and shown.endswith("Answer:")


@given(st.text(), st.text(), st.text(), st.text())
def test_any_text_stands_as_it_is(before: str, after: str, query: str, document: str) -> None:
    literal = [text.replace("{query}", "").replace("{document}", "") for text in (before, after)]
    literal = [_without_fields(text) for text in literal]
    template = f"{literal[0]}|{{query}}|{{document}}|{literal[1]}"
    wanted = f"{literal[0]}|{query}|{document}|{literal[1]}"
    assert render(chat_template(template, **ANSWERS), query, document) == wanted


def _without_fields(text: str) -> str:
    return text.replace("{", "(").replace("}", ")") if "{" in text and "}" in text else text


@pytest.mark.parametrize("template", ["{query}", "{document}", "{query} {query} {document}"])
def test_a_prompt_without_the_pair_is_refused(template: str) -> None:
    with pytest.raises(BadInput, match="exactly once"):
        chat_template(template, **ANSWERS)
