"""What a comparison's queries are divided by. Imports nothing, for the command line's options."""

#: In words, as heads of tables.
BY = {
    "length": "Query length, characters",
    "language": "Language",
    "script": "Script",
    "relevant": "Relevant documents",
}
