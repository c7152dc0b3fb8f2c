"""Search indexes on record."""

from storage.records import Index
from storage.rows import NamedRows
from storage.tables import indexes


class IndexRows(NamedRows[Index]):
    table = indexes
    record = Index
