"""Commands that start something refuse what is typed wrongly before they do: a sentence and status 2, no traceback."""

import os

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from air_pipeline.cli.init import Introduced
from air_pipeline.running.ports import free_port
from air_pipeline_tests.cli.in_this_process import in_this_process
from air_pipeline_tests.environments import VALID
from air_pipeline_tests.running_pipeline import dead_port

STARTED = {
    "up": ("run",),
    "ui": ("serve",),
    "demo": ("_prepare", "run"),
    "collect": ("run",),
    "simulate": ("serve_forever",),
    "init": ("replace_file",),
    "copy": ("move_readings", "copy_part"),
    "build": ("build_days",),
}
"""Command to what it does once everything is right, which is not done here."""


@pytest.fixture
def home(tmp_path, monkeypatch):
    (tmp_path / "devices.yaml").write_text(VALID, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name in ("DAGSTER_HOME", "AIR_PIPELINE_DATA", "AIR_PIPELINE_BEHIND_PROXY"):
        monkeypatch.delenv(name, raising=False)
    set_out(tmp_path, monkeypatch)
    return tmp_path


def set_out(home, monkeypatch):
    """The environment that some commands change for their process."""
    monkeypatch.setenv("AIR_PIPELINE_CONFIG", str(home / "devices.yaml"))
    monkeypatch.setenv("AIR_PIPELINE_STATE", str(home / "state"))
    for name, value in (("URL", f"http://127.0.0.1:{dead_port()}"), ("TOKEN", "t"), ("ORG", "o"), ("BUCKET", "b")):
        monkeypatch.setenv(f"INFLUXDB_V2_{name}", value)


class Begun(list):
    """Commands and what they would have started, with the umask under which they would have."""

    umask = 0


@pytest.fixture
def begun(monkeypatch):
    """What would have been started, in the order in which it would have been."""
    begun = Begun()
    for command, names in STARTED.items():
        for name in names:

            def begin(*arguments, _name=(command, name), **_named):
                begun.append(_name)
                umask = os.umask(0o022)  # of the process that does it
                os.umask(umask)
                begun.umask = umask
                for simulator in arguments if _name[0] == "simulate" else ():
                    simulator.stop()
                    simulator.run()
                return {}

            monkeypatch.setattr(f"air_pipeline.cli.{command}.{name}", begin)
    monkeypatch.setattr(
        "air_pipeline.cli.init._introduced", lambda entry, _zone, _kind: Introduced(entry, is_well=True)
    )
    return begun


WRONG = [
    *((command, "--port", port) for command in ("up", "ui", "demo", "simulate") for port in ("-1", "65536", "x", "")),
    *((command, "--port", "0") for command in ("up", "ui", "demo")),
    *((command, "--host", host) for command in ("up", "ui", "demo") for host in ("0.0.0.0", "", "air.example.org")),  # noqa: S104
    *((command, "--behind-proxy", name) for command in ("up", "ui", "demo") for name in ("", "a:1", "http://a")),
    *((command, "--behind-proxy", "a", "--host", host) for command in ("up", "ui") for host in ("\0", "é" * 70)),
    *(("simulate", "--host", host) for host in ("\0", "é" * 70)),
    *((command, "--nonsense") for command in STARTED),
    *((command, "something", "else") for command in ("up", "ui", "demo", "collect", "copy", "build")),
    ("build", "--config", "nowhere.yaml"),
    *(("simulate", "--count", count) for count in ("-1", "0", "x", "1000000000000")),
    *(("simulate", "--fault", fault) for fault in ("", "=", "station", "station=", "other=hang", "station=boredom")),
    *(("simulate", "--kind", kind) for kind in ("", "x", "garage=airrohr", "station=", "=airrohr")),
    ("simulate", "a", "--kind", "a=airrohr", "--fault", "a=dht22_frozen"),
    ("simulate", "a", "--fault", "a=stuck"),
    *(("simulate", "--script", script) for script in ("nowhere.yaml", ".", "\0", "devices.yaml")),
    ("init",),
    *(("init", "--force", url) for url in ("", " ", "http://", "a b", "ftp://a", "http://[", "\0", "http://a:x")),
    *(("init", "--force", "10.0.0.9", "--id", name) for name in ("", "A", "a b", "é", "-", "a" * 64)),
    *(("init", "--force", "10.0.0.9", "--timezone", zone) for zone in ("Nowhere", "/etc/passwd", "..", "\0")),
    ("init", "--force", "10.0.0.9", "--id", "a", "--id", "b"),
    ("init", "10.0.0.9"),
    *(("copy", target) for target in ("", "nowhere", "influxdb2")),
    *(
        ("copy", option, time)
        for option in ("--from", "--to")
        for time in ("", "yesteryear", "2026-13-01", "0000-00-00")
    ),
    *(("build", option, time) for option in ("--from", "--to") for time in ("", "yesteryear", "2026-13-01", "9" * 30)),
    *(("build", "--workers", number) for number in ("-1", "x")),
]


def test_what_is_wrong_is_refused_in_a_sentence_before_anything_is_started(home, begun, monkeypatch, capsys):
    for arguments in WRONG:
        set_out(home, monkeypatch)
        status, _, err = in_this_process(monkeypatch, capsys, *arguments)
        assert (status, begun, "Traceback" in err) == (2, [], False), (arguments, err)
        assert err.strip(), arguments


def test_the_simulator_prints_addresses_as_they_are_asked(home, begun, monkeypatch, capsys):
    _, out, _ = in_this_process(monkeypatch, capsys, "simulate", "office", "--kind", "tasmota", "--port", "0")
    assert out.endswith("/office/cm?cmnd=Status%2010\n")
    status, _, err = in_this_process(monkeypatch, capsys, "init", "10.0.0.9")
    assert (status, begun) == (2, [("simulate", "serve_forever")])
    assert "to add a device, have another file written with --config new.yaml and copy its entry over" in err


def test_what_is_right_is_started(home, begun, monkeypatch, capsys):
    for arguments, parts in {
        ("up", "--port", str(free_port()), "--host", "127.0.0.1"): ["run"],
        ("ui", "--port", str(free_port()), "--read-only", "--behind-proxy", "air.example.org"): ["serve"],
        ("demo", "--port", str(free_port()), "--directory", "shown"): ["_prepare", "run"],
        ("collect", "--believe-clock"): ["run"],
        ("simulate", "a", "b", "--fault", "a=hang", "--port", "0"): ["serve_forever"],
        ("simulate", "a", "--kind", "a=airrohr", "--fault", "a=stuck", "--port", "0"): ["serve_forever"],
        ("init", "10.0.0.9", "--force", "--id", "hall"): ["replace_file"],
        ("copy", "influxdb", "--to", "2026-11-21"): ["copy_part"],
    }.items():
        set_out(home, monkeypatch)
        begun.clear()
        status, _, err = in_this_process(monkeypatch, capsys, *arguments)
        assert status == 0, (arguments, err)
        assert [part for _, part in begun] == parts
        if arguments[0] in {"up", "ui", "demo", "collect"}:
            assert begun.umask == 0o077, "what it makes is for this user alone"


OPTIONS = ["--port", "--host", "--behind-proxy", "--config", "--directory", "--count", "--fault", "--script", "--seed",
           "--id", "--timezone", "--force", "--from", "--to", "--workers", "--read-only", "--help", "--"]  # fmt: skip
TYPED = st.one_of(
    st.sampled_from(OPTIONS),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.sampled_from(
        ["127.0.0.1", "::1", "localhost", "0", "-1", "9" * 20, "station=hang", "2026-11-21", "/", "\0", "a.b"]
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=80)
@given(st.sampled_from(list(STARTED)), st.lists(TYPED, max_size=5))
@example("up", ["--behind-proxy", "a.b", "--host", "\0"])
@example("ui", ["--behind-proxy", "a.b", "--host", "a" * 70])
@example("ui", ["--behind-proxy", "a.b", "--host", "é" * 70])
@example("demo", ["--directory", "\0"])
@example("demo", ["--directory", "/proc/nowhere"])
@example("init", ["--config", "\0", "10.0.0.9"])
@example("simulate", ["--fault", "a=hang", "--count", "-1"])
@example("simulate", ["--host", "é" * 70])
@example("collect", ["--config", "\0"])
@example("build", ["--to", "9999-12-31"])
def test_whatever_is_typed_is_started_or_refused_in_words(home, begun, monkeypatch, capsys, command, arguments):
    set_out(home, monkeypatch)
    status, out, err = in_this_process(monkeypatch, capsys, command, *arguments)
    assert status in {0, 1, 2}
    assert "Traceback" not in out + err
    assert bool(err.strip()) or status == 0
