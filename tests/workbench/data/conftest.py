"""One workspace for all tests of data: each test brings data sets of its own name."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from workbench.workspace import Workspace

# A busy machine is no failure.
settings.register_profile("patient", deadline=None, max_examples=60)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    opened = Workspace.open(tmp_path_factory.mktemp("home"))
    yield opened
    opened.close()
