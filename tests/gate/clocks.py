"""When is it allowed to phone? Wall clocks of time zones against spans of hours, with the standard library's zoneinfo alone.

A window is a list of spans, one of which must be open; all windows must be open in all zones. A span that ends at or before
it begins crosses midnight and belongs to the day on which it begins. Shares nothing with the SQL; written from the rules.
"""
import datetime as dt
import functools
import re
import zoneinfo

UTC = dt.timezone.utc
DAY = dt.timedelta(days=1)
SEARCH = dt.timedelta(days=21)
NAME = re.compile(r"[A-Za-z_]+(/[A-Za-z0-9_+-]+)+\Z")


@functools.lru_cache(maxsize=None)
def zone_of(name):
    """The zone, or None when the tz database has no such name."""
    if name is None or not (name == "UTC" or NAME.match(name)):
        return None
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None


@functools.lru_cache(maxsize=None)
def jumps(name, year):
    """The instants of a year at which the zone's offset changes, found by halving."""
    zone = zone_of(name)
    found = []
    step = dt.timedelta(hours=6)
    before = dt.datetime(year, 1, 1, tzinfo=UTC)
    end = dt.datetime(year + 1, 1, 1, tzinfo=UTC)
    while before < end:
        after = before + step
        if before.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
            low, high = before, after
            while high - low > dt.timedelta(seconds=1):
                middle = low + (high - low) // 2
                middle = middle.replace(microsecond=0)
                if middle == low:
                    break
                if middle.astimezone(zone).utcoffset() == low.astimezone(zone).utcoffset():
                    low = middle
                else:
                    high = middle
            found.append(high)
        before = after
    return tuple(found)


@functools.lru_cache(maxsize=4096)
def clock_s(text):
    """Seconds after midnight of '09:00' or '09:00:00'."""
    parts = [float(part) for part in text.split(":")]
    return parts[0] * 3600 + parts[1] * 60 + (parts[2] if len(parts) > 2 else 0)


class Span:
    def __init__(self, days, opens, closes, first=None, last=None, holidays=None):
        self.days = frozenset(days)
        self.opens = clock_s(opens)
        self.closes = clock_s(closes)
        self.first = first
        self.last = last
        self.holidays = holidays if holidays is not None else frozenset()
        self.crosses = self.closes <= self.opens

    def has_day(self, day):
        return (day.isoweekday() in self.days and (self.first is None or day >= self.first)
                and (self.last is None or day <= self.last) and day not in self.holidays)

    def open_at(self, wall):
        clock = wall.hour * 3600 + wall.minute * 60 + wall.second + wall.microsecond / 1e6
        today = wall.date()
        if not self.crosses:
            return self.opens <= clock < self.closes and self.has_day(today)
        return (clock >= self.opens and self.has_day(today)) or (clock < self.closes and self.has_day(today - DAY))


def is_open(windows, zones, at):
    for zone in zones:
        wall = at.astimezone(zone_of(zone)).replace(tzinfo=None)
        if not all(any(span.open_at(wall) for span in window) for window in windows):
            return False
    return bool(zones)


def beginnings(windows, zones, since):
    """Every instant from `since` on, three weeks far, at which something that was closed may open."""
    until = since + SEARCH + DAY
    found = set()
    opens = {span.opens for window in windows for span in window}
    for name in zones:
        zone = zone_of(name)
        for year in range(since.year, until.year + 1):
            found.update(jump for jump in jumps(name, year) if since <= jump <= until)
        day = (since.astimezone(zone) - DAY).date()
        while day <= until.date() + DAY:
            for seconds in opens:
                wall = dt.datetime.combine(day, dt.time()) + dt.timedelta(seconds=seconds)
                for fold in (0, 1):
                    instant = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
                    # A wall time that the clock skips is shown by no instant.
                    if instant.astimezone(zone).replace(tzinfo=None) == wall and since <= instant <= until:
                        found.add(instant)
            day += DAY
    return sorted(found)


def next_open(windows, zones, at, start=None):
    """The first instant from `at` on at which all is open; None when three weeks have none. `start`: the campaign's first date."""
    if is_open(windows, zones, at):
        return at
    since = at
    if start is not None:
        for zone in zones:
            begins = dt.datetime.combine(start, dt.time(), zone_of(zone)).astimezone(UTC)
            since = max(at, begins) if since == at else min(since, max(at, begins))
    for instant in beginnings(windows, zones, since):
        if instant >= at and is_open(windows, zones, instant):
            return instant
    return None
