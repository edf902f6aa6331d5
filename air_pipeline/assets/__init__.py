"""Dagster's assets and their checks: thin, they call the other rooms and say what became of it.

pandas, pyarrow and pandera are imported when a step runs (`day_steps`, `reports`), so that definitions load quickly.

For the underlying Dagster concept, see docs.dagster.io: assets.
"""
