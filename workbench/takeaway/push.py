"""Pushes a model, or any folder, to the Hugging Face Hub. Torch-free.

The token is used once: it is handed to the job's process in its environment, and is never stored,
never logged, never in a recipe.
"""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workbench.errors import BadInput, WorkbenchError
from workbench.jobs.reporting import JobContext
from workbench.models.files import model_files
from workbench.models.resolve import hub_is_offline
from workbench.recipes.push import PushDataRecipe, PushModelRecipe
from workbench.records import Job, Model
from workbench.takeaway.snippet import replaced_files

TOKEN_VARIABLE = "HF_TOKEN"
_WORDS = {"model": "model", "dataset": "data set"}
#: Makes huggingface_hub's ``HfApi`` from a token.
MakeApi = Callable[[str], Any]


class PushFailed(WorkbenchError):
    """The Hub did not accept what was sent."""

    code = "push-failed"


def submit(workspace: Any, recipe: PushModelRecipe | PushDataRecipe, token: str = "") -> Job:
    """Queue a push. Without ``token``, that of the environment (``HF_TOKEN``) is used.

    Raises :class:`BadInput` where it cannot be tried: offline, or without a token.
    """
    kind = "model" if isinstance(recipe, PushModelRecipe) else "dataset"
    if hub_is_offline():
        raise BadInput(
            "HF_HUB_OFFLINE is set, so nothing can be pushed to the Hub.",
            f"Unset it where there is a network, or download the {_WORDS[kind]} instead.",
        )
    secret: Mapping[str, str] = {TOKEN_VARIABLE: token.strip()} if token.strip() else {}
    if not secret and not os.environ.get(TOKEN_VARIABLE, "").strip():
        raise _no_token()
    job: Job = workspace.jobs.submit(recipe, name=recipe.repo, environment=secret)
    return job


def in_workspace(workspace: Any, name: str) -> None:
    """Raises :class:`ModelNotFound` for a name that no model of the workspace has."""
    workspace.models.get(name)


def run(recipe: PushModelRecipe, context: JobContext) -> dict[str, Any]:
    """Upload a model's folder; returns its address. Raises :class:`PushFailed`."""
    workspace = context.workspace
    model = workspace.models.get(recipe.model)
    address = send(lambda folder: _stage(workspace, model, folder), recipe, context)
    about = {"model": model.name, "repo": recipe.repo}
    return {**about, "address": address, "private": recipe.private}


def send(
    stage: Callable[[Path], None],
    recipe: PushModelRecipe | PushDataRecipe,
    context: JobContext,
    *,
    kind: str = "model",
    make_api: MakeApi | None = None,
) -> str:
    """Upload what ``stage`` puts into a folder to the recipe's repository, made where it does not
    exist yet; returns its address.

    ``kind`` is the hub's word for what it is: 'model' or 'dataset'. Stops between two files.
    Raises :class:`PushFailed` where the hub refuses.
    """
    secret = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not secret:
        raise _no_token()
    api = (make_api or _api)(secret)
    with tempfile.TemporaryDirectory(prefix="workbench-push-") as made:
        folder = Path(made)
        stage(folder)
        return _send(api, recipe, folder, context, secret=secret, kind=kind)


def _no_token() -> BadInput:
    return BadInput(
        "A token with write access is needed.",
        f"Type one (it is used once and not stored), or set {TOKEN_VARIABLE}.",
    )


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


def _send(
    api: Any,
    recipe: PushModelRecipe | PushDataRecipe,
    folder: Path,
    context: JobContext,
    *,
    secret: str,
    kind: str,
) -> str:
    from httpx2 import HTTPError
    from huggingface_hub.errors import HfHubHTTPError

    repo = recipe.repo
    try:
        api.create_repo(repo, private=recipe.private, exist_ok=True, repo_type=kind)
        done = _upload(api, repo, folder, context, kind)
    except HfHubHTTPError as error:
        # 'from None': the library's own error holds the request, and the request the token.
        raise _refused(error, repo, secret) from None
    except (HTTPError, OSError) as error:
        reason = str(error).replace(secret, "***")[:200]
        raise PushFailed(
            f"The Hub could not be reached: {reason or type(error).__name__}.",
            f"Check the network, or download the {_WORDS[kind]} instead.",
        ) from None
    place = repo if kind == "model" else f"{kind}s/{repo}"
    return str(getattr(done, "repo_url", "") or f"https://huggingface.co/{place}")


def _upload(api: Any, repo: str, folder: Path, context: JobContext, kind: str) -> Any:
    """Large files one by one, then the commit that holds small ones and names all."""
    from huggingface_hub import CommitOperationAdd

    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    sizes = [path.stat().st_size for path in paths]
    operations, sent = [], 0
    for path, size in zip(paths, sizes, strict=True):
        context.check_cancelled()
        inside = path.relative_to(folder).as_posix()
        context.progress(sent, sum(sizes), "bytes", f"Uploading {inside}")
        operations.append(CommitOperationAdd(inside, str(path)))
        api.preupload_lfs_files(repo, operations[-1:], repo_type=kind)
        sent += size
    context.check_cancelled()
    context.progress(sent, sum(sizes), "bytes", "Finishing the upload")
    return api.create_commit(
        repo, operations, commit_message="Upload from Retrieval Workbench", repo_type=kind
    )


def _refused(error: Any, repo: str, secret: str) -> PushFailed:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return PushFailed(
            f"The Hub does not accept this token for '{repo}'.",
            "Use a token with write access, of an account that may write there.",
        )
    said = " ".join(str(error).replace(secret, "***").split())[:200]
    return PushFailed(f"The Hub did not accept '{repo}': {said}", "Try again later.")
