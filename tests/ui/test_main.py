"""The whole page, built: what would make it hang, leak or speak out of turn is not on it."""

import subprocess
import sys

import gradio as gr
import pytest
from starlette.testclient import TestClient

from ui.kit.events import ASKED, on
from ui.main import build
from ui.services import Services
from ui.web import server
from ui.web.server import ServerOptions, create_app
from workbench.workspace import Workspace

#: These keep a connection open per page; a browser has six for a host, so the sixth page hangs.
HOLDS_A_CONNECTION = (gr.State,)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> gr.Blocks:
    workspace = Workspace.open(tmp_path_factory.mktemp("page") / "home")
    return build(Services(workspace))


def test_nothing_keeps_a_connection_open(demo: gr.Blocks) -> None:
    for block in demo.blocks.values():
        assert not isinstance(block, HOLDS_A_CONNECTION)
    for event in demo.fns.values():
        assert not event.types_generator, event.name
        assert all(kind not in ("unload", "stream") for _, kind in event.targets)


def test_events_are_quick_private_and_without_a_veil(demo: gr.Blocks) -> None:
    for event in demo.fns.values():
        # What a person presses may refuse them, and only queued events show why.
        names = {name for _, name in event.targets}
        if names <= ASKED and event.fn is not None and not event.js:
            assert event.queue, event.name
        # A row or card of ours that is pressed says 'select', as an opened tab does.
        on_tabs = all(not isinstance(demo.blocks.get(id), gr.HTML) for id, _ in event.targets)
        if names & {"look", "load"} or ("select" in names and on_tabs):
            assert event.queue is False, event.name
        assert event.concurrency_limit is None
        # 'minimal' puts a clock beside an answer that takes seconds, and hides nothing.
        assert event.show_progress in ("hidden", "minimal")
        # Nor is any output told of a progress that it does not show, at this event and all later.
        assert (event.show_progress_on == []) == (event.show_progress == "hidden"), event.name
        assert event.api_visibility == "private"


def test_the_queue_rests_where_nothing_waits(demo: gr.Blocks, shared: Workspace) -> None:
    create_app(Services(shared), ServerOptions(), demo)
    assert demo._queue.sleep_when_free > 0.01
    assert demo._queue.progress_update_sleep_when_free > 0.01


def test_the_state_of_pages_long_gone_is_forgotten(
    shared: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MOST_SESSIONS", 2)
    with gr.Blocks() as small:
        on(gr.Button().click, lambda: "heard", None, gr.Textbox(), queue=False)
    app = create_app(Services(shared), ServerOptions(), small)
    asks = [{"fn_index": 0, "data": [], "session_hash": name} for name in "abca"]
    with TestClient(app, base_url="http://127.0.0.1:7860") as client:
        answers = [client.post("/gradio_api/run/predict", json=ask).json() for ask in asks]
    assert [answer["data"] for answer in answers] == [["heard"]] * 4
    assert list(small.state_holder.session_data) == ["c", "a"]


def test_what_a_browser_keeps_has_a_fixed_key(demo: gr.Blocks) -> None:
    kept = [one for one in demo.blocks.values() if isinstance(one, gr.BrowserState)]
    keys = [one.storage_key for one in kept]
    assert len(keys) == len(set(keys)) >= 7
    assert all(
        key.startswith("workbench-") and one.secret for key, one in zip(keys, kept, strict=True)
    )


def test_a_tab_looks_only_when_something_changed(demo: gr.Blocks) -> None:
    # An event costs the page of everyone who looks at it, even one that changes nothing.
    assert not [one for one in demo.blocks.values() if isinstance(one, gr.Timer)]
    looks = [event for event in demo.fns.values() if "look" in {name for _, name in event.targets}]
    assert len(looks) == 8
    assert all(event.trigger_mode == "always_last" and not event.queue for event in looks)


def test_a_page_is_filled_by_one_event(demo: gr.Blocks) -> None:
    named = [name for event in demo.fns.values() for _, name in event.targets]
    # Its own tab, and who is signed in.
    assert named.count("load") == 2


def test_a_tab_that_has_nothing_new_can_be_opened_again(demo: gr.Blocks) -> None:
    # The first tab's look answers 'skip' where its steps read as before.
    loads = [
        event for event in demo.fns.values() if ("load" in {name for _, name in event.targets})
    ]
    filled = next(event for event in loads if event.inputs)
    opened = [event for event in demo.fns.values() if event.name == "opened" and event.outputs]
    start = next(event for event in opened if _tab(demo, event) == "start")
    steps = next(at for at, one in enumerate(start.outputs) if one is start.inputs[0])
    first = start.fn("")
    again = start.fn(first[start.outputs[steps]])
    assert list(again.values()) == ["start"]
    values = [again_value(one, start, first) for one in filled.inputs]
    assert filled.fn(*values) == gr.skip()


def again_value(one: gr.blocks.Block, start: object, first: dict[object, object]) -> object:
    """What the page sends of a component after the first tab was filled."""
    return first.get(one, "start" if isinstance(one, gr.BrowserState) else None)


def _tab(demo: gr.Blocks, event: gr.blocks.BlockFunction) -> str:
    target = demo.blocks.get(event.targets[0][0])
    return str(target.id) if isinstance(target, gr.Tab) else ""


def test_every_component_has_a_label(demo: gr.Blocks) -> None:
    inputs = (gr.Textbox, gr.Number, gr.Dropdown, gr.Radio, gr.Checkbox)
    for one in demo.blocks.values():
        if isinstance(one, inputs):
            assert one.label, one


def test_each_tab_has_at_most_one_primary_action(demo: gr.Blocks) -> None:
    def primaries(block: gr.blocks.Block) -> int:
        # Train has a form for each kind of model, of which one is seen.
        unseen = getattr(block, "visible", True) in (False, "hidden")
        if unseen and not isinstance(block, gr.Button):
            return 0
        own = isinstance(block, gr.Button) and block.variant == "primary"
        return own + sum(primaries(child) for child in getattr(block, "children", []))

    tabs = [one for one in demo.blocks.values() if isinstance(one, gr.Tab) and one.id]
    assert len(tabs) >= 7
    assert all(primaries(tab) <= 1 for tab in tabs)


# A process of its own, because other tests of this run may have imported torch: about 5 s.
@pytest.mark.slow
def test_building_the_page_leaves_torch_out() -> None:
    heavy = (
        "ir_measures",
        "torch",
        "transformers",
        "sentence_transformers",
        "faiss",
        "datasets",
        "peft",
    )
    code = (
        "import sys, ui.main, ui.web.server, ui.theme\n"
        f"print([n for n in {heavy} if n in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
