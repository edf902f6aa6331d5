"""What is not well on a built day, for the page of that day: what the checks of it find, in the order of devices.

Belongs here: findings as lines of a page. Does not: what is not well (`measuring`), how a page looks (`reports`).
"""

from datetime import date
from functools import partial

from air_pipeline.deployment import Deployment
from air_pipeline.health import Finding
from air_pipeline.health.measuring import OF_A_DAY, findings_of_day
from air_pipeline.health.tallies import tallies_of


def unwell_of_day(deployment: Deployment, day: date) -> list[tuple[str, str]]:
    """Each device with something that is not well with it on a built day, and what to do, for the page of that day.

    Raises:
        TableError: a table of the day is missing or cannot be read.
    """
    tallies = tallies_of(deployment.data, day)
    found: list[Finding] = []
    for one in OF_A_DAY:
        found += one.found(partial(findings_of_day, one, tallies))
    unwell = sorted((one for one in found if one.is_bad), key=lambda one: one.subject)
    return [(one.subject, f"{one.text.removeprefix(f'{day}: ')}. {_sentence(one.remedy)}") for one in unwell]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
