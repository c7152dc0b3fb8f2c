"""The line from a reader to the problem list: it knows which file is being read."""

from collections.abc import Iterable

from workbench.data.problems import ProblemLog


class Report:
    """Adds problems for one file. ``line`` is the row being read, where none is given."""

    def __init__(self, log: ProblemLog, file: str, *, quiet: bool = False) -> None:
        self.file = file
        self.line = 0
        self.encoding = "UTF-8"
        self.spoken = False
        self._log = log
        self._quiet = quiet
        self._named: set[tuple[str, str]] = set()

    def add(
        self,
        code: str,
        line: int | None = None,
        field: str | None = None,
        *,
        detail: str = "",
        hint: str = "",
        severity: str = "",
        count: int = 1,
    ) -> None:
        if not self._quiet:
            self.spoken = True
            where = self.line if line is None else line
            self._log.add(
                code,
                self.file,
                where or None,
                field,
                detail=detail,
                hint=hint,
                severity=severity,
                count=count,
            )

    def once(
        self, code: str, field: str, *, detail: str, hint: str = "", line: int | None = None
    ) -> None:
        """Say it for the first row only: a column that is not known is not known in all of them."""
        if (code, field) not in self._named and len(self._named) < 100:
            self._named.add((code, field))
            self.add(code, line, field, detail=detail, hint=hint)

    def unknown(self, columns: Iterable[tuple[str, str]]) -> None:
        for column, hint in columns:
            self.once("unknown-columns", column, detail=column, hint=hint)
