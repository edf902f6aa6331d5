"""Air-quality readings that you can defend: collected at their true time, flagged, in local days, as Parquet.

The rooms, from the inside out: `catalogue` (what is known of sensors), `settings` (what devices.yaml says),
`environment` (where everything is), `devices` (talking to devices), `processing` (pure functions on frames), `storage`
(stores of readings, Parquet tables), `deployment` (all of these opened together), `collection` (slots, polls, outbox,
the collector process), `days` (from a store to the tables of a day), `reports` (the page of a day), `access` (what
notebooks and programs use), `notifying` (telling a person what is not well), `diagnosis` (what is not well, and what to
do), `assets` and `automation` (Dagster, thin), `definitions` (everything Dagster loads), `cli` (the `air-pipeline`
command).
"""
