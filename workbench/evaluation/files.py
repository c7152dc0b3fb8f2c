"""The files of an evaluation, by name: for who only reads them, without what measures."""

RUN_FILE = "run.parquet"
QUERIES_FILE = "queries.parquet"
QRELS_FILE = "qrels.parquet"
