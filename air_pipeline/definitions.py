"""Everything that Dagster loads, assembled by one function.

Belongs here: which parts there are and with what they are given. Does not: the parts. Nothing is read at import: `defs`
reads the settings when Dagster calls it.

For the underlying Dagster concept, see docs.dagster.io: definitions.
"""

import dagster as dg

from air_pipeline.assets.checks import days_checks
from air_pipeline.assets.daily_report import daily_report_asset
from air_pipeline.assets.days import day_assets
from air_pipeline.assets.devices import devices_asset
from air_pipeline.assets.io_manager import TablesIOManager
from air_pipeline.assets.raw_readings import raw_readings_asset
from air_pipeline.automation.building import BUILD_DAY, build_days_schedule
from air_pipeline.automation.collecting import collect_sensor
from air_pipeline.automation.notifying import notify_sensor
from air_pipeline.automation.ranges import BUILD_RANGE, build_range_job
from air_pipeline.days.terms import terms_now
from air_pipeline.deployment import Deployment, open_deployment
from air_pipeline.instance.day_builder import DayJobs, Unwatched, Watch


def build_definitions(deployment: Deployment, watch: Watch | None = None) -> dg.Definitions:
    """The definitions for one deployment: a test's own, or that of the environment.

    Args:
        deployment: whose.
        watch: follows the runs of many days.
    """
    terms = terms_now(deployment)
    checks = days_checks(deployment)
    return dg.Definitions(
        assets=[
            devices_asset(deployment),
            raw_readings_asset(deployment),
            *day_assets(deployment),
            daily_report_asset(deployment),
        ],
        asset_checks=checks,
        sensors=[collect_sensor(), notify_sensor()],
        schedules=[build_days_schedule(deployment.settings, terms, checks)],
        jobs=[build_range_job(terms)],  # that of one day comes with its schedule
        resources={
            "deployment": deployment,
            "tables": TablesIOManager(deployment),
            "watch": watch or Unwatched(),
        },
        executor=dg.in_process_executor,  # steps of a day share a process; days are spread over runs
    )


def day_jobs(watch: Watch) -> DayJobs:
    """The jobs that build days of the deployment that the environment names.

    Args:
        watch: follows the runs of many days.

    Raises:
        SettingsError: the environment or the settings cannot be used.
    """
    definitions = build_definitions(open_deployment(), watch)
    return DayJobs(definitions.resolve_job_def(BUILD_DAY), definitions.resolve_job_def(BUILD_RANGE))


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions of the deployment that the environment names."""
    return build_definitions(open_deployment(strict=False))
