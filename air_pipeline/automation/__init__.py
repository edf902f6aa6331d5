"""What Dagster does by itself: the sensor that keeps the collector and reports, the schedule that builds days.

Thin shells: decisions are pure functions beside them.

For the underlying Dagster concept, see docs.dagster.io: automation.
"""
