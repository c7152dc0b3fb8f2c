"""Brings a hub model into the local cache and says plainly when that fails. Workers only.

The hub's own settings hold: ``HF_ENDPOINT`` for mirrors, ``HF_HUB_OFFLINE``, ``HF_HOME`` for the
cache, ``HF_TOKEN`` for models that need a login.
"""

from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import ModelNotFound, ModelUnusable
from workbench.models.files import JUNK
from workbench.models.resolve import ResolvedModel, cached_snapshot, from_snapshot
from workbench.models.weights import is_pickled_weights

if TYPE_CHECKING:
    from workbench.workspace import Workspace

_LOGIN = "Set HF_TOKEN in the environment to a token that may read it."
_NETWORK = "Check the network and HF_ENDPOINT, or add the model from a folder."

#: How long the hub may take to list a repository.
_SECONDS = 20.0


def fetch(hub_id: str) -> Path:
    """The local folder of a hub model, downloaded if it is not there yet.

    Pickled weights are left on the hub where the model has safetensors. Raises
    :class:`ModelNotFound` or :class:`ModelUnusable`.
    """
    from httpx2 import HTTPError
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    try:
        return Path(snapshot_download(hub_id, ignore_patterns=_unneeded(hub_id)))
    except GatedRepoError as error:
        raise ModelUnusable(f"The model '{hub_id}' needs a login at the hub.", _LOGIN) from error
    except RepositoryNotFoundError as error:
        raise ModelNotFound(f"The hub has no model '{hub_id}'.", _LOGIN) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        # The cache may lack only what was left on the hub on purpose.
        if cached := cached_snapshot(hub_id):
            return cached
        raise ModelNotFound(
            f"The model '{hub_id}' is not on this machine, and the hub cannot be reached.", _NETWORK
        ) from error
    except (HTTPError, OSError) as error:
        raise ModelUnusable(f"Downloading '{hub_id}' failed: {error}.", _NETWORK) from error


def fetched(workspace: "Workspace", model: ResolvedModel, kind: str | None = None) -> ResolvedModel:
    """A model whose files are on this machine, so that they can be asked what they hold.

    ``kind`` is what a hub model is wanted for. Raises as :func:`fetch` does.
    """
    if model.hub_id:
        folder = Path(model.source) if model.local else fetch(model.hub_id)
        model = from_snapshot(workspace, folder, model.hub_id, kind)
    if model.base is None or model.base.local:
        return model
    return replace(model, base=fetched(workspace, model.base))


def _unneeded(hub_id: str) -> list[str]:
    """Patterns of files not worth downloading; all but the general ones need the hub's list."""
    names = _listed(hub_id)
    safe = {Path(name).parent for name in names if fnmatch(name, "*.safetensors")}
    pickled = [name for name in names if is_pickled_weights(Path(name))]
    return [*JUNK, *(name for name in pickled if Path(name).parent in safe)]


def _listed(hub_id: str) -> list[str]:
    """The repository's files; none where the hub cannot be asked (the cache is tried then)."""
    from httpx2 import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    try:
        # One request without retries: where there is no network, it should show at once.
        about = HfApi().model_info(hub_id, timeout=_SECONDS)
    except (RepositoryNotFoundError, GatedRepoError):
        raise
    except (OfflineModeIsEnabled, HTTPError, OSError):
        return []
    return [file.rfilename for file in about.siblings or []]
