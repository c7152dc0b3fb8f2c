"""Only questions come out of an answer, whatever stands around them."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.synthesis.answers import questions, same

settings.register_profile("patient", deadline=None, max_examples=60)
settings.load_profile("patient")

TEA = ["What is green tea?", "How long does oolong steep?", "Why is 'pu-erh' aged?"]
CHA = ["什么是绿茶？", "乌龙茶要泡多久？", "《茶经》是谁写的？"]


@pytest.mark.parametrize("wanted", [TEA, CHA], ids=["english", "chinese"])
@pytest.mark.parametrize(
    "line",
    [
        "{q}",
        "{n}. {q}",
        "{n}) {q}",
        "({n}) {q}",
        "（{n}）{q}",
        "{n}、{q}",
        "{n}．{q}",
        "- {q}",
        "• {q}",
        "* **{q}**",
        "Q{n}. {q}",
        "Q{n}: {q}",
        "**Question {n}:** {q}",
        "### Question {n}: {q}",
        "问题{n}：{q}",
        "问：{q}",
        '{n}. "{q}"',
        "“{q}”",
        "「{q}」",
        "`{q}`",
        "> {q}",
        "| {n} | {q} |",
        "Q: {q} A: It is so.",
        "{q}（简单）",
        "{q} -> see the passage.",
    ],
)
def test_what_stands_around_a_question_goes(wanted: list[str], line: str) -> None:
    answer = "\n\n".join(line.format(n=n, q=one) for n, one in enumerate(wanted, start=1))
    assert questions(answer) == wanted


@pytest.mark.parametrize(
    "around",
    [
        "Here are three questions about tea:\n{}\nLet me know if you want more!",
        "Sure! Would you like these?\n\n{}\n\nIs there anything else?",
        "好的，以下是三个问题：\n{}\n希望对您有帮助！您还需要更多问题吗？",
        "```\n{}\n```",
        "<think>What is asked? Three questions?</think>\n{}",
        "{}\nAnswer: because it is so.\n",
    ],
)
def test_chatter_goes(around: str) -> None:
    assert questions(around.format("\n".join(TEA))) == TEA


@pytest.mark.parametrize(
    "value",
    [
        TEA,
        {"questions": TEA},
        [{"question": one, "answer": "Why not?"} for one in TEA],
        {"result": "yes?", "queries": [{"query": one} for one in TEA]},
        {"q1": TEA[0], "q2": TEA[1], "q3": TEA[2]},
    ],
)
def test_json_is_read(value: object) -> None:
    plain = json.dumps(value)
    assert questions(plain) == TEA
    assert questions(f"Here you are [1]:\n```json\n{plain}\n```\nAnything else?") == TEA


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I am a teapot. Short and stout.",
        "I'm sorry, but as an AI language model I cannot do that.",
        "???\n!!!\n1.\n- \n{}[]",
        '{"error": "what?"}',
        "1. Tea is a drink.\n2. It is hot.",
        "<html><body>502 Bad Gateway</body></html>",
        "How can I help you?",
        "x" * 1000 + "?",
        "[" * 5000,
    ],
)
def test_what_asks_nothing_is_no_question(answer: str) -> None:
    assert questions(answer) == []


@pytest.mark.parametrize(
    "question",
    [
        "Can I freeze milk?",
        "How can I help a dog that fears thunder?",
        "E. coli causes which disease?",
        "3.5 mm or 6.3 mm: which jack fits?",
        "1984: who wrote it?",
        'What does "tea" mean?',
        "以下哪种茶不发酵？",
        "A.I. is what?",
    ],
)
def test_what_belongs_to_a_question_stays(question: str) -> None:
    assert questions(question) == [question]
    assert questions(f"1. {question}\n2. {question}") == [question]


def test_a_listed_question_may_lack_its_mark() -> None:
    assert questions("1. how is tea made\n2. 如何泡茶\n3. Tea is made.") == [
        "how is tea made",
        "如何泡茶",
    ]
    assert questions("how is tea made") == []


def test_questions_on_one_line_are_told_apart() -> None:
    assert questions("1. What is tea? 2. How is it made? 3. Who drinks it?") == [
        "What is tea?",
        "How is it made?",
        "Who drinks it?",
    ]


def test_each_comes_once_and_no_more_than_asked_for() -> None:
    assert questions("What is tea?\n1. what is  tea ?\n什么是茶？\n什么是茶?") == [
        "What is tea?",
        "什么是茶？",
    ]
    assert questions("\n".join(TEA), most=2) == TEA[:2]


_NOUNS = ["green tea", "oolong", "the 2nd flush", "matcha (ground)", "a kettle", "C++", "5 cups"]
_QUESTION = st.builds(
    "{} {} {}?".format,
    st.sampled_from(["What is", "How does one brew", "Why is it called", "Who sells"]),
    st.sampled_from(_NOUNS),
    st.text("abcdefgh -é", min_size=1, max_size=20).map(lambda t: t.strip(" -") or "now"),
)
_BEFORE = st.sampled_from(["", "1. ", "- ", "Q2: ", "**3)** ", "（4）", "问题五：", '"', "* ", "#"])
_LINE = st.tuples(_BEFORE, _QUESTION, st.sampled_from(["", " ", "  ", "**", "\n"]))


@given(st.lists(_LINE, max_size=6))
def test_decorated_questions_come_out_plain(lines: list[tuple[str, str, str]]) -> None:
    answer = "\n".join("".join(one) for one in lines)
    wanted = {same(q): " ".join(q.split()) for _, q, _ in reversed(lines)}
    found = questions(answer)
    assert {same(one): one for one in found} == {
        key: next(f for f in found if same(f) == key) for key in wanted
    }
    assert set(found) <= {" ".join(q.split()) for _, q, _ in lines}


@given(st.text(max_size=300) | st.text("1.)Q:-*\"'“”？?A # \n问题[]{}|，", max_size=60))
def test_any_text_is_read_and_what_comes_out_stays_as_it_is(answer: str) -> None:
    found = questions(answer)
    assert len({same(one) for one in found}) == len(found)
    assert all(one == one.strip() and "\n" not in one for one in found)
    assert questions("\n".join(one for one in found if one[-1] in "?？")) == [
        one for one in found if one[-1] in "?？"
    ]
