"""``train --preset auto``: what a run's settings are to be, decided by looking and measuring."""
