"""Polls as InfluxDB's line protocol, see https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/.

Written here and not by the client's `Point`: that one moves times by a ms and drops what is not finite without a word.
"""

from functools import lru_cache

from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.storage.storable import air_values, body_text, cycle_text, identity_text, number, series_text, text
from air_pipeline.storage.store import Told


def poll_lines(poll: Poll) -> list[str]:
    """One line for the poll, and one before it for its reading if it has a value; times in ms.

    Points are merged field by field: what the outcome could have and the poll has not is written as 0 or an empty text,
    which mean none, so that nothing of an earlier poll of the slot shows through. The poll must be storable
    (`require_storable`).
    """
    key = f"device={_name(poll.device)}"
    if poll.import_id is not None:
        key += f",import={_name(poll.import_id)}"
    fields = [f'outcome="{poll.outcome.value}"', f"duration_ms={number(poll.duration_ms)!r}"]
    if poll.outcome.has_status:
        fields.append(f"http_status={number(poll.http_status or 0)!r}")
    fields.append(f"interval_s={number(poll.interval_s)!r}")
    fields.append(f"problems={_quoted(text(poll.problems_json))}")
    if poll.outcome is Outcome.REJECTED:
        fields.append(f"body={_quoted(body_text(poll) or '')}")
    if (names := series_text(poll)) is not None:
        fields.append(f"series={_quoted(names)}")
    if (cycle := cycle_text(poll)) is not None:
        fields.append(f"cycle={_quoted(cycle)}")
    if (identity := identity_text(poll)) is not None:
        fields.append(f"identity={_quoted(identity)}")
    lines = [f"poll,{key} {','.join(fields)} {int(poll.observed_at)}"]
    if values := air_values(poll):
        numbers = ",".join(f"{_name(series)}={value!r}" for series, value in values.items())
        lines.insert(0, f"air,{key} {numbers} {int(poll.observed_at)}")
    return lines


def told_line(measurement: str, told: Told) -> str:
    """One line for what a collector tells: numbers as floats, texts quoted; its time in ms."""
    fields = ",".join(
        f"{_name(name)}={_quoted(text(value)) if isinstance(value, str) else repr(number(value))}"
        for name, value in told.fields.items()
    )
    return f"{measurement},collector={_name(told.collector)} {fields} {told.at}"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@lru_cache(maxsize=8192)
def _name(name: str) -> str:
    return name.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")
