"""Questions written for passages, for people who have documents and no labels."""
