"""Sends a model, or any folder, to a hub. Torch-free.

The token is used once: never stored, never logged, never in a recipe.
"""

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.errors import BadInput, WorkbenchError
from workbench.models.files import model_files
from workbench.models.resolve import hub_is_offline
from workbench.records import Model
from workbench.takeaway.snippet import replaced_files

TOKEN_VARIABLE = "HF_TOKEN"
_WORDS = {"model": "model", "dataset": "data set"}
_REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}")


class PushFailed(WorkbenchError):
    """The hub did not take what was sent."""

    code = "push-failed"


def push(
    workspace: Any,
    model: Model,
    repo: str,
    *,
    token: str = "",
    private: bool = True,
    make_api: Callable[[str], Any] | None = None,
) -> dict[str, Any]:
    """Upload a model's folder as ``repo`` ('owner/name'), made where it does not exist yet.

    Without ``token``, that of the environment (``HF_TOKEN``) is used. ``make_api`` makes
    huggingface_hub's ``HfApi`` from a token. Raises :class:`BadInput` where it cannot be tried, and
    :class:`PushFailed` where the hub refuses.
    """
    address = send(
        lambda folder: _stage(workspace, model, folder),
        repo,
        token=token,
        private=private,
        make_api=make_api,
    )
    return {"model": model.name, "repo": repo.strip(), "address": address, "private": private}


def send(
    stage: Callable[[Path], None],
    repo: str,
    *,
    token: str = "",
    private: bool = True,
    make_api: Callable[[str], Any] | None = None,
    kind: str = "model",
) -> str:
    """Upload what ``stage`` puts into a folder, and return its address; see :func:`push`.

    ``kind`` is the hub's word for what it is: 'model' or 'dataset'.
    """
    repo, secret = repo.strip(), token.strip() or os.environ.get(TOKEN_VARIABLE, "").strip()
    if not _REPO.fullmatch(repo):
        raise BadInput(f"'{repo}' is no repository of a hub.", "Write it as owner/name.")
    if hub_is_offline():
        raise BadInput(
            "The hub may not be asked: HF_HUB_OFFLINE is set.",
            f"Unset it where there is a network, or take the {_WORDS[kind]} along as files.",
        )
    if not secret:
        raise BadInput(
            "A token with the right to write is needed.",
            f"Type one (it is used once and not kept), or set {TOKEN_VARIABLE}.",
        )
    api = (make_api or _api)(secret)
    with tempfile.TemporaryDirectory(prefix="workbench-push-") as made:
        folder = Path(made)
        stage(folder)
        return _send(api, repo, folder, private=private, secret=secret, kind=kind)


def _api(token: str) -> Any:
    # Imported here: it takes half a second, and only a push needs it.
    from huggingface_hub import HfApi

    return HfApi(token=token)


def _stage(workspace: Any, model: Model, folder: Path) -> None:
    """Links to the model's files; what names a path of this machine is written anew."""
    source = workspace.path(model.path)
    instead = replaced_files(workspace, model)
    for path in model_files(source):
        inside = path.relative_to(source).as_posix()
        target = folder / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        if inside in instead:
            target.write_bytes(instead[inside])
        else:
            target.symlink_to(path.resolve())


def _send(api: Any, repo: str, folder: Path, *, private: bool, secret: str, kind: str) -> str:
    from httpx2 import HTTPError
    from huggingface_hub.errors import HfHubHTTPError

    try:
        api.create_repo(repo, private=private, exist_ok=True, repo_type=kind)
        done = api.upload_folder(
            repo_id=repo,
            folder_path=str(folder),
            repo_type=kind,
            commit_message="Upload from Retrieval Workbench",
        )
    except HfHubHTTPError as error:
        # 'from None': the library's own error holds the request, and the request the token.
        raise _refused(error, repo, secret) from None
    except (HTTPError, OSError) as error:
        reason = str(error).replace(secret, "***")[:200]
        raise PushFailed(
            f"The hub could not be reached: {reason or type(error).__name__}.",
            f"Check the network, or take the {_WORDS[kind]} along as files.",
        ) from None
    place = repo if kind == "model" else f"{kind}s/{repo}"
    return str(getattr(done, "repo_url", "") or f"https://huggingface.co/{place}")


def _refused(error: Any, repo: str, secret: str) -> PushFailed:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return PushFailed(
            f"The hub refuses this token for '{repo}'.",
            "Use one with the right to write, of an account that may write there.",
        )
    said = " ".join(str(error).replace(secret, "***").split())[:200]
    return PushFailed(f"The hub did not take '{repo}': {said}", "Try again later.")
