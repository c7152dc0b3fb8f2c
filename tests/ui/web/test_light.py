"""The page starts without what it does not use, and what it does use is as it was."""

import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.blocks import Block

from ui.web.launch import _keep_signatures, _Later

ROOT = Path(__file__).resolve().parents[3]
#: A process of its own: here Gradio was imported long ago.
START = """
import gc, json, sys
from ui.web.launch import starting

with starting(agents=AGENTS):
    collecting = gc.isenabled()
    import ui.main, ui.web.server
    import gradio as gr
    with gr.Blocks(analytics_enabled=False) as blocks:
        gr.Button("go").click(lambda: None)
held = sorted({"pandas", "mcp", "scipy", "torch"} & set(sys.modules))
import gradio.caching, gradio.component_meta
import pandas
told = {
    "collecting": [collecting, gc.isenabled()],
    "held": held,
    "pandas": gradio.caching.pd.DataFrame is pandas.DataFrame,
    "stubs": gradio.component_meta.create_or_modify_pyi.__module__,
    "button": blocks.config["components"][-1]["props"]["value"],
}
print(json.dumps(told))
"""


@pytest.mark.parametrize(("agents", "held"), [(False, []), (True, ["mcp"])])
def test_the_page_starts_without_what_it_does_not_use(agents: bool, held: list[str]) -> None:
    code = START.replace("AGENTS", str(agents))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "collecting": [False, True],
        "held": held,
        "pandas": True,
        "stubs": "ui.web.launch",
        "button": "go",
    }


def test_a_module_that_stands_for_another_gives_what_it_has() -> None:
    later: Any = _Later("json")
    assert later.dumps is json.dumps
    with pytest.raises(AttributeError):
        _ = later.nothing


def classes(kind: type) -> Iterator[type]:
    for one in kind.__subclasses__():
        yield one
        yield from classes(one)


def test_kept_signatures_are_those_that_were_worked_out() -> None:
    """Where Gradio looks: at the class, and at the function within."""

    def looked() -> dict[type, Any]:
        return {
            one: (
                inspect.signature(one.__init__),
                inspect.getfullargspec(getattr(one.__init__, "__wrapped__", one.__init__)),
            )
            for one in classes(Block)
        }

    before = looked()
    _keep_signatures(Block)
    assert looked() == before
    assert gr.Button in before
