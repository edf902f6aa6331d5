"""A range of days by worker processes, and the command `build` around it."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from multiprocessing import active_children

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from air_pipeline.definitions import day_jobs
from air_pipeline.instance.day_builder import DayJobs
from air_pipeline.instance.ranges import FEW_DAYS, MOST_DAYS, build_range, shares
from air_pipeline.instance.runs_of_days import DAYS_TAG, days_of, days_to_text, under_way
from air_pipeline.processing.columns import TABLES
from air_pipeline.storage.day_files import built_days, day_file
from air_pipeline.storage.pages import PAGE
from air_pipeline_tests.assets.small_deployments import deployment_in, seed, small_device
from air_pipeline_tests.cli.in_this_process import in_this_process
from air_pipeline_tests.collection.disks import fill, small_disk
from air_pipeline_tests.running_pipeline import workers_of
from air_pipeline_tests.waiting import wait_for

DAYS = [date(2026, 3, number) for number in (1, 2, 3)]


@pytest.fixture
def deployment(tmp_path, monkeypatch):
    """A deployment that the environment names."""
    deployment = deployment_in(tmp_path, small_device("hall"))
    monkeypatch.chdir(tmp_path)
    for name, value in deployment.environment.variables().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DAGSTER_HOME", "")
    return deployment


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs `air-pipeline build` in this process: exit status and what it said."""

    def run(*arguments):
        status, _, said = in_this_process(monkeypatch, capsys, "build", *arguments)
        return status, said

    return run


def spoil(deployment, day):
    """Makes it impossible to write a day."""
    path = deployment.data / "observations" / f"date={day}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("in the way")


def test_days_that_failed_are_told_though_the_store_is_away_by_then(deployment, command, monkeypatch):
    seed(deployment, *DAYS)
    deployment.store.close()
    assert command("--from", DAYS[0], "--to", DAYS[0])[0] == 0
    table = day_file(deployment.data, "daily_aggregates", DAYS[0]).path
    table.unlink()  # so that it is built again, and what it holds is known

    def ended(_home, days, **_how):
        deployment.environment.state.readings.write_bytes(b"nothing of ours" * 1000)
        return dict.fromkeys(days, "its worker was ended")

    monkeypatch.setattr("air_pipeline.cli.build.build_days", ended)
    status, said = command("--from", DAYS[0], "--to", DAYS[2])
    assert status == 1
    assert said.splitlines()[-4:] == [*(f"{day}: its worker was ended" for day in DAYS), "0 of 3 days built"]


@pytest.mark.slow
def test_a_day_that_fails_among_good_ones_fails_alone(deployment, tmp_path):
    seed(deployment, *DAYS)
    spoil(deployment, DAYS[1])
    home = tmp_path / "home"
    home.mkdir()
    not_over = datetime.now(UTC).date() + timedelta(days=2)
    outcomes = dict(build_range(home, [*DAYS, not_over], day_jobs, force=False, workers=2))
    assert (outcomes[DAYS[0]], outcomes[DAYS[2]]) == ("", "")
    assert outcomes[DAYS[1]].startswith("observations of 2026-03-02 cannot be written (")
    assert not_over.isoformat() in outcomes[not_over]
    assert built_days(deployment.data, "daily_aggregates") == [DAYS[0], DAYS[2]]
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for table in (*TABLES, PAGE):
            assert instance.get_materialized_partitions(dg.AssetKey(table)) == {"2026-03-01", "2026-03-03"}
        runs = [
            (run.tags.get("dagster/partition"), run.tags.get(DAYS_TAG), run.status.value) for run in instance.get_runs()
        ]
    assert ("2026-03-02", None, "FAILURE") in runs  # built once more by a run of its own, which says why
    of_many = [(days, status) for partition, days, status in runs if partition is None]
    assert ("2026-03-01", "SUCCESS") in of_many
    assert len(runs) == len(of_many) + 1


def test_no_days_are_built_at_once(tmp_path):
    assert list(build_range(tmp_path / "nowhere", [], day_jobs, force=False)) == []
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.slow
def test_a_few_days_are_built_in_this_process_and_more_beside_it(deployment, tmp_path):
    seed(deployment, *DAYS)
    (tmp_path / "home").mkdir()
    assert list(build_range(tmp_path / "home", DAYS, day_jobs, force=False)) == [(day, "") for day in DAYS]
    assert active_children() == []
    more = [DAYS[0] + timedelta(days=number) for number in range(FEW_DAYS + 1)]
    outcomes = build_range(tmp_path / "home", more, day_jobs, force=False)
    assert next(outcomes)[1] == ""
    assert active_children() != []
    outcomes.close()


def job_with(step, end):
    """A job of one step, and of what is done after its last step."""

    @dg.resource
    def ending(_):
        yield
        end()

    @dg.op(required_resource_keys={"ending"})
    def only():
        step()

    @dg.job(partitions_def=dg.DailyPartitionsDefinition(start_date="2026-03-01"), resource_defs={"ending": ending})
    def build_day():
        only()

    return build_day


def nothing():
    """Does nothing."""


@pytest.mark.parametrize("when", [0, 1], ids=["in a step", "after the last step"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_interrupts_wants_no_more_days(tmp_path, when, number):
    """Dagster makes an interrupt the failure of one step, or loses it between steps; it is the end of all days."""
    done = [lambda: signal.raise_signal(number), nothing]
    job, former = job_with(done[when], done[1 - when]), signal.getsignal(number)
    outcomes = build_range(tmp_path, DAYS, lambda _: DayJobs(job, job), force=False)
    with pytest.raises(KeyboardInterrupt):
        next(outcomes)
    signal.signal(number, former)  # which Dagster changes
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert [run.tags["dagster/partition"] for run in instance.get_runs()] == ["2026-03-01"]


@contextmanager
def building(*options):
    """`air-pipeline build` in a process of its own, once it has workers."""
    command = [sys.executable, "-m", "air_pipeline", "build", "--workers", "2", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        try:
            yield process, wait_for(lambda: len(found := workers_of(process.pid)) == 2 and found, "two workers")
        finally:
            process.kill()


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_its_days_and_the_next_build_ends_its_work(deployment):
    """The other worker goes on; the run of the one that is gone is given up, and its days are built."""
    days = [DAYS[0] + timedelta(days=number) for number in range(6)]
    seed(deployment, *days)
    until = ("--to", days[-1].isoformat())
    with building(*until) as (process, workers):
        wait_for(lambda: list(deployment.data.rglob("built.json")) or process.poll() is not None, "a day")
        workers[0].kill()
        _, said = process.communicate()
    assert process.returncode == 1
    assert "Traceback" not in said
    lost = [line for line in said.splitlines() if "not built, as a worker process was ended from outside" in line]
    assert 0 < len(lost) <= len(days) // 2
    assert f"{len(days) - len(lost)} of {len(days)} days built" in said
    again = subprocess.run(
        [sys.executable, "-m", "air_pipeline", "build", *until], capture_output=True, text=True, check=False
    )
    assert again.returncode == 0
    assert f"{len(lost)} of {len(lost)} days built" in again.stderr
    with dg.DagsterInstance.from_config(str(deployment.environment.state.dagster)) as instance:
        assert instance.get_materialized_partitions(dg.AssetKey(PAGE)) == set(map(str, days))
        assert under_way(instance) == set()


@pytest.mark.slow
def test_a_full_disk_under_dagsters_storage_is_told_in_a_sentence(deployment, command):
    """Whether it is to be made there, or to hear of a day."""
    seed(deployment, *DAYS)
    home = deployment.environment.state.dagster
    home.mkdir(parents=True)
    with small_disk(home, megabytes=16) as disk:
        for day in DAYS[:2]:
            filler = fill(disk, 100_000)
            status, said = command("--to", day.isoformat())
            assert status == 1
            assert "Dagster's storage" in said
            assert "see to space and rights there" in said
            filler.unlink()
            assert command("--to", day.isoformat())[0] == 0
    assert built_days(deployment.data, "daily_aggregates") == DAYS[:2]


class Killed:
    """Who is killed before he can tell of a day."""

    def ended(self, day, said):
        os.kill(os.getpid(), signal.SIGKILL)

    def goes_on(self):
        return True


def jobs_of_who_is_killed(_):
    return day_jobs(Killed())


def test_a_day_that_was_built_is_said_to_be_though_its_worker_could_not_tell(deployment, command, monkeypatch):
    seed(deployment, *DAYS)
    monkeypatch.setattr("air_pipeline.definitions.day_jobs", jobs_of_who_is_killed)
    status, said = command("--to", DAYS[1].isoformat(), "--workers", "1")
    assert status == 1
    assert built_days(deployment.data, "daily_aggregates") == [DAYS[0]]
    assert "1 of 2 days built" in said
    assert [line[:10] for line in said.splitlines() if "was ended from outside" in line] == [DAYS[1].isoformat()]


@pytest.mark.slow
@pytest.mark.parametrize("at_their_start", [True, False])
def test_workers_end_with_their_parent(deployment, at_their_start):
    """However it ends: a build that was ended by a signal goes on in no corner of the machine."""
    seed(deployment, *DAYS)
    with building() as (process, workers):
        if not at_their_start:
            wait_for(lambda: list(deployment.data.rglob("*.partial*")) or process.poll() is not None, "a day under way")
        process.send_signal(signal.SIGTERM)
        process.wait()
        wait_for(lambda: not any(worker.is_running() for worker in workers), "the end of the workers")


@pytest.mark.slow
def test_a_second_ctrl_c_ends_the_days_under_way_too(deployment):
    """The first one lets them come to their end."""
    seed(deployment, *DAYS)
    with building() as (process, workers):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode != 0
    assert "Traceback" not in said
    wait_for(lambda: not any(worker.is_running() for worker in workers), "the end of the workers")


def test_who_only_plans_loads_no_dagster(deployment, command):
    """`build` without anything to build is done before Dagster would be loaded."""
    program = (
        "import sys\nfrom air_pipeline.cli import main\nsys.argv = ['air-pipeline', 'build', '--to', '2026-03-01']\n"
    )
    program += "try:\n    main()\nfinally:\n    print([name for name in ('dagster', 'pandera') if name in sys.modules])"
    seed(deployment, DAYS[0])
    assert command("--to", "2026-03-01") == (0, "1 of 1 days built\n")
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
    assert "0 of 0 days built" in ran.stderr


def test_the_command_builds_what_is_missing_and_says_what_was_done(deployment, command):
    seed(deployment, *DAYS)
    spoil(deployment, DAYS[2])
    status, said = command("--to", "2026-03-03", "--workers", "1")
    assert status == 1
    failed, last = said.splitlines()  # no terminal, no progress
    assert failed.startswith("2026-03-03: observations of 2026-03-03 cannot be written (")
    assert last == "2 of 3 days built"
    assert command("--to", "2026-03-02") == (0, "2 days are current\n0 of 0 days built\n")
    with closing(sqlite3.connect(deployment.environment.state.readings)) as store, store:
        store.execute("DELETE FROM poll WHERE observed_at = (SELECT min(observed_at) FROM poll)")
    status, said = command("--to", "2026-03-01")
    assert status == 1
    assert "was built from 24 polls and the store now holds 23;" in said
    assert command("--to", "2026-03-01", "--force", "--workers", "1") == (0, "1 of 1 days built\n")
    home = deployment.environment.state.dagster
    assert os.environ["DAGSTER_HOME"] == str(home)  # workers find it there
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert instance.get_materialized_partitions(dg.AssetKey("daily_aggregates")) == {"2026-03-01", "2026-03-02"}


def test_the_command_refuses_a_day_that_is_not_over_with_its_time(deployment, command):
    today = datetime.now(UTC).astimezone(deployment.settings.zone).date()
    status, said = command("--from", today.isoformat(), "--to", today.isoformat())
    assert status == 1
    assert said.startswith(f"{today} is not over yet: it can be built from {today + timedelta(days=1)} 00:15+")


@pytest.mark.parametrize(
    "arguments", [("--from", "soon"), ("--from", "2026-03-03", "--to", "2026-03-01"), ("--days", "3")]
)
def test_wrong_use_of_the_command_is_status_2(deployment, command, arguments):
    assert command(*arguments)[0] == 2


def test_a_mistake_in_the_settings_is_status_2_and_its_place(deployment, command):
    deployment.environment.config.write_text("timezone: Europe/Warsaw\nstrat: 2026-03-01\n")
    status, said = command()
    assert status == 2
    assert f"{deployment.environment.config}:2: " in said
    assert "Traceback" not in said


@given(st.sets(st.dates(date(2025, 1, 1), date(2026, 12, 31))))
def test_days_are_the_same_after_they_were_a_tag(days):
    run = dg.DagsterRun("build_range", tags={DAYS_TAG: days_to_text(days)})
    assert days_of(run) == days


@given(st.integers(0, 800), st.integers(1, 9))
def test_the_days_of_a_range_are_shared_alike_and_no_run_has_more_than_a_month(number, processes):
    days = [date(2025, 1, 1) + timedelta(days=place) for place in range(number)]
    found = list(shares(days, processes))
    assert [day for share in found for day in share] == days
    assert all(0 < len(share) <= MOST_DAYS for share in found)
    if number >= processes:
        assert len(found) % processes == 0
        assert max(map(len, found)) - min(map(len, found)) <= 1
