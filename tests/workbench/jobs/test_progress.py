"""Speed and time left."""

from workbench.jobs.reporting import WINDOW, Progress


def test_speed_and_time_left_follow_from_what_was_done() -> None:
    progress = Progress()
    for second in range(11):
        progress.update(second * 4, 100, "rows", "Reading", float(second))
    values = progress.snapshot()
    assert (values["done"], values["total"], values["unit"]) == (40, 100, "rows")
    assert values["rate"] == 4.0
    assert values["seconds_left"] == 15.0
    assert (values["message"], values["phase"]) == ("Reading", "Reading")


def test_only_changes_are_written() -> None:
    progress = Progress()
    assert not progress.changed
    progress.update(1, 2, "", "", 0.0)
    assert progress.changed
    progress.snapshot()
    assert not progress.changed


def test_without_a_total_there_is_a_speed_but_no_end() -> None:
    progress = Progress()
    progress.update(0, None, "rows", "", 0.0)
    progress.update(10, None, "rows", "", 2.0)
    values = progress.snapshot()
    assert (values["rate"], values["seconds_left"]) == (5.0, None)


def test_a_new_stretch_begins_a_new_measurement() -> None:
    progress = Progress()
    progress.update(0, 100, "rows", "Reading", 0.0)
    progress.update(100, 100, "rows", "Reading", 1.0)
    progress.update(1, 50, "batches", "Encoding", 2.0)
    assert progress.snapshot()["rate"] is None
    progress.update(2, 50, "batches", "Encoding", 4.0)
    assert progress.snapshot()["rate"] == 0.5
    progress.update(0, 50, "batches", "Encoding again", 5.0)
    assert progress.snapshot()["rate"] is None


def test_speed_is_that_of_the_last_minute() -> None:
    progress = Progress()
    for second in range(200):
        progress.update(float(second), 1000, "steps", "", float(second))
    for second in range(1, 101):
        progress.update(199 + second * 3.0, 1000, "steps", "", 199.0 + second)
    assert progress.snapshot()["rate"] == 3.0
    assert WINDOW < 100


def test_many_reports_at_one_moment_are_harmless() -> None:
    progress = Progress()
    for number in range(1000):
        progress.update(number, 1000, "rows", "", 5.0)
    assert progress.snapshot()["rate"] is None
