from datetime import date, timedelta

import pytest

from air_pipeline.words import some, some_days


@pytest.mark.parametrize(
    ("names", "text"),
    [([], ""), (["a", "b"], "a, b"), (["a", "b", "c"], "a, b and 1 more"), (list("abcde"), "a, b and 3 more")],
)
def test_names_beyond_the_first_are_counted(names, text):
    assert some(names, 2) == text


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], ""),
        ([0], "2026-10-30"),
        ([1, 0], "2026-10-30 … 2026-10-31"),
        ([0, 1, 2, 4, 5, 5], "2026-10-30 … 2026-11-01, 2026-11-03 … 2026-11-04"),
        ([0, 2, 4, 5, 9], "2026-10-30, 2026-11-01 and 3 more"),
    ],
)
def test_days_that_follow_each_other_are_one_and_those_beyond_the_first_are_counted(numbers, text):
    assert some_days([date(2026, 10, 30) + timedelta(days=number) for number in numbers], 2) == text
