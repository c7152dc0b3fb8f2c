"""Many texts at once get the verdicts that py3langid gives one by one."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from workbench.data_check.languages import SURE, UNKNOWN, told

SENTENCES = [
    "Who has left the old kettle behind in the harbour, and when was it found again?",
    "Wer hat gestern Abend die alte Lampe im Garten vergessen?",
    "昨天晚上是谁把旧灯忘在花园里了，为什么没有人去拿回来？",
    "Ко је јуче заборавио стару лампу у башти код моје тетке?",
    "من الذي نسي المصباح القديم في الحديقة مساء أمس؟",
    "QUI A OUBLIÉ LA VIEILLE LAMPE DANS LE JARDIN HIER SOIR ?",
]


@pytest.fixture(scope="module")
def library() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def one_by_one(library: LanguageIdentifier, texts: list[str]) -> list[str]:
    verdicts = [library.classify(text) for text in texts]
    return [str(code) if sure >= SURE else UNKNOWN for code, sure in verdicts]


def test_sentences(library: LanguageIdentifier) -> None:
    found = told(SENTENCES).tolist()
    assert found == one_by_one(library, SENTENCES)
    # Which Arabic it is, the model does not know for sure.
    assert found == ["en", "de", "zh", "sr", UNKNOWN, "fr"]


@given(st.lists(st.text(max_size=40) | st.sampled_from(SENTENCES), max_size=12))
@example(["", "e\u0301\ud800", "12345", "\x00" * 500, "ÉÈ"])
def test_any_texts(library: LanguageIdentifier, texts: list[str]) -> None:
    assert told(texts).tolist() == one_by_one(library, texts)


def test_more_than_fit_at_once(library: LanguageIdentifier) -> None:
    texts = [one[n % 30 :] for n in range(100) for one in SENTENCES]
    texts += [""] * 500
    assert told(texts).tolist() == one_by_one(library, texts)
