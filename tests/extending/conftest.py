from pathlib import Path

import pytest

from tests.extending.outside import Run


@pytest.fixture
def extended(home: Path, tmp_path: Path) -> Run:
    """Programs with an extension, on a home of the test's own."""
    return Run(home, tmp_path)
