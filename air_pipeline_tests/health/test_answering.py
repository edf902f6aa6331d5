"""A store that does not answer is named where nobody else can."""

from dataclasses import replace
from datetime import timedelta

import pytest

from air_pipeline.collection.collector_state import CollectorState
from air_pipeline.collection.lease import Holder
from air_pipeline.collection.report import Report
from air_pipeline.health import Level
from air_pipeline.health.answering import LONGEST_SILENCE, store_answering
from air_pipeline.health.seen import seen_by_dagster
from air_pipeline.settings import MAIN
from air_pipeline_tests.assets.small_deployments import NOON, deployment_in

ELSEWHERE = CollectorState(unanswered="away")
HERE = CollectorState(running=Holder(7, 0.0, leased=True))


@pytest.fixture
def look(tmp_path):
    deployment = deployment_in(tmp_path, collector="external")

    def look(error, collector=ELSEWHERE, since=None):
        report = Report(0, 1, {}, (), 1, {MAIN: collector}, store_error=error)
        seen = seen_by_dagster(deployment, report, store_silent_since=since)
        return store_answering.summary(list(store_answering.findings(seen)), NOON)

    return look


def test_one_that_answers_is_well(look):
    assert look("").level is Level.OK


def test_one_that_has_not_answered_for_long_is_a_failure_that_says_why(look):
    found = look("InfluxDB gives no answer", since=NOON - LONGEST_SILENCE)
    assert (found.level, found.text) == (Level.FAILURE, "InfluxDB gives no answer")
    assert "nothing is lost" in found.remedy


def test_one_that_is_slow_for_a_moment_is_none(look):
    since = NOON - LONGEST_SILENCE + timedelta(seconds=1)
    assert look("InfluxDB gives no answer", since=since).level is Level.OK


def test_where_the_collector_is_here_its_outbox_says_it_and_this_does_not(look):
    assert look("away", HERE, NOON - LONGEST_SILENCE).level is Level.UNKNOWN
    told = replace(HERE, told_by="edge-1")
    assert look("away", told, NOON - LONGEST_SILENCE).level is Level.FAILURE
