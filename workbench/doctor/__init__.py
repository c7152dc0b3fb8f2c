"""The doctor: looks through a data set version, says what is wrong with it, and mends it."""
