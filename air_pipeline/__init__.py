"""Air-quality readings that you can defend: collected at their true time, flagged, in local days, as Parquet.

The rooms, from the inside out: `catalogue` (what is known of sensors), `settings` (devices.yaml and the environment),
`devices` (talking to devices), `processing` (pure functions on frames), `storage` (stores of readings, Parquet tables),
`collection` (slots, polls, outbox, the collector process), `assets` and `automation` (Dagster, thin), `access` (what
notebooks and programs use), `cli` (the `air-pipeline` command), `definitions` (everything Dagster loads).
"""
