"""What a model answered, and the questions in it.

Answers are kept line by line as they come: a stopped job asks about the rest only. Models are asked
for one question per line and nothing else; they number, quote, embolden, introduce, answer and
apologise all the same, or send JSON. Only questions come out of here.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.errors import EndpointFailed, WorkbenchError
from workbench.recipes.synthesize import COUNT, PASSAGE, SynthesizeRecipe

# From what a model answered to the questions in it. Pure: text in, questions out.
#
# Models are asked for one question per line and nothing else; they number, quote, embolden,
# introduce, answer and apologise all the same, or send JSON. Only questions come out of here.

#: Longer ones are paragraphs with a question mark.
LONGEST = 400
_MARKS = "?？"
_THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"^\s*(?:```|~~~).*$", re.MULTILINE)
#: What stands before a question: a bullet, a number, 'Q1.', 'Question 2:', '问题三：', a '#'.
_NUMERAL = r"(?:\d{1,3}|[一二三四五六七八九十]{1,3}|[ivxIVX]{1,4}|[a-hA-H])"
_BEFORE = re.compile(
    rf"""^(?:
        [-*•·‣▪◦–—>#+|]+\s*
      | [(（\[【]\s*{_NUMERAL}\s*[)）\]】]\s*[.:、：]?\s*
      | {_NUMERAL}\s*[)）、．|]\s*
      | (?:\d{{1,3}}|[一二三四五六七八九十]{{1,3}})\s*[:：]\s*
      | \d{{1,3}}\.(?!\d)\s*
      | {_NUMERAL}\.(?=\s*(?-i:[A-Z][a-z]*\s|[\u4e00-\u9fff“「《]))\s*
      | [①-⑳]\s*
      | (?:Q(?:uestion|uery)?|Ques)\s*\#?\s*\d{{0,3}}\s*[.:)、：．）-]+\s*
      | (?:Question|Query)\s+\d{{1,3}}\s+
      | (?:问题|问題|问句|提问|问)\s*(?:\d{{1,3}}|[一二三四五六七八九十]{{1,3}})?\s*
        [.:、：．)）]+\s*
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_QUOTES = "\"'“”‘’„«»「」『』《》`"
#: What follows a question and is none: its answer.
_ANSWER = re.compile(
    r"([?？])[\"'”’」』*_)）\s]*(?:\(|（|\[|A(?:nswer)?\s*\d*\s*[:：.]|答案?\s*[:：]|[-–—→=]).*$"
)
#: A second question on the same line, with a number before it.
_NEXT = re.compile(r"(?<=[?？])\s*(?=(?:[(（]?\d{1,3}\s*[.)、．）:：]|Q\d{1,3}\s*[.:：)]|[①-⑳]))")
_CHATTER = re.compile(
    r"""^(?:
        here\s+(?:are|is)\b | here['’]s\b | sure\b | certainly\b | of\s+course\b | okay\b | ok\b
      | (?:let\s+me|please\s+let)\b | feel\s+free\b | (?:i|we)\s+(?:hope|can|cannot|will)\b
      | would\s+you\s+like\b | do\s+you\s+(?:want|need)\s+(?:me|more|any\s+(?:more|other|help))\b
      | (?:is|are)\s+there\s+anything\s+else\b | any\s+(?:other\s+)?questions\b
      | (?:how\s+|what\s+else\s+)?(?:can|may|could|shall|should)\s+i\s+
        (?:do\s+for|help|assist|provide|generate|write|rephrase)\s+(?:you|more|other|another|them)\b
      | as\s+an?\s+(?:ai|language)\b | (?:the\s+)?(?:questions?|passage|answers?)\s*[:：]
      | 以下(?:是|为|问题|几) | 好的 | 当然 | 希望 | [您你]还 | 还有(?:什么|其他)?需要
      | (?:是否)?需要我 | 请问[您你](?:还|需要) | 这(?:些|里)是 | 根据(?:上述|以上|该|这)段
      | 作为(?:一个)?(?:人工智能|AI|语言模型)
    )""",
    re.VERBOSE | re.IGNORECASE,
)
#: How a question begins that was sent without its mark.
_ASKS = re.compile(
    r"""^(?:(?:what|how|who|whom|whose|which|when|where|why|is|are|was|were|do|does|did|can|could
      |should|will|would|has|have|had|may|in\s+(?:what|which)|for\s+(?:what|which)|at\s+what)\b
      |什么|如何|怎么|怎样|为什么|为何|哪|谁|何时|何地|何种|多少|几|是否|有没有)""",
    re.VERBOSE | re.IGNORECASE,
)
_CHINESE_ASKS = re.compile(r"(?:什么|如何|怎么|怎样|为何|哪[些个里种]|多少|是否|吗|呢)")
_WORDS = re.compile(r"[^\W\d_]")


def questions(answer: str, most: int | None = None) -> list[str]:
    """The questions of an answer in their order, each once, at most ``most``."""
    found: dict[str, str] = {}
    for text, listed in _candidates(_THOUGHT.sub("", answer)):
        for piece in _NEXT.split(text):
            question = _question(piece, listed)
            if question:
                found.setdefault(same(question), question)
    return list(found.values())[:most]


def same(question: str) -> str:
    """Equal for questions that differ in case, spaces and punctuation only."""
    plain = "".join(one for one in question.casefold() if one.isalnum())
    return plain or question


# -- what may be a question ------------------------------------------------------------------


def _candidates(answer: str) -> Iterator[tuple[str, bool]]:
    """Texts that may be questions, and whether they stand in a list of such."""
    listed = list(_from_json(answer))
    if listed:
        yield from ((one, True) for text in listed for one in text.splitlines())
        return
    for line in _FENCE.sub("", answer).splitlines():
        yield line, bool(_BEFORE.match(line.strip()))


def _from_json(answer: str) -> Iterator[str]:
    """The strings of the first JSON list or object that holds questions."""
    decoder = json.JSONDecoder()
    for place in re.finditer(r"[\[{]", answer):
        try:
            value, _ = decoder.raw_decode(answer, place.start())
        except (ValueError, RecursionError):
            continue
        found = list(_strings(value))
        if found:
            yield from found
            return


def _strings(value: Any) -> Iterator[str]:
    """Strings of a list; of an object those under a key that speaks of questions."""
    if isinstance(value, dict):
        named = [v for k, v in value.items() if re.search("quest|quer|问|^q\\d*$", str(k), re.I)]
        for one in named:
            yield from [one] if isinstance(one, str) else _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from [one] if isinstance(one, str) else _strings(one)


# -- one question ----------------------------------------------------------------------------


def _question(text: str, listed: bool) -> str:
    """The question in a line, or nothing."""
    text = _stripped(_ANSWER.sub(r"\1", _stripped(text)))
    if not 2 <= len(text) <= LONGEST or len(_WORDS.findall(text)) < 2 or _CHATTER.match(text):
        return ""
    if text[-1] in _MARKS:
        return text
    return text if _asks_unmarked(text, listed) else ""


def _asks_unmarked(text: str, listed: bool) -> bool:
    """A listed line that asks, though its mark is missing."""
    if not listed or text[-1] in ".。!！:：;；,，…":
        return False
    return bool(_ASKS.match(text) or _CHINESE_ASKS.search(text))


def _stripped(text: str) -> str:
    """Without what stands around it; what is in the middle stays."""
    text = " ".join(text.replace("**", "").replace("__", "").split())
    before = None
    while text != before:
        before = text
        text = _unquoted(text.strip(" \t\u3000,，")).strip()
        text = _BEFORE.sub("", text, count=1)
    return text


def _unquoted(text: str) -> str:
    """Without quotes that open at its beginning or close at its end, but not both in the middle.

    'What is "tea"?' keeps its quotes: the last one belongs to the word.
    """
    text = text.strip("*_~`| \t\u3000")
    if text and text[0] in _QUOTES and (text[-1] in _QUOTES or not _closes(text)):
        text = text[1:]
    if text and text[-1] in _QUOTES and (len(text) > 1 and text[-2] in _MARKS):
        text = text[:-1]
    return text


def _closes(text: str) -> bool:
    """Whether the quote at the beginning is closed within."""
    closing = {"“": "”", "‘": "’", "„": "“", "«": "»", "「": "」", "『": "』", "《": "》"}
    return closing.get(text[0], text[0]) in text[1:]


# What a model is asked, in the passage's language.

ENGLISH = """\
Read the passage. Write {n} different questions that a person might type into a search engine and \
that this passage answers.

- Each question makes sense without the passage: name things, never write "this passage" or "the \
author".
- Use your own words rather than the passage's.
- Write one question per line and nothing else: no numbers, no answers, no introduction.

Passage:
{passage}"""

CHINESE = """\
请阅读下面的段落，写出{n}个不同的问题：人们可能会在搜索引擎中输入这些问题，而这个段落能够回答它们。

- 每个问题不看段落也能明白：写出具体名称，不要写“本文”“该段落”“作者”。
- 尽量用自己的话，不要照抄段落。
- 每行只写一个问题，不要编号，不要答案，不要任何开场白。

段落：
{passage}"""

#: From this share of Chinese characters on, a passage counts as Chinese; names and code of other
#: scripts are common in Chinese text, the reverse is not.
_CHINESE_FROM = 0.2


def with_templates(recipe: SynthesizeRecipe) -> SynthesizeRecipe:
    """The recipe with the built-in templates where it has none, so that its record says it all."""
    return recipe.model_copy(
        update={
            "template_en": recipe.template_en or ENGLISH,
            "template_zh": recipe.template_zh or CHINESE,
        }
    )


def prompt(recipe: SynthesizeRecipe, passage: str) -> str:
    """What is asked about a passage."""
    chinese = recipe.language == "zh" or (recipe.language == "auto" and is_chinese(passage))
    template = recipe.template_zh if chinese else recipe.template_en
    # The passage last: what looks like a place inside it is its own text.
    cut = passage[: recipe.passage_chars]
    return template.replace(COUNT, str(recipe.questions)).replace(PASSAGE, cut)


def is_chinese(text: str) -> bool:
    letters = [one for one in text if one.isalpha()]
    return sum("\u4e00" <= one <= "\u9fff" for one in letters) > _CHINESE_FROM * len(letters)


ANSWERS = "answers.jsonl"
#: So many passages in a row that fail are no accident of theirs.
IN_A_ROW = 5
#: So many answers without one question say that the model does something else.
FRUITLESS = 10
_QUOTED = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model wrote, and what that took, where it tells."""

    text: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass
class Answers:
    """The answers of a job, on disk. ``wanted``: questions of a passage."""

    folder: Path
    wanted: int
    #: Document row -> its questions.
    questions: dict[int, list[str]] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    #: Answers whose cost was not told.
    untold: int = 0
    #: Sentence -> passages that failed with it, in this attempt.
    failures: dict[str, int] = field(default_factory=dict)
    _in_a_row: int = 0
    _fruitless: int = 0

    def __post_init__(self) -> None:
        self._read()

    @property
    def path(self) -> Path:
        return self.folder / ANSWERS

    @property
    def failed(self) -> int:
        return sum(self.failures.values())

    @property
    def written(self) -> int:
        """Questions so far."""
        return sum(len(one) for one in self.questions.values())

    def add(self, row: int, answer: Answer) -> None:
        """Keep an answer at once; raises where answers hold nothing again and again."""
        found = questions(answer.text, self.wanted)
        line = {
            "document": row,
            "questions": found,
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens,
            # What was said instead, for a person to look at.
            **({} if found else {"answer": answer.text[:_QUOTED]}),
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._count(line)
        self._in_a_row = 0
        self._fruitless = 0 if found else self._fruitless + 1
        if self._fruitless >= FRUITLESS and not self.written:
            raise EndpointFailed(
                f"The first {self._fruitless} answers hold no question. The last one began: "
                f"'{_quote(answer.text)}'.",
                "Try another model or template; a preview of a few passages shows what comes.",
            )

    def fail(self, error: WorkbenchError) -> None:
        """A passage stays without an answer; raises ``error`` where too many do."""
        self.failures[error.message] = self.failures.get(error.message, 0) + 1
        self._in_a_row += 1
        if self._in_a_row >= IN_A_ROW:
            raise error

    def tokens(self) -> dict[str, Any]:
        """What it took; ``told`` is false where some answers did not say."""
        return {
            "prompt": self.prompt_tokens,
            "completion": self.completion_tokens,
            "told": not self.untold,
        }

    def _count(self, line: dict[str, Any]) -> None:
        self.questions[int(line["document"])] = list(line["questions"])
        if line["prompt_tokens"] is None or line["completion_tokens"] is None:
            self.untold += 1
        self.prompt_tokens += line["prompt_tokens"] or 0
        self.completion_tokens += line["completion_tokens"] or 0

    def _read(self) -> None:
        """What an earlier attempt left. A line it was killed in is cut off."""
        if not self.path.is_file():
            return
        whole = self.path.read_bytes()
        kept = whole[: whole.rfind(b"\n") + 1]
        if kept != whole:
            with self.path.open("r+b") as file:
                file.truncate(len(kept))
        for line in kept.decode("utf-8").splitlines():
            self._count(json.loads(line))


def _quote(text: str) -> str:
    plain = " ".join(text.split())
    return plain[:120] + ("…" if len(plain) > 120 else "")
