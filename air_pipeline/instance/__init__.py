"""Dagster's storage: what is asked of it and done to it, beyond what Dagster does by itself.

Belongs here: where it is, the runs of days, runs that were lost, ranges of days built into it. Does not: sensors,
schedules and jobs (`automation`), assets.

For the underlying Dagster concept, see docs.dagster.io: the Dagster instance.
"""
