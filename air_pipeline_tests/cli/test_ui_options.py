"""Where the UI may not be, or cannot be, `up`, `ui` and `demo` say so in a sentence and start nothing."""

import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from air_pipeline_tests.cli.in_this_process import in_this_process
from air_pipeline_tests.running_pipeline import today

Ran = tuple[int, str, str]
EVERYWHERE = "0.0.0.0"  # noqa: S104 - what is tried is that nobody listens there
with_a_ui = pytest.mark.parametrize("command", ["up", "ui", "demo"])


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs a command of somebody who has a valid `devices.yaml`, in its folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "devices.yaml").write_text(
        f"timezone: Europe/Warsaw\nstart: {today()}\ndevices:\n  - {{id: attic, url: http://127.0.0.1:9/}}\n"
    )
    return lambda *arguments: in_this_process(monkeypatch, capsys, *arguments)


@with_a_ui
def test_an_address_that_others_reach_needs_a_proxy(command: str, run: Callable[..., Ran], tmp_path: Path) -> None:
    for host in (EVERYWHERE, "::", "192.168.1.5"):
        status, _, said = run(command, "--host", host, "--port", 3456)
        assert status == 2
        assert said.startswith(f"the UI has no login, so it is not offered at {host}.")
        assert f"ssh -L 3456:127.0.0.1:3456 {socket.gethostname()}" in said
        assert "--behind-proxy" in said
    assert [path.name for path in tmp_path.iterdir()] == ["devices.yaml"]


@with_a_ui
def test_a_proxy_s_name_is_a_name_also_in_the_environment(
    command: str, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, _, said = run(command, "--behind-proxy", "https://air.example.org")
    assert (status, "'https://air.example.org' is no name of a host" in said) == (2, True)
    monkeypatch.setenv("AIR_PIPELINE_BEHIND_PROXY", "air.example.org other.example:443")
    status, _, said = run(command)
    assert (status, "'other.example:443' is no name of a host" in said) == (2, True)


@with_a_ui
def test_a_port_that_is_none_is_refused(command: str, run: Callable[..., Ran]) -> None:
    for port in ("0", "65536", "http"):
        status, _, said = run(command, "--port", port)
        assert status == 2
        assert "Invalid value for '--port'" in said
        assert "Traceback" not in said


@pytest.mark.parametrize("command", ["up", "ui"])  # the demo takes the next one
@pytest.mark.parametrize("taken_at", ["127.0.0.1", EVERYWHERE])
def test_a_port_that_another_program_has_is_named(command: str, run: Callable[..., Ran], taken_at: str) -> None:
    with closing(socket.create_server((taken_at, 0))) as another:
        port = another.getsockname()[1]
        status, _, said = run(command, "--port", port)
    assert (status, said) == (1, f"port {port} of 127.0.0.1 is taken; choose another with --port\n")


@with_a_ui
def test_an_address_that_is_not_this_machine_s_is_named(command: str, run: Callable[..., Ran]) -> None:
    status, _, said = run(command, "--host", "192.0.2.1", "--behind-proxy", "air.example.org")
    assert status == 1
    assert said.startswith("the UI cannot listen at port 3000 of 192.0.2.1: ")
