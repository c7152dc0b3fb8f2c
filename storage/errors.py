"""What the store itself can say went wrong; the workbench turns these into its own sentences."""


class StorageError(Exception):
    """Base of the store's own failures."""


class NameExists(StorageError):
    """Another record of this kind already has the name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the name '{name}' is taken")
        self.name = name


class NewerStore(StorageError):
    """The database was written by a later version of this program."""


class WorkersAlive(StorageError):
    """The database needs a migration, but jobs still write to it."""


class StaleAttempt(StorageError):
    """The writer belongs to an earlier attempt of the job, or to a job that is gone."""
