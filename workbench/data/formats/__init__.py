"""Files as rows: one reader per kind of file, each giving (line, object) pairs."""
