"""The job that makes or updates an index, as the Search tab shows it."""

from ui.cards import job_card
from ui.markup import EMPTY, join
from ui.services import Services
from ui.tabs import search_outside
from workbench.recipes.evaluate import IndexRecipe
from workbench.recipes.index_update import IndexUpdateRecipe
from workbench.records import Job, JobStatus


def newest_job(services: Services) -> Job | None:
    """The build or update that was asked for last."""
    tasks = (IndexRecipe.task, IndexUpdateRecipe.task)
    jobs = [job for task in tasks for job in services.workspace.jobs.list(task=task, limit=1)]
    return max(jobs, key=lambda job: job.created_at, default=None)


def job_html(services: Services, job: Job | None) -> str:
    """A build on its way or failed, and the import it waits for; one that succeeded is in the
    menu, and an update that did says what it changed."""
    if job is None:
        return EMPTY
    if job.status is JobStatus.SUCCEEDED:
        updated = job.task == IndexUpdateRecipe.task
        return search_outside.done_html(services, job) if updated else EMPTY
    waits = job.after is not None and job.status is JobStatus.QUEUED
    before = [job_card(services.workspace.jobs.get(job.after))] if waits and job.after else []
    return str(join([*before, job_card(job)]))
