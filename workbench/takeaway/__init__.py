"""What a person takes along: a model to use elsewhere, and the script that repeats its run."""
