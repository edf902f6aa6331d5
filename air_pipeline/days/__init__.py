"""Local days as units of work: when they are over, what they are built from, and their building.

Belongs here: the way from a store to the three tables of one day, and whether it must be gone. Does not: flags and
aggregates themselves (`processing`), Dagster (`assets`, `automation`).
"""
