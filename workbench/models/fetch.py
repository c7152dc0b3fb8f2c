"""Brings a hub model into the local cache and says plainly when that fails. Workers only.

The hub's own settings hold: ``HF_ENDPOINT`` for mirrors, ``HF_HUB_OFFLINE``, ``HF_HOME`` for the
cache, ``HF_TOKEN`` for models that need a login.
"""

from fnmatch import fnmatch
from pathlib import Path

from workbench.errors import ModelNotFound, ModelUnusable
from workbench.models.files import JUNK

_LOGIN = "Set HF_TOKEN in the environment to a token that may read it."
_NETWORK = "Check the network and HF_ENDPOINT, or add the model from a folder."


def fetch(hub_id: str) -> Path:
    """The local folder of a hub model, downloaded if it is not there yet.

    Pickled weights are left on the hub where the model has safetensors. Raises
    :class:`ModelNotFound` or :class:`ModelUnusable`.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
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
        raise ModelNotFound(
            f"The model '{hub_id}' is not on this machine, and the hub cannot be reached.", _NETWORK
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise ModelUnusable(f"Downloading '{hub_id}' failed: {error}.", _NETWORK) from error


def _unneeded(hub_id: str) -> list[str]:
    """Patterns of files not worth downloading; all but the general ones need the hub's list."""
    names = _listed(hub_id)
    safe = {Path(name).parent for name in names if fnmatch(name, "*.safetensors")}
    pickled = [name for name in names if Path(name).suffix in (".bin", ".pt", ".pth")]
    return [*JUNK, *(name for name in pickled if Path(name).parent in safe)]


def _listed(hub_id: str) -> list[str]:
    """The repository's files; none where the hub cannot be asked (the cache is tried then)."""
    import httpx
    from huggingface_hub import list_repo_files
    from huggingface_hub.errors import GatedRepoError, OfflineModeIsEnabled, RepositoryNotFoundError

    try:
        return list(list_repo_files(hub_id))
    except (RepositoryNotFoundError, GatedRepoError):
        raise
    except (OfflineModeIsEnabled, httpx.HTTPError, OSError):
        return []
