"""Two who build one day at once, one of whom has read it before readings came late: none takes it for of one making."""

import dagster as dg
import pytest

from air_pipeline.assets.day_events import DayEvents
from air_pipeline.days.inputs import Standing, day_inputs, standing_of
from air_pipeline.processing.columns import TABLES
from air_pipeline.storage.commit import built_metadata
from air_pipeline.storage.day_files import day_file
from air_pipeline.storage.pages import page_file
from air_pipeline_tests.assets.small_deployments import (
    DAY,
    WHOLE,
    build,
    deployment_in,
    failures,
    past_polls,
    small_device,
)


def of_many(deployment, instance, logs):
    """Builds the day as a range does; stands still after each of its files."""
    for event in DayEvents(instance, deployment, force=True, warn=logs.append).build([DAY]):
        if isinstance(event, dg.AssetMaterialization):
            instance.report_runless_asset_event(event)
            yield event.asset_key.to_user_string()


def contents(deployment):
    """The bytes of the tables, and of the page."""
    files = [*(day_file(deployment.data, table, DAY) for table in TABLES), page_file(deployment.data, DAY)]
    return {file.name: file.shelf.head(DAY, file.name) for file in files}


@pytest.mark.parametrize("after", WHOLE[:-1])
def test_a_day_that_somebody_else_builds_meanwhile_is_of_one_making_or_built_again(instance, tmp_path, after):
    deployment, logs = deployment_in(tmp_path, small_device("hall"), small_device("attic")), []
    polls = list(past_polls(deployment, DAY))
    deployment.store.write(polls[::2])
    ours = of_many(deployment, instance, logs)
    assert after in ours  # which are asked up to there
    deployment.store.write(polls)
    assert failures(build(deployment, instance, only=WHOLE)) == {}
    wanted = contents(deployment)
    list(ours)
    inputs = day_inputs(deployment.store, deployment.settings, DAY)
    if standing_of(built_metadata(deployment.data, DAY), inputs) is Standing.CURRENT:
        assert contents(deployment) == wanted
    assert failures(build(deployment, instance, only=WHOLE)) == {}
    assert contents(deployment) == wanted
    deployment.store.close()
