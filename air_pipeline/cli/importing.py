"""The command `import`: the history that somebody brings."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from air_pipeline.cli.display import bar_if_long, show_table
from air_pipeline.cli.options import ConfigOption, JsonOption, use_config
from air_pipeline.cli.terminal import say, show_json, utc_text
from air_pipeline.days.imports import known_imports
from air_pipeline.deployment import Deployment, open_deployment
from air_pipeline.importing.mapping import presets, read_meaning
from air_pipeline.importing.planning import COVERED, Plan, check_start, history_of, plan_import
from air_pipeline.importing.rows import Notes
from air_pipeline.importing.sources import read_source
from air_pipeline.importing.writing import held_of, undo_import, write_import
from air_pipeline.processing.local_time import epoch_ms, from_epoch_ms
from air_pipeline.settings import ALWAYS, NEVER, SettingsError
from air_pipeline.storage.copying import span_of
from air_pipeline.times import interval, local_text
from air_pipeline.words import some

_EARLIEST = "1900-01-01"
_MOST_GAPS = 5
_MOST_INTERVALS = 4


def import_(
    files: Annotated[
        list[Path] | None, typer.Argument(help="CSV or Parquet files, or a database of Home Assistant.")
    ] = None,
    meaning: Annotated[
        str | None,
        typer.Option("--as", help=f"What columns mean: a YAML file, or {', '.join(presets())}.", show_default=False),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Whose history it is.", show_default="the mapping's device")
    ] = None,
    bucket: Annotated[
        str | None, typer.Option(help="A bucket of InfluxDB instead of files.", show_default=False)
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Only from this time.", show_default="the first row")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Only up to this time.", show_default="the last")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; else it is only said what would be done.")] = False,
    replace: Annotated[
        str | None,
        typer.Option("--replace", help="Take this import back, and put this one in its place."),
    ] = None,
    undo: Annotated[str | None, typer.Option("--undo", help="Take this import back, and import nothing.")] = None,
    show: Annotated[bool, typer.Option("--list", help="Show what was imported.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Import the history of a device from files or a bucket of others: without --yes, only what would come is said.

    Our own polls stay before what is imported. What collects may run. Interrupted, start it again.

    Example: air-pipeline import 2025.csv --as mapping.yaml --device living-room
    """
    use_config(config)
    deployment = open_deployment()
    with closing(deployment.store):
        if show:
            _list(deployment, as_json=as_json)
        elif undo is not None:
            _undo(deployment, undo, yes=yes)
        else:
            if meaning is None:
                raise SettingsError(f"say with --as what columns mean: a YAML file, or {', '.join(presets())}")
            _import(deployment, files or [], meaning, device, bucket, (start, end), replace, yes=yes)


def _import(
    deployment: Deployment,
    files: list[Path],
    which: str,
    device: str | None,
    bucket: str | None,
    part: tuple[str | None, str | None],
    replace: str | None,
    *,
    yes: bool,
) -> None:
    said = read_meaning(which)
    name = device or said.said.device
    if name is None:
        raise SettingsError("say with --device whose history it is")
    known = deployment.settings.known.get(name)
    now = datetime.now(UTC)
    span = (ALWAYS, NEVER)
    if part != (None, None):
        zone = known.zone if known else deployment.settings.zone
        span = tuple(map(epoch_ms, interval(part[0] or _EARLIEST, part[1], zone, now)))  # type: ignore[assignment]
    with bar_if_long("reading") as progress:
        rows, notes, said, source = read_source(said, files, bucket, deployment.environment, span, progress)
    history = history_of(deployment, name, said, rows, source)
    ignoring = () if replace is None else (replace,)
    plan = plan_import(deployment.store, history, notes, now=epoch_ms(now), span=span, ignoring=ignoring)
    _say_plan(plan, notes)
    if not len(plan.aligned):
        say("nothing is left to import")
        return
    check_start(deployment, plan)
    if not yes:
        say("nothing was changed; to do it, add --yes")
        return
    if replace is not None:
        say(f"{undo_import(deployment, replace)} polls of import {replace} are taken back")
        plan = plan_import(deployment.store, history, Notes(), now=epoch_ms(now), span=span)
    written = 0
    with bar_if_long("writing days") as progress:
        for done, day in enumerate(write_import(deployment, plan), start=1):
            written += day.written
            progress(done, done + day.left)
    first, last = plan.days
    was_there = "" if written else " (all of it was there already)"
    say(f"imported as {plan.import_id}{was_there}; its days are built by themselves while air-pipeline up runs; now:")
    say(f"air-pipeline build --from {first} --to {last}")
    say(f"to take it back: air-pipeline import --undo {plan.import_id} --yes")


def _say_plan(plan: Plan, notes: Notes) -> None:
    aligned, zone = plan.aligned, plan.device.zone
    say(f"{plan.history.source} → {plan.device.id}, as import {plan.import_id}")
    if len(aligned):
        values = sum(int((column == column).sum()) for column in aligned.series.values())  # noqa: PLR0124 -- not NaN
        first, last = (local_text(from_epoch_ms(at), zone) for at in plan.span)
        stretches = len(aligned.stretches())
        say(f"  {notes.rows} rows → {len(aligned)} polls with {values} values, {first} to {last} ({zone.key})")
        say(f"  series: {', '.join(f'{one.series} ({one.unit})' for one in plan.history.parameters)}")
        intervals = sorted({*aligned.interval_ms.tolist()})
        every = some([f"{one / 1000:g} s" for one in intervals], _MOST_INTERVALS)
        missing = aligned.missing()
        say(f"  every {every}, in {stretches} stretch{'es' if stretches > 1 else ''} with {missing} missed slots")
        gaps = aligned.gaps()
        texts = [" to ".join(local_text(from_epoch_ms(at), zone) for at in gap) for gap in gaps]
        if gaps:
            say(f"  {len(gaps)} gap{'s' if len(gaps) > 1 else ''} of more than an hour: {some(texts, _MOST_GAPS)}")
    for sentence in notes.sentences():
        say(f"  {sentence}")
    if others := notes.examples.get(COVERED):
        say(f"  to have both there, import all files at once, by one mapping, with --replace {others[0].split()[1]}")


def _undo(deployment: Deployment, import_id: str, *, yes: bool) -> None:
    if not yes:
        held = held_of(deployment, import_id)
        polls = sum(one.polls for one in held.values())
        say(f"{polls} polls of import {import_id} of {', '.join(held) or 'no device'} would be deleted")
        say("nothing was changed; to do it, add --yes")
        return
    if polls := undo_import(deployment, import_id):
        say(f"{polls} polls of import {import_id} are taken back; its days are built again")
    else:
        say(f"import {import_id} was taken back before: nothing of it is there")


def _list(deployment: Deployment, *, as_json: bool) -> None:
    span = span_of(deployment.store)
    held = deployment.store.imports(*span) if span else {}
    counts = {name: (device, one) for device, imports in held.items() for name, one in imports.items()}
    rows = []
    for one in known_imports(deployment.environment.state).values():
        there = counts.pop(one.id, None)
        polls = there[1].polls if there else 0
        rows.append((one.id, one.device, one.stage.value, utc_text(one.start), utc_text(one.end), polls, one.source))
    rows += [(name, device, "", "", "", one.polls, "") for name, (device, one) in sorted(counts.items())]
    columns = ("import", "device", "stage", "from", "to", "polls", "source")
    if as_json:
        show_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif rows:
        show_table(
            columns,
            [(*row[:3], *(at[:10] for at in row[3:5]), *row[5:]) for row in rows],
        )
    else:
        say("nothing was imported")
