"""Buttons that copy a text, or save it as a file, without asking the server."""

import json
from typing import Any

import gradio as gr

from ui.words import t

_COPY = """
async (text) => {
  try { await navigator.clipboard.writeText(text); }
  catch (refused) {
    const area = document.createElement('textarea');
    area.value = text; document.body.append(area); area.select();
    document.execCommand('copy'); area.remove();
  }
  return DONE;
}
"""
SAVE_JS = """
(text) => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], {type: 'text/csv;charset=utf-8'}));
  link.download = 'comparison.csv';
  document.body.append(link); link.click(); link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  return text;
}
"""


def copy_button(button: gr.Button, text: Any, words: str, quick: dict[str, Any]) -> None:
    """A click copies the text; the button says so, and has its own words again a moment later."""
    js = _COPY.replace("DONE", json.dumps(t("compare.copied")))
    back = f"() => new Promise((done) => setTimeout(() => done({json.dumps(words)}), 1500))"
    button.click(None, text, button, js=js, **quick).then(None, None, button, js=back, **quick)
