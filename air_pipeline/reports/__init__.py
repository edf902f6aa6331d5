"""The page of a day: what the tables and the polls of one local date say, for people.

Belongs here: what a page shows and how it looks. Does not: what is true of a day (`processing`, `days`), where the
page is kept (`storage.pages`), Dagster (`assets`).
"""
