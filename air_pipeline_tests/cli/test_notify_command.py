"""The command `notify` as a user sees it."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from air_pipeline.notifying.deciding import Sight
from air_pipeline.notifying.sending import channels
from air_pipeline.notifying.telling import tell
from air_pipeline.settings.file import read_settings
from air_pipeline.state import StateDirectory
from air_pipeline_tests.assets.small_deployments import place_in, small_device, write_settings
from air_pipeline_tests.cli.in_this_process import in_this_process
from air_pipeline_tests.notifying.findings import unwell
from air_pipeline_tests.notifying.receivers import Hook, Post, mail_server


@pytest.fixture
def notify(tmp_path, monkeypatch, capsys):
    """Runs the command with some `notify`: its exit status, what it said, what it complained of."""

    def run(rules, *arguments):
        write_settings(tmp_path / "devices.yaml", [small_device("hall")], **({"notify": rules} if rules else {}))
        for name, value in place_in(tmp_path).variables().items():
            monkeypatch.setenv(name, value)
        return in_this_process(monkeypatch, capsys, "notify", *arguments)

    return run


def test_a_test_message_goes_to_everybody_and_it_says_what_became_of_each(notify):
    post = Post()
    with Hook() as hook, mail_server(post) as port:
        email = {"to": "me@example.org", "from": "air@example.org", "server": f"plain://127.0.0.1:{port}"}
        said = notify({"webhook": hook.url(), "email": email}, "--test")
    host = f"127.0.0.1:{hook.server.server_port}"
    assert said == (0, f"webhook {host}: status 200\nmail by 127.0.0.1: taken\n", "")
    assert [body["kind"] for body in hook.bodies] == ["test"]
    assert post.mails[0]["Subject"] == "air: a test"


def test_whoever_was_not_reached_is_told_and_the_others_are_all_the_same(notify):
    with Hook(500) as broken, Hook() as hook:
        status, out, error = notify({"webhook": [broken.url(), hook.url()]}, "--test")
    assert status == 1
    assert out.endswith("status 200\n")
    assert "answered 500; see that the address is right" in error
    assert len(hook.bodies) == 1


def test_with_nobody_to_tell_it_says_what_to_add(notify):
    status, out, error = notify(None, "--test")
    assert (status, out) == (2, "")
    assert "names nobody to tell; add notify: {webhook: https://example.org/hook}" in error
    status, out, error = notify(None)
    assert (status, error) == (0, "")  # to nobody is an answer to the question who is told
    assert "names nobody to tell; add notify: {webhook: https://example.org/hook}" in out


def test_it_shows_what_waits_and_why_and_sends_nothing(notify, tmp_path):
    with Hook(500) as hook:
        rules = {"webhook": hook.url(), "wait": "0s"}
        assert notify(rules) == (0, f"webhook 127.0.0.1:{hook.server.server_port}: 0 messages wait\n", "")
        settings = read_settings(tmp_path / "devices.yaml").notify
        sight = Sight({("devices_reporting", "hall"): unwell("timeout", subject="hall")})
        now = datetime.now(UTC) - timedelta(minutes=1)
        tell(
            StateDirectory(tmp_path / "state"), settings, channels(settings), sight, list, ZoneInfo("UTC"), now, "attic"
        )
        status, out, _ = notify(rules)
        assert status == 0
        assert ": 1 messages wait; webhook 127.0.0.1" in out
        assert len(hook.bodies) == 1
