"""The job `build_range`: many days by one run, each with the materializations and check results of its own.

A run a day costs more in events of Dagster's than the day does itself. How a day failed is said by a run of its own:
who began the run of many (`build`), or the schedule `build_days`, builds such a day once more.

For the underlying Dagster concept, see docs.dagster.io: ops and jobs.
"""

from collections.abc import Callable, Sequence
from datetime import date

import dagster as dg

from air_pipeline.assets.names import DAYS, OWNER
from air_pipeline.days.comparing import compare_day
from air_pipeline.days.inputs import Standing
from air_pipeline.days.range import plan_range
from air_pipeline.days.terms import Terms, check_terms
from air_pipeline.deployment import Deployment
from air_pipeline.errors import AirPipelineError
from air_pipeline.instance.day_builder import Watch
from air_pipeline.instance.engines import kept_engines
from air_pipeline.instance.runs_of_days import (
    DAYS_TAG,
    FORCE_TAG,
    TERMS_TAG,
    days_of,
    days_to_text,
    is_made_by,
    under_way,
)
from air_pipeline.words import some_days

BUILD_RANGE = "build_range"
"""The job that builds many days."""
LONGEST_S = 6 * 3600
"""A launched run may take so long: years of days, where Dagster ends a run of one day after half an hour."""
_MOST_NAMED = 5
_CONFIG = {
    "from": dg.Field(str, is_required=False, description="First date, such as 2026-11-01 or -7d; else `start`."),
    "to": dg.Field(str, is_required=False, description="Last date, included; else the last that is over."),
    "force": dg.Field(
        bool, default_value=False, description="Build even what is current, or would be built from less than before."
    ),
}


@dg.op(name="days", config_schema=_CONFIG, out=dg.Out(dg.Nothing))
def _days(
    context: dg.OpExecutionContext, deployment: dg.ResourceParam[Deployment], watch: dg.ResourceParam[Watch]
) -> None:
    """Builds the days of a range that are missing or were built from something else, oldest first."""
    try:
        check_terms(context.run.tags.get(TERMS_TAG), deployment)
        days = sorted(days_of(context.run)) or _planned(context, deployment)
    except AirPipelineError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    with kept_engines():
        failed = _built(context, _builder(context, deployment), days, watch)
    if failed:
        named = some_days(failed, _MOST_NAMED)
        raise dg.Failure(
            f"{len(failed)} of {len(days)} days failed, {_what_next(context)}: {named}", allow_retries=False
        )


def _built(
    context: dg.OpExecutionContext, build: Callable[[Sequence[date]], str], days: Sequence[date], watch: Watch
) -> list[date]:
    """Builds days one after the other, for as long as more are wanted; those that failed."""
    failed = []
    for place, day in enumerate(days):
        if not watch.goes_on():
            context.log.info("ended before %s, as whoever began this run wants no more days", day)
            break
        if day in under_way(context.instance, of=context.run_id):
            said = f"left to the run of {day} that is under way"
            context.log.info(said)
        elif said := build(days[place:]):
            context.log.error("%s: %s", day, said)
            failed.append(day)
        watch.ended(day, said)
    return failed


def build_range_job(terms: Terms) -> dg.JobDefinition:
    """The job that builds many days.

    Args:
        terms: what its runs are told.
    """

    @dg.job(
        name=BUILD_RANGE,
        description=(
            "Builds many local days by one run: those from one date to another that are missing or were built from"
            " something else, or with `force` all. Each gets the same files, metadata and check results as by a run of"
            " its own. A day that fails is logged, published by nobody, and built once more by `build_days`; this run"
            " goes on with the next one. Killed or executed again, it goes on where it was."
        ),
        tags={
            "air_pipeline/group": DAYS,
            "air_pipeline/owner": OWNER,
            TERMS_TAG: terms.to_text(),
            "dagster/max_runtime": str(LONGEST_S),
        },
        executor_def=dg.in_process_executor,
    )
    def build_range() -> None:
        _days()

    return build_range


def _is_forced(context: dg.OpExecutionContext) -> bool:
    return context.run.tags.get(FORCE_TAG) == "true" or bool(context.op_config["force"])


def _what_next(context: dg.OpExecutionContext) -> str:
    if _is_forced(context):  # one that is current is asked for by nobody else
        return "which this run builds if it is executed again"
    return "each of which is built once more by a run of its own"


def _planned(context: dg.OpExecutionContext, deployment: Deployment) -> list[date]:
    """The days that the configuration asks for; the run is tagged with them, so that nobody else asks for these."""
    asked, is_forced = context.op_config, context.op_config["force"]
    plan = plan_range(deployment, asked.get("from"), asked.get("to"), force=is_forced)
    for reason in plan.shrunk.values():
        context.log.warning(reason)
    context.log.info("%d days to build, %d are current", len(plan.wanted), len(plan.current))
    tags = {DAYS_TAG: days_to_text(plan.wanted)} | ({FORCE_TAG: "true"} if is_forced else {})
    context.instance.add_run_tags(context.run_id, tags)
    return plan.wanted


def _builder(context: dg.OpExecutionContext, deployment: Deployment) -> Callable[[Sequence[date]], str]:
    # With pandas, pyarrow and pandera, a second and 130 MB: every process loads the definitions, few build days.
    from air_pipeline.assets.day_events import DayEvents

    is_forced = _is_forced(context)
    of_days = DayEvents(context.instance, deployment, force=is_forced, warn=context.log.warning)
    is_again = context.run.parent_run_id is not None  # then what the run before it came to is left alone

    def is_done(day: date) -> bool:
        is_current = compare_day(deployment, deployment.store, day).standing is Standing.CURRENT
        return is_current and (not is_forced or is_made_by(context.instance, day, context.run))

    def build(days: Sequence[date]) -> str:
        """Builds the first of some days and logs what comes of it; what went wrong, empty if nothing did.

        Others are read and flagged with it, as many as may be.
        """
        day = days[0]
        try:
            if is_again and is_done(day):
                context.log.info("%s is current", day)
                return ""
            for event in of_days.build(days):
                context.log_event(event)  # type: ignore[arg-type] # of checks too, which its annotation leaves out
        except dg.Failure as failure:
            return failure.description or ""
        except AirPipelineError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 -- a mistake of ours costs its day alone; its own run has the traceback
            return f"{type(error).__name__}: {error}"
        return ""

    return build
