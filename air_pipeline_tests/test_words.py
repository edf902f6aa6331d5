import pytest

from air_pipeline.words import some


@pytest.mark.parametrize(
    ("names", "text"),
    [([], ""), (["a", "b"], "a, b"), (["a", "b", "c"], "a, b and 1 more"), (list("abcde"), "a, b and 3 more")],
)
def test_names_beyond_the_first_are_counted(names, text):
    assert some(names, 2) == text
