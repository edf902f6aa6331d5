import os
import stat
import threading
from pathlib import Path

import pytest

from air_pipeline.replacing import put_in_place, replace_file, staged_file


def test_a_file_is_replaced_whole_by_many_threads_at_once(tmp_path):
    path = tmp_path / "state" / "small"
    texts = [letter * 10_000 for letter in "abcd"]
    failures = []

    def write(text):
        try:
            for _ in range(50):
                replace_file(path, text)
                assert path.read_text(encoding="utf-8") in texts
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert list(path.parent.iterdir()) == [path]


def test_nothing_is_left_of_a_file_that_could_not_be_replaced(tmp_path):
    (tmp_path / "small").mkdir()
    with pytest.raises(OSError, match="small"):
        replace_file(tmp_path / "small", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_what_a_killed_writer_left_goes_with_the_next_one(tmp_path):
    leftover = tmp_path / ".small.0123.partial"
    leftover.write_text("half")
    replace_file(tmp_path / "small", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """After a power cut there is the old file or the new one, never an empty one."""
    steps = []
    fsync, rename = os.fsync, os.replace
    monkeypatch.setattr(
        os,
        "fsync",
        lambda descriptor: (steps.append(str(Path(f"/proc/self/fd/{descriptor}").readlink())), fsync(descriptor)),
    )
    monkeypatch.setattr("pathlib.os.replace", lambda one, other: (steps.append("named"), rename(one, other)))
    replace_file(tmp_path / "small", "text")
    first, second, third = steps
    assert first.endswith(".partial")
    assert (second, third) == ("named", str(tmp_path))


@pytest.mark.parametrize(("rights", "of_directories", "of_files"), [
    (0o755, 0o755, 0o644),
    (0o2770, 0o2770, 0o660),
    (0o700, 0o700, 0o600),
    (0o777, 0o775, 0o664),
])  # fmt: skip
def test_what_is_published_has_the_rights_of_the_directory_of_the_data_whatever_the_umask(
    tmp_path, rights, of_directories, of_files
):
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(rights)
    before = os.umask(0o077)
    try:
        target = data / "observations" / "date=2026-11-26" / "observations.parquet"
        with staged_file(target, like=data) as (partial, _):
            put_in_place(partial, target)
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (target.parents[1], target.parent, target)] == [
        of_directories, of_directories, of_files
    ]  # fmt: skip


def test_a_directory_of_data_that_is_not_there_is_made_as_the_umask_says(tmp_path):
    target = tmp_path / "data" / "observations" / "date=2026-11-26" / "observations.parquet"
    before = os.umask(0o027)
    try:
        with staged_file(target, like=tmp_path / "data"):
            assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o750
    finally:
        os.umask(before)
