"""A browser is answered in its own language until its person chooses another, which then holds."""

import threading
from collections.abc import Callable
from typing import Any

import gradio as gr
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from tests.ui.conftest import Ask
from ui.kit.events import Gate, guarded, headed
from ui.main import build
from ui.services import Services
from ui.web.editions import COOKIE, TAGS, choose
from ui.web.server import ServerOptions, create_app
from ui.words import LANGUAGES, language, load, speaking, t
from workbench.errors import ModelNotFound
from workbench.workspace import Workspace

CHINESE = {"accept-language": "zh-CN,zh;q=0.9,en;q=0.8"}


@pytest.mark.parametrize(
    ("chosen", "accepted", "wanted"),
    [
        ("", "", "en"),
        ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("", "zh-TW", "zh"),
        ("", "ZH-hans", "zh"),
        ("", "en-GB,zh;q=0.5", "en"),
        ("", "de,zh;q=0.2,en;q=0.7", "en"),
        ("", "de", "en"),
        ("", "zh;q=0", "en"),
        ("", "zh;q=nonsense, en", "en"),
        ("en", "zh-CN", "en"),
        ("zh", "en", "zh"),
        ("tlh", "zh", "zh"),
    ],
)
def test_the_choice_comes_before_the_browsers_language(
    chosen: str, accepted: str, wanted: str
) -> None:
    assert choose(chosen, accepted) == wanted


@given(st.text(), st.text())
def test_any_header_gives_a_language(chosen: str, accepted: str) -> None:
    assert choose(chosen, accepted) in LANGUAGES


def test_every_language_has_a_tag_and_a_switch() -> None:
    assert TAGS.keys() == LANGUAGES.keys()
    assert len({load(one)["language.switch"] for one in LANGUAGES}) == len(LANGUAGES)


def test_answers_of_ours_are_in_the_browsers_language(client: TestClient) -> None:
    sentence = client.get("/api/jobs/none/points", headers=CHINESE).json()["error"]
    assert sentence == "没有名为“none”的任务。"
    assert client.get("/api/jobs/none/points").json()["error"] == "There is no job named 'none'."
    refused = client.get("/", headers={**CHINESE, "host": "elsewhere.example"})
    assert "elsewhere.example" in refused.json()["error"]
    assert "主机名" in refused.json()["error"]


def test_the_switch_keeps_the_choice_and_goes_back(ask: Ask) -> None:
    client = ask(root_path="/bench")
    left = "http://127.0.0.1:7860/bench/?__theme=dark"
    answer = client.get("/language/en", headers={"referer": left}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/bench/?__theme=dark")
    assert "Path=/bench" in answer.headers["set-cookie"]
    assert "SameSite=lax" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    "left",
    [
        "",
        "https://elsewhere.example/bench/",
        "http://127.0.0.1:7860//elsewhere.example",
        "http://127.0.0.1:7860/other",
        "javascript:alert(1)",
    ],
)
def test_the_switch_leads_to_no_other_site(ask: Ask, left: str) -> None:
    answer = ask(root_path="/bench").get(
        "/language/zh", headers={"referer": left}, follow_redirects=False
    )
    assert answer.headers["location"] == "/bench/"


def test_an_unknown_language_is_no_route(client: TestClient) -> None:
    assert client.get("/language/tlh").status_code == 404
    assert client.get("/language/").status_code == 404
    assert COOKIE not in client.cookies


def test_a_choice_holds_against_the_browsers_language(ask: Ask) -> None:
    client = ask()
    client.get("/language/en", follow_redirects=False)
    assert client.cookies[COOKIE] == "en"
    sentence = client.get("/api/jobs/none/points", headers=CHINESE).json()["error"]
    assert sentence.startswith("There is no job")


def test_the_sign_in_page_too(ask: Ask) -> None:
    from ui.web.sessions import Credentials

    client = ask(credentials=Credentials("anna", "correct horse"))
    page = client.get("/login", headers=CHINESE).text
    assert '<html lang="zh-CN">' in page
    assert "用户名" in page
    assert '<a class="rw-language" href="/language/en"' in page
    english = client.get("/language/en", headers=CHINESE, follow_redirects=False)
    assert english.status_code == 303
    assert '<html lang="en">' in client.get("/login", headers=CHINESE).text


@pytest.fixture
def app(workspace: Workspace) -> FastAPI:
    return create_app(Services(workspace), ServerOptions(host="testserver"))


def test_one_app_serves_the_page_in_each_language(app: FastAPI) -> None:
    with TestClient(app) as client:
        for headers, tag, tab in (({}, "en", "Train"), (CHINESE, "zh-CN", "训练")):
            page = client.get("/", headers=headers)
            assert f'lang="{tag}"' in page.text
            assert f'"language", {{value: "{tag}"}}' in page.text
            assert int(page.headers["content-length"]) == len(page.content)
            assert "Accept-Language" in page.headers["vary"]
            config = client.get("/config", headers=headers).json()
            labels = [one["props"].get("label") for one in config["components"]]
            assert tab in labels


def test_both_pages_have_the_same_parts(workspace: Workspace) -> None:
    """What the browser keeps, and a page left open over a switch, fit either of them."""
    services = Services(workspace)
    shapes = []
    for one in LANGUAGES:
        with speaking(one):
            config = build(services).get_config_file()
        kept = [
            part["props"]["storage_key"]
            for part in config["components"]
            if part["type"] == "browserstate"
        ]
        ids = [part["props"].get("elem_id") for part in config["components"]]
        shapes.append((kept, ids, len(config["dependencies"])))
    assert all(shape == shapes[0] for shape in shapes)


def test_a_callback_speaks_its_pages_language_in_any_thread() -> None:
    def refuse() -> None:
        raise ModelNotFound.among("model", "mini", [])

    said: list[Any] = []

    def run(callback: Callable[..., Any]) -> None:
        try:
            callback()
        except gr.Error as error:
            said.append((error.title, str(error.message)))

    with speaking("zh"):
        wired = guarded(refuse)
    thread = threading.Thread(target=run, args=(wired,))
    thread.start()
    thread.join()
    run(guarded(refuse))
    assert said == [
        ("请检查", headed("请检查", "没有名为“mini”的模型。")),
        ("Please check", headed("Please check", "There is no model named &#x27;mini&#x27;.")),
    ]
    assert (language(), t("tab.jobs")) == ("en", "Jobs")


def test_drawing_waits_for_callbacks_and_they_for_it() -> None:
    gate, order = Gate(), []
    inside, may_end = threading.Event(), threading.Event()

    def callback() -> None:
        with gate.passing(), gate.passing():
            inside.set()
            may_end.wait(60)
            order.append("callback")

    def draw() -> None:
        with gate.alone():
            order.append("drawn")

    first = threading.Thread(target=callback)
    first.start()
    assert inside.wait(60)
    second = threading.Thread(target=draw)
    second.start()
    assert order == []
    may_end.set()
    first.join(60)
    second.join(60)
    with gate.passing():
        order.append("after")
    assert order == ["callback", "drawn", "after"]
