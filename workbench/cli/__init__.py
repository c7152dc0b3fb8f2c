"""The command line: everything a click can do, with the same recipes, in the same store."""
