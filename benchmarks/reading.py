"""Reading: opening an archive, built days, a year of dailies, a live day at 1 Hz, the last of a thousand devices.

Each figure is that of whole processes, the least of a few rounds taken in turns with its peer, which reads the same and
does nothing else: the import of pandas and pyarrow, `pandas.read_parquet`, `pyarrow.dataset`, the bare request by
http.client. InfluxDB where there is one to start.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from pathlib import Path

from air_pipeline.deployment import Deployment, open_deployment
from air_pipeline.devices.polls import Poll
from air_pipeline.devices.simulator import Profile
from air_pipeline.devices.simulator.history import polls_between
from air_pipeline.processing.local_time import day_window, epoch_ms
from air_pipeline.settings import InfluxConnection
from air_pipeline.storage.commit import commit_day
from air_pipeline_tests.days.deployments import build
from benchmarks import peers
from benchmarks.machine import load

ROUNDS = 4
ROUNDS_OF_A_MOMENT = 12
"""Of what takes a fifth of a second, of which the machine itself takes a tenth more or less."""
LAST = date(2026, 11, 20)
MANY = 1000
SILENT = MANY // 10
"""So many of them said nothing for days."""
ZONE = "Europe/Warsaw"

POLL = ("outcome", "duration_ms", "http_status", "interval_s", "problems")
"""The fields that every poll has."""
IMPORTS = "import pandas, pyarrow, pyarrow.parquet, pyarrow.dataset"
OURS = f"{IMPORTS}; import air_pipeline.access.frames, air_pipeline.access.day_tables"
"""What is imported before a question is timed; its peer is timed after the imports of its own."""
TIMED = """
import sys, time
{imports}
before = time.process_time(), time.perf_counter()
{question}
spent = time.process_time() - before[0], time.perf_counter() - before[1]
size = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(*spent, int(size) / 1000)
"""
OPENED = "from air_pipeline import open_archive; air = open_archive()"
COMMANDS = ("--help", "latest", "poll", "doctor", "outbox", "notify", "report", "history -h", "flux -h", "init -h")
HTTP = "import http.client, json, os, urllib.parse"
BARE = """
kind, start, end, *asked = sys.argv[1:]
where = f"device = $device AND time >= {start}ms AND time < {end}ms"
server = http.client.HTTPConnection(urllib.parse.urlsplit(os.environ["INFLUXDB_V2_URL"]).netloc)
for points in asked:
    form = {"db": os.environ["INFLUXDB_V2_BUCKET"], "epoch": "ms", "params": json.dumps({"device": "device-0000"}),
            "q": f"SELECT {points} WHERE {where}", "chunked": "false" if kind == "csv" else "true"}
    server.request("POST", "/query", urllib.parse.urlencode(form), {
        "Authorization": "Token " + os.environ["INFLUXDB_V2_TOKEN"], "Accept": "application/" + kind,
        "Content-Type": "application/x-www-form-urlencoded"})
    assert len(server.getresponse().read()) > 1_000_000
"""
# What a day is built from: the polls of one device, then its readings.
FOR_BUILDING = """
polls = deployment.store.polls('device-0000', {0}, {1})
deployment.store.readings('device-0000', {0}, {1}, polls)
"""
# The last point of each device: one request, one query a table.
BARE_LAST = """
form = {"db": os.environ["INFLUXDB_V2_BUCKET"], "epoch": "ms", "q": "; ".join(
    f"SELECT *::field FROM {table} GROUP BY device ORDER BY time DESC LIMIT 1" for table in ("poll", "air"))}
server = http.client.HTTPConnection(urllib.parse.urlsplit(os.environ["INFLUXDB_V2_URL"]).netloc)
server.request("POST", "/query", urllib.parse.urlencode(form), {
    "Authorization": "Token " + os.environ["INFLUXDB_V2_TOKEN"], "Content-Type": "application/x-www-form-urlencoded"})
assert len(json.loads(server.getresponse().read())["results"][0]["series"]) == 1000
"""
BARE_LAST_SQL = """
with sqlite3.connect(os.path.join(os.environ["AIR_PIPELINE_STATE"], "readings.sqlite")) as connection:
    for table in ("poll", "air"):
        last = connection.execute(f"SELECT *, max(observed_at) FROM {table} GROUP BY device").fetchall()
        assert len(last) == 1000
"""
DEPLOYED = "from air_pipeline.deployment import open_deployment; deployment = open_deployment()"
BARE_SQL = """
import os, sqlite3
with sqlite3.connect(os.path.join(os.environ["AIR_PIPELINE_STATE"], "readings.sqlite")) as connection:
    for table in ("poll", "air"):
        pandas.read_sql(f"SELECT * FROM {table} WHERE device = 'device-0000'", connection)
"""


@dataclass(frozen=True, slots=True)
class Spent:
    """The least that a few rounds took; how large the process became, where it said so."""

    cpu_s: float
    wall_s: float
    resident_mb: float = 0.0

    def least(self, other: "Spent") -> "Spent":
        """Of each the least."""
        return Spent(
            min(self.cpu_s, other.cpu_s), min(self.wall_s, other.wall_s), min(self.resident_mb, other.resident_mb)
        )


def main() -> None:
    """Prints a line a question."""
    with tempfile.TemporaryDirectory() as folder:
        day, year, many = (Path(folder) / name for name in ("day", "year", "many"))
        _files(day, devices=3, interval_s=10, days=1)
        _opening(day)
        _commands(day)
        _built_day(day)
        _files(year, devices=3, interval_s=3600, days=365)
        _year(year)
        _day_from_sqlite(Path(folder) / "second")
        _last_of_many(many, "SQLite", None)
        left_out = "the day at 1 Hz and the last of a thousand devices are read from SQLite alone"
        with peers.influxdb(Path(folder) / "influxdb", left_out) as server:
            if server is not None:
                _live_day(Path(folder) / "live", server.connection())
                _last_of_many(Path(folder) / "many-influxdb", "InfluxDB", server.connection())


def _opening(home: Path) -> None:
    opened, imported = _in_turns([_python(OPENED), _python("import pandas, pyarrow")], home)
    loaded = _run(_python(f"{OPENED}; import sys; print('pandas' in sys.modules)"), home)[1].strip()
    _print("open_archive()", opened, "importing pandas and pyarrow", imported, f"pandas loaded: {loaded}")


def _commands(home: Path) -> None:
    commands = [[sys.executable, "-m", "air_pipeline", *command.split()] for command in COMMANDS]
    bare, *spent = _in_turns([_python("import typer"), *commands], home)
    for command, of_command in zip(COMMANDS, spent, strict=True):
        _print(f"air-pipeline {command}", of_command, "Python importing typer", bare)


def _built_day(home: Path) -> None:
    file = home / "data" / "observations" / f"date={LAST}" / "observations.parquet"
    stretch = f"'{LAST}', '{LAST + timedelta(days=1)}'"
    one, every, plain = _in_turns(
        [
            _timed(f"air.observations({stretch}, series='dht22_temperature')", OURS, OPENED),
            _timed(f"air.observations({stretch})", OURS, OPENED),
            _timed(f"pandas.read_parquet({str(file)!r})", IMPORTS),
        ],
        home,
        is_timed_inside=True,
    )
    _print("one series of a built day of three devices at 10 s", one, "pandas.read_parquet of all", plain)
    _print("all series of it", every, "pandas.read_parquet of all", plain)


def _year(home: Path) -> None:
    stretch = f"'{LAST - timedelta(days=364)}', '{LAST + timedelta(days=1)}'"
    folder = str(home / "data" / "daily_aggregates")
    read = f"pyarrow.dataset.dataset({folder!r}, partitioning='hive').to_table().to_pandas()"
    ours, plain = _in_turns(
        [_timed(f"air.daily({stretch})", OURS, OPENED), _timed(read, IMPORTS)], home, is_timed_inside=True
    )
    _print("a year of dailies of three devices", ours, "pyarrow.dataset, the same files", plain)


def _live_day(home: Path, connection: InfluxConnection) -> None:
    deployment = _deployment(home, devices=1, interval_s=1, start=LAST, connection=connection)
    _seed(deployment, [LAST])
    device = deployment.settings.devices[0]
    start, end = map(epoch_ms, day_window(LAST, device.zone))
    names = ", ".join(f'"{name}"' for name in sorted(deployment.store.stated(device.id, start, end)))
    span, values, polls = [str(start), str(end)], f"{names} FROM air", f"{', '.join(POLL)} FROM poll"
    packed, csv = ([*_timed(BARE, HTTP), kind, *span] for kind in ("x-msgpack", "csv"))
    # Who builds reads device after device: what a process does for the first time only is not timed, on either side.
    again, csv_again = ([*_timed(BARE, HTTP, BARE), kind, *span] for kind in ("x-msgpack", "csv"))
    stretch = f"'{LAST}', '{LAST + timedelta(days=1)}'"
    imports = "import air_pipeline.access.frames, air_pipeline.storage.influxdb, air_pipeline.storage.influxdb_points"
    for_building = FOR_BUILDING.format(*span)
    ours, bare, of_csv, building, both, both_of_csv = _in_turns(
        [
            _timed(f"air.history({stretch})", imports, OPENED),
            [*packed, values],
            [*csv, values],
            _timed(for_building, imports, DEPLOYED + for_building),
            [*again, polls, values],
            [*csv_again, polls, values],
        ],
        home,
        connection,
        is_timed_inside=True,
        rounds=ROUNDS_OF_A_MOMENT,
    )
    for what, it, peer, second in (
        ("a device-day at 1 Hz from InfluxDB", ours, bare, of_csv),
        ("… with its polls, device after device, as days are built", building, both, both_of_csv),
    ):
        beside = f"{it.wall_s / second.wall_s:.2f} × what it takes as CSV, {second.wall_s:.3f} s"
        _print(what, it, "the bare request of the same, in MessagePack", peer, beside, by="wall_s")


def _day_from_sqlite(home: Path) -> None:
    deployment = _deployment(home, devices=1, interval_s=1, start=LAST)
    _seed(deployment, [LAST])
    span = map(epoch_ms, day_window(LAST, deployment.settings.devices[0].zone))
    imports = "import air_pipeline.storage.frames, air_pipeline.storage.sqlite"
    ours, plain = _in_turns(
        [_timed(FOR_BUILDING.format(*span), imports, DEPLOYED), _timed(BARE_SQL, IMPORTS)], home, is_timed_inside=True
    )
    _print("a device-day at 1 Hz with its polls from SQLite", ours, "pandas.read_sql of the same", plain)


def _last_of_many(home: Path, store: str, connection: InfluxConnection | None) -> None:
    deployment = _deployment(home, devices=MANY, interval_s=60, start=date(2026, 1, 1), connection=connection)
    now = time.time_ns() // 60_000_000_000 * 60_000
    for number, device in enumerate(deployment.settings.devices):
        until = now - (3 * 86_400_000 if number < SILENT else 0)
        deployment.store.write(list(polls_between(device, Profile(device.id), until - 1_800_000, until)))
    imports = f"import air_pipeline.access.frames, air_pipeline.storage.{'influxdb' if connection else 'sqlite'}"
    question = _timed(f"assert len(air.latest()) == {MANY}", imports, OPENED)
    peer = _timed(BARE_LAST, HTTP) if connection else _timed(BARE_LAST_SQL, "import os, sqlite3")
    asked, bare = _in_turns([question, peer], home, connection, is_timed_inside=True)
    [command] = _in_turns([[sys.executable, "-m", "air_pipeline", "latest", "--json"]], home, connection)
    what = f"latest of {MANY} devices on {store}, {SILENT} of them silent for days"
    also = f"the command, settings of {MANY} devices included, {command.wall_s:.2f} s ({command.cpu_s:.2f} s CPU)"
    _print(what, asked, "the bare question for the last of each", bare, also, by="wall_s")


def _files(home: Path, devices: int, interval_s: int, days: int) -> None:
    """A deployment with built days, the last of them `LAST`."""
    dates = [LAST - timedelta(days=number) for number in reversed(range(days))]
    deployment = _deployment(home, devices, interval_s, start=dates[0])
    _seed(deployment, dates)
    for day in dates:
        build(deployment, day)
        assert not commit_day(deployment.data, day)
    deployment.store.close()


def _deployment(
    home: Path, devices: int, interval_s: int, start: date, connection: InfluxConnection | None = None
) -> Deployment:
    home.mkdir()
    lines = [f"timezone: {ZONE}", f"start: {start}", f"interval: {interval_s}s", "devices:"]
    lines += [f"  - {{id: device-{n:04}, url: 'http://127.0.0.1:1/{n}'}}" for n in range(devices)]
    (home / "devices.yaml").write_text("\n".join(lines), encoding="utf-8")
    os.environ.update(_variables(home, connection))
    return open_deployment()


def _seed(deployment: Deployment, days: Sequence[date]) -> None:
    for device in deployment.settings.devices:
        first, last = (day_window(day, device.zone)[place] for place, day in enumerate((days[0], days[-1])))
        for polls in _batches(polls_between(device, Profile(device.id), epoch_ms(first), epoch_ms(last))):
            deployment.store.write(polls)


def _batches(polls: Iterator[Poll]) -> Iterator[list[Poll]]:
    while batch := list(islice(polls, 2_500)):
        yield batch


def _variables(home: Path, connection: InfluxConnection | None) -> Mapping[str, str]:
    given = {"AIR_PIPELINE_CONFIG": str(home / "devices.yaml"), "AIR_PIPELINE_STATE": str(home)}
    if connection is not None:
        for name in ("url", "token", "org", "bucket"):
            given[f"INFLUXDB_V2_{name.upper()}"] = getattr(connection, name)
    return given


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def _timed(question: str, imports: str, before: str = "") -> list[str]:
    """A process that says how long the question took it, imports and opening not counted."""
    return _python(TIMED.format(imports=f"{imports}\n{before}", question=question))


def _in_turns(
    commands: Sequence[Sequence[str]],
    home: Path,
    connection: InfluxConnection | None = None,
    *,
    is_timed_inside: bool = False,
    rounds: int = ROUNDS,
) -> list[Spent]:
    """The least that each took, in rounds: what else this machine does meets all of them."""
    least: list[Spent | None] = [None] * len(commands)
    for _ in range(rounds):
        for place, command in enumerate(commands):
            spent, said = _run(command, home, connection)
            if is_timed_inside:
                spent = Spent(*map(float, said.split()))
            before = least[place]
            least[place] = spent if before is None else before.least(spent)
    return [spent for spent in least if spent is not None]


def _run(command: Sequence[str], home: Path, connection: InfluxConnection | None = None) -> tuple[Spent, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("INFLUXDB_V2_")}
    before = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=home,
        env={**inherited, **_variables(home, connection)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout
        said = process.stdout.read()
        _, _, used = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - before
        process.returncode = 0
    return Spent(used.ru_utime + used.ru_stime, wall_s), said


def _print(what: str, ours: Spent, peer: str, beside: Spent, also: str = "", *, by: str = "cpu_s") -> None:
    ratio = getattr(ours, by) / getattr(beside, by)
    size = f", {ours.resident_mb:.0f} MB" if ours.resident_mb else ""
    took = f"{ours.cpu_s:.3f} s CPU, {ours.wall_s:.3f} s{size}"
    plain = f"{peer}, {beside.cpu_s:.3f} s CPU, {beside.wall_s:.3f} s"
    print(f"{what}: {took} ({ratio:.2f} × {plain}){'; ' if also else ''}{also}; {load()}", flush=True)
