from pathlib import Path

import pytest

from tests.workbench.models.fakes import FakeWorkspace


@pytest.fixture
def workspace(home: Path) -> FakeWorkspace:
    return FakeWorkspace(home)
