"""What was imported into InfluxDB: points that carry, beside `device`, the tag `import`.

Belongs here: what there is of each import. Does not: how queries are sent (`influxql`), which point of a slot is shown
(`influxdb_points`).
"""

from collections.abc import Callable

from air_pipeline.storage.influxql import Series, during
from air_pipeline.storage.store import Summary

_EACH = '"import" != \'\' AND {} GROUP BY device, "import"'


def found(ask: Callable[..., list[list[Series]]], start: int, end: int) -> dict[str, dict[str, Summary]]:
    """What a bucket in which something was imported holds of each import, by device; see `ReadingStore.imports`."""
    which = _EACH.format(during(start, end))
    polls, values = ask(
        f"SELECT count(outcome) AS polls, sum(duration_ms) AS duration_ms FROM poll WHERE {which}",  # noqa: S608
        f"SELECT count(*::field) FROM air WHERE {which}",  # noqa: S608
    )
    counts = {_key(one): sum(n for name, n in one.points[0].items() if name != "time") for one in values}
    there: dict[str, dict[str, Summary]] = {}
    for one in polls:
        device, import_id = _key(one)
        point = one.points[0]
        summary = Summary(point["polls"], float(point["duration_ms"]), counts.get((device, import_id), 0))
        there.setdefault(device, {})[import_id] = summary
    return there


def _key(series: Series) -> tuple[str, str]:
    return series.tags["device"], series.tags["import"]
