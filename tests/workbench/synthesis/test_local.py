"""A causal language model of a few kilobytes writes; the round trip asks a real encoder."""

from pathlib import Path
from typing import Any

import pytest

from tests.workbench.models import tiny
from tests.workbench.synthesis.conftest import Asking
from workbench.errors import EndpointFailed, JobCancelled
from workbench.synthesis.write import run

pytestmark = pytest.mark.slow  # loads torch and a model


@pytest.fixture
def qwen(tmp_path: Path) -> Path:
    """A Qwen2 that has learned nothing."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path / "qwen"
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    about = {"num_key_value_heads": 2, "intermediate_size": 32, "vocab_size": 4 + len(tiny.WORDS)}
    Qwen2ForCausalLM(Qwen2Config(**shape, **about)).save_pretrained(folder)
    tiny.tokenizer(folder)
    return folder


def test_a_local_model_writes(
    asking: Asking, qwen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about: dict[str, Any] = {"endpoint": "", "endpoint_model": "", "local_model": str(qwen)}
    about |= {"max_tokens": 16, "round_trip": str(tiny.bert(tmp_path / "bert")), "device": "cpu"}
    with pytest.raises(EndpointFailed, match="hold no question"):
        run(*asking(**about))

    # It knows no question mark: each of its texts is asked as one.
    monkeypatch.setattr(
        "workbench.synthesis.answers.questions", lambda text, most: [f"what is {text[:40]} ?"]
    )
    recipe, job = asking(**about, round_trip_k=12)
    result = run(recipe, job)
    assert result["answered"] == 12 and result["tokens"]["told"]
    assert 0 < result["tokens"]["completion"] <= 12 * 16
    assert result["kept"] + result["repeated"] == 12
    assert result["version"] == 2

    stopped, other = asking(**about, skip_judged=False)
    other.cancel_after = 5
    with pytest.raises(JobCancelled):
        run(stopped, other)
