"""Findings of real checks, as they are when something is not well."""

from dataclasses import replace
from datetime import timedelta

from air_pipeline.health import Finding, Level
from air_pipeline.health.checks import CHECKS


def unwell(text="", *, check="devices_reporting", subject="garage", grave=False, patience=timedelta()):
    """What a check gives when it found this."""
    [named] = [one for one in CHECKS if one.name == check]
    found = Finding("", subject, Level.FAILURE if grave else Level.WARNING, text, patience=patience)
    [made] = replace(named, look=lambda _: [found]).findings(None)
    return made
