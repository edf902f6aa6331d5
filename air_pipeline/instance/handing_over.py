"""Runs that are handed over to workers: whether who hands them over answers, and which runs nobody has taken.

Belongs here: asking Dagster's storage and the broker. Does not: what is said of it (`health.answering`).

Runs are handed over where `dagster.yaml` names a launcher that is not Dagster's own. Celery's says by itself where its
broker is; others have none that could be asked, and nothing of either is imported here.

For the underlying Dagster concept, see docs.dagster.io: run launchers.
"""

from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from air_pipeline.environment import Environment
from air_pipeline.health.probing import answer_within
from air_pipeline.health.seen import HandedOver
from air_pipeline.instance.home import hands_runs_over, home_of_dagster

TAKEN_WITHIN = timedelta(minutes=1)
"""A worker that has room begins a run within seconds; after three minutes Dagster gives it up, and tries again."""
BROKER_WITHIN_S = 5.0


def handed_over(environment: Environment, instance: dg.DagsterInstance, now: datetime) -> HandedOver | None:
    """How it stands with the runs that are handed over; None where they are processes of who launches them.

    Args:
        environment: where `dagster.yaml` is.
        instance: whose launcher.
        now: the time, aware.
    """
    if not hands_runs_over(home_of_dagster(environment)):
        return None
    launcher = instance.run_launcher
    if isinstance(launcher, dg.DefaultRunLauncher):
        return None
    broker, silence = _asked(getattr(launcher, "celery", None))
    late = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING], updated_before=now - TAKEN_WITHIN)
    untaken = instance.get_run_records(late)
    since = min((one.update_timestamp for one in untaken), default=None)
    return HandedOver(broker, silence, len(untaken), since)


def _asked(celery: Any) -> tuple[str, str]:  # noqa: ANN401 -- an optional library's
    """Where a Celery's broker is, without its password, and why it does not answer; both empty where there is none."""
    if celery is None:
        return "", ""
    with closing(celery.connection_for_write()) as connection:
        name = str(connection.as_uri())  # which leaves the password out
    try:
        answer_within(BROKER_WITHIN_S, lambda: _reach(celery))
    except TimeoutError:
        return name, f"nothing within {BROKER_WITHIN_S:g} s"
    except Exception as error:  # noqa: BLE001 -- each broker has errors of its own; they are told
        return name, " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return name, ""


def _reach(celery: Any) -> None:  # noqa: ANN401 -- as above
    with closing(celery.connection_for_write(connect_timeout=BROKER_WITHIN_S)) as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=BROKER_WITHIN_S)
