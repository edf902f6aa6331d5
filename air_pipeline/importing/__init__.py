"""The history that people bring: rows of others → polls with the outcome `imported`, under an id of their own.

Belongs here: reading sources, aligning their rows to slots, planning, writing and taking back an import. Does not: how
imported polls are stored and counted (`storage`), what of a day would be lost (`days`).
"""
