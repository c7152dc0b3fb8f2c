"""What a model is asked, in the passage's language. Torch-free."""

from workbench.recipes.synthesize import COUNT, PASSAGE, SynthesizeRecipe

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
