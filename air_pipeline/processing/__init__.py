"""Pure functions on frames: local time, expected slots, flags, aggregates, and the columns of the tables.

Belongs here: what is computed from readings and polls. Does not: where they are read from or written to
(`storage`), when that happens (`assets`, `automation`).
"""
