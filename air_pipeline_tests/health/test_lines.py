"""What a person is shown of checks that share a title: what is well is one line, left out where something is not."""

from air_pipeline.health import Level, check, failure, fine, unknown, warning
from air_pipeline.health.probing import lines
from air_pipeline.health.seen import Seen
from air_pipeline_tests.days.deployments import deployment


def shown(tmp_path, *found, title="wheels"):
    """The lines of checks of one title, each of which finds one thing or several."""

    def one(number, finds):
        def look(_seen):
            yield from finds if isinstance(finds, list) else [finds]

        look.__name__ = f"check_{number}"
        return check(means="It turns.", remedy="Oil it.", title=title, well="all turn")(look)

    deployed = deployment(tmp_path)
    seen = Seen(deployed.environment, deployed.now(), deployed.settings)
    return [(name, one.level, one.text) for name, one in lines([one(*each) for each in enumerate(found)], seen, 60.0)]


def test_what_is_well_is_one_line_each_thing_once(tmp_path):
    assert shown(tmp_path, fine("turns"), fine("is round"), fine("turns")) == [("wheels", Level.OK, "turns; is round")]


def test_of_several_subjects_that_are_well_their_check_says_it(tmp_path):
    assert shown(tmp_path, [fine("", "left"), fine("", "right")]) == [("wheels", Level.OK, "all turn")]


def test_where_something_is_not_well_the_rest_is_not_said(tmp_path):
    found = shown(tmp_path, fine("turns"), warning("squeaks"), failure("fell off"), fine("is round"))
    assert found == [("wheels", Level.WARNING, "squeaks"), ("wheels", Level.FAILURE, "fell off")]


def test_what_cannot_be_told_hides_nothing_and_is_said_once(tmp_path):
    found = shown(tmp_path, unknown("it is dark"), fine("turns"), unknown("it is dark"))
    assert found == [("wheels", Level.OK, "turns"), ("wheels", Level.UNKNOWN, "it is dark")]


def test_a_check_with_a_line_for_each_subject_has_them_all(tmp_path):
    found = shown(tmp_path, [fine("turns", "left"), warning("squeaks", subject="right")], title="wheel {subject}")
    assert found == [("wheel left", Level.OK, "turns"), ("wheel right", Level.WARNING, "squeaks")]
