"""The data check: reports what is wrong with a version of a data set, and fixes it."""
