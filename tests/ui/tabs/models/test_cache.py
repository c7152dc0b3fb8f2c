"""What is kept of models' work: a line on the page."""

import numpy as np
import pytest

from ui.services import Services
from ui.tabs.models import details
from workbench.evaluation.encoding_cache import LIMIT_VARIABLE, EncodingCache


def test_the_line_says_how_much_is_kept(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "of 0 models" in details.kept_html(services)
    cache = EncodingCache(services.workspace.home)
    for key, name in (("a", "<one>"), ("b", "two"), ("c", "two")):
        texts = np.arange(20, dtype=np.uint64).reshape(10, 2)
        cache.shelf(key, {"model": name}).write(texts, np.zeros((10, 1000), np.float32))
    html = details.kept_html(services)
    assert cache.models() == {"<one>", "two"} and "of 2 models" in html
    assert "121" in html and "20.0 GB" in html
    cache.clear("two")
    assert cache.models() == {"<one>"}
    monkeypatch.setenv(LIMIT_VARIABLE, "0")
    assert "not cached" in details.kept_html(services)
