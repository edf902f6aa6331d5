"""What a device answers at first contact is a text in a line of ours, whatever is in it."""

from air_pipeline_tests.cli.shell import Shell
from air_pipeline_tests.devices.raw_server import answering, http


def test_a_name_of_a_device_writes_no_line_of_its_own(shell: Shell) -> None:
    said = rb'{"sensordatavalues":[{"value_type":"X\u001b[2J\nall is well: devices.yaml is written","value":"1"}]}'
    with answering(http(said)) as server:
        ran = shell("init", server.url, "--timezone", "UTC")
    assert ran.status == 1
    assert r"what airrohr.X\x1b[2J\x0aall is well: devices.yaml is written measures is not known" in ran.err
    assert not [line for line in ran.err.splitlines() if line.startswith("all is well")]
