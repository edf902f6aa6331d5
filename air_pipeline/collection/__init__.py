"""From slots to polls to the outbox to the store: the collector, as a plain object and as a process of its own.

No module here imports dagster, pandas or pyarrow: a collector is ready in about a second and stays small.
"""
