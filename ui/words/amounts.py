"""Counts, sizes and times as a person reads them."""

import time

from ui.words import t

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def count(number: float) -> str:
    """1234567 -> '1,234,567'; numbers that are not whole keep one decimal."""
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.1f}"


def size(number: float) -> str:
    """Bytes in decimal units: 1234567 -> '1.2 MB'."""
    if number < 1000:
        return t("amount.bytes", n=f"{number:.0f}")
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 1000:
            return f"{number:.1f} {unit}"
    number /= 1000
    return f"{number:.1f} TB"


def duration(seconds: float) -> str:
    """Seconds as '8 s', '3 min', '2 h 5 min': as exact as one cares to know."""
    if seconds < MINUTE:
        return t("amount.seconds", n=max(0, round(seconds)))
    if seconds < HOUR:
        return t("amount.minutes", n=int(seconds // MINUTE), s=round(seconds % MINUTE))
    return t("amount.hours", n=int(seconds // HOUR), m=int(seconds % HOUR // MINUTE))


def ago(then: float, now: float | None = None) -> str:
    """A moment in seconds since the epoch, seen from now: 'just now', '5 min ago', '2026-11-02'."""
    passed = (time.time() if now is None else now) - then
    if passed < MINUTE:
        return t("amount.now")
    if passed < HOUR:
        return t("amount.minutes_ago", n=int(passed // MINUTE))
    if passed < DAY:
        return t("amount.hours_ago", n=int(passed // HOUR))
    return time.strftime("%Y-%m-%d", time.localtime(then))
