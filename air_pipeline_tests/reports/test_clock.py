"""The axis of a local day, on days when the clocks change too."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from air_pipeline.processing.local_time import day_window, epoch_ms
from air_pipeline.reports.clock import DayClock


def clock(day, zone):
    return DayClock(*day_window(date.fromisoformat(day), ZoneInfo(zone)), zone)


def ticks(day, zone):
    return [(tick.at, tick.label) for tick in clock(day, zone).ticks]


@pytest.mark.parametrize(
    ("day", "zone", "said"),
    [
        ("2026-11-21", "Europe/Warsaw", ""),
        ("2026-10-25", "Europe/Warsaw", "25-hour day: the clock was put back at 03:00 to 02:00."),
        ("2026-03-29", "Europe/Warsaw", "23-hour day: the clock was put forward at 02:00 to 03:00."),
        ("2026-11-01", "America/New_York", "25-hour day: the clock was put back at 02:00 to 01:00."),
        ("2026-03-08", "America/New_York", "23-hour day: the clock was put forward at 02:00 to 03:00."),
        ("2026-04-05", "Australia/Lord_Howe", "24.5-hour day: the clock was put back at 02:00 to 01:30."),
        ("2026-10-04", "Australia/Lord_Howe", "23.5-hour day: the clock was put forward at 02:00 to 02:30."),
        ("2018-11-04", "America/Sao_Paulo", "23-hour day: the clock was put forward at 00:00 to 01:00."),
    ],
)
def test_a_change_of_the_clock_is_said_in_words(day, zone, said):
    assert clock(day, zone).notice == said


def test_a_usual_day_is_labelled_every_four_hours():
    assert ticks("2026-11-21", "Europe/Warsaw") == [
        (0, "00"), (4, "04"), (8, "08"), (12, "12"), (16, "16"), (20, "20"), (24, "24")
    ]  # fmt: skip


def test_an_hour_that_came_twice_is_labelled_twice():
    assert ticks("2026-10-25", "Europe/Warsaw")[:4] == [(0, "00"), (2, "02"), (3, "02"), (5, "04")]
    assert clock("2026-10-25", "Europe/Warsaw").labels[:5] == ("00", "01", "02", "02", "03")


def test_an_hour_that_was_skipped_is_not_labelled():
    assert clock("2026-03-29", "Europe/Warsaw").labels[:4] == ("00", "01", "03", "04")
    assert ticks("2026-03-29", "Europe/Warsaw")[-2:] == [(19, "20"), (23, "24")]


def test_half_an_hour_has_its_own_label():
    assert clock("2026-04-05", "Australia/Lord_Howe").labels[:5] == ("00", "01", ":30", "02", "03")
    assert ticks("2026-04-05", "Australia/Lord_Howe")[:4] == [(0, "00"), (1, "01"), (2, ":30"), (4.5, "04")]


def test_times_have_their_offset_where_the_clock_was_changed():
    changed, usual = clock("2026-10-25", "Europe/Warsaw"), clock("2026-10-26", "Europe/Warsaw")
    hour = 3_600_000
    start = epoch_ms(changed.start)
    assert changed.at(start + 2 * hour) == "02:00:00+02:00"
    assert changed.at(start + 3 * hour) == "02:00:00+01:00"
    assert usual.at(epoch_ms(usual.start) + 2 * hour) == "02:00:00"
