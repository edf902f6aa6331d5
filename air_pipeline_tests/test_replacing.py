import os
import threading
from pathlib import Path

import pytest

from air_pipeline.replacing import replace_file


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
