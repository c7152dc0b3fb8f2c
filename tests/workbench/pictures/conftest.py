"""One workspace for all tests of pictures: each test brings data sets of its own name."""

from collections.abc import Iterator

import pytest

from workbench.workspace import Workspace


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    opened = Workspace.open(tmp_path_factory.mktemp("pictures"))
    yield opened
    opened.close()
