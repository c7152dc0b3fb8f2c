"""The files of an evaluation, by name: for who only reads them, without what measures."""

from workbench.comparison.table import ALL_DOCUMENTS as ALL_DOCUMENTS

RUN_FILE = "run.parquet"


QUERIES_FILE = "queries.parquet"


QRELS_FILE = "qrels.parquet"
