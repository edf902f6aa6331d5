"""`/metrics`: a real collector is scraped, and read with Prometheus' own parser."""

import http.client
import re
import signal
import socket
from contextlib import closing
from dataclasses import replace
from datetime import date

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from air_pipeline.catalogue import STATION, Parameter
from air_pipeline.collection import metrics as metrics_module
from air_pipeline.collection import metrics_server
from air_pipeline.collection.metrics import LEAST_STALE_S, OWN_FAMILIES, Metrics, Standing
from air_pipeline.collection.metrics_server import MOST_AT_ONCE, serving, why_not
from air_pipeline.collection.outbox_rows import Row, encoded
from air_pipeline.collection.outbox_status import OutboxStatus
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.settings import Device, Settings
from air_pipeline_tests.collection.collector_process import running_collector, write_config
from air_pipeline_tests.waiting import WITHIN_S, wait_for

PM = Parameter("sds011", "pm25", "µg/m³", "PM2.5")
ODD = Parameter("box", "smell", "Ödör/m²", "smell")
SETTINGS = Settings(
    "Europe/Warsaw",
    date(2026, 11, 1),
    (
        Device("hall", "http://hall/", "Europe/Warsaw", interval_ms=20_000, parameters=(*STATION[:2], PM, ODD)),
        Device("attic", "http://attic/", "Europe/Warsaw", interval_ms=1_000, parameters=STATION[:1]),
    ),
)


def poll(device="hall", slot=0, outcome=Outcome.OK, interval_s=20.0, **values):
    return Poll(device, slot, outcome, 41.0, interval_s, http_status=200, values=values)


@pytest.fixture
def clock(monkeypatch):
    """Elapsed time as a list of one number."""
    now = [1000.0]
    monkeypatch.setattr(metrics_module, "boottime", lambda: now[0])
    return now


def told(metrics, settings=SETTINGS, standing=Standing()):  # noqa: B008 - frozen
    """Every sample, by name and labels; Prometheus' parser refuses what is no OpenMetrics."""
    return samples_of(metrics.text(settings, standing))


def samples_of(text):
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    found = [
        (sample.name, *sorted(sample.labels.values()), sample.value) for family in families for sample in family.samples
    ]
    return {sample[:-1]: sample[-1] for sample in found}


def test_a_parameter_is_a_family_with_its_unit_and_values_come_to_the_last_digit(clock):
    metrics = Metrics()
    uneven = 0.1 + 0.2
    metrics.take([encoded(poll(dht22_temperature=uneven, sds011_pm25=3.5, box_smell=1e-7, dht22_humidity=47.25))])
    metrics.take([encoded(poll("attic", dht22_temperature=-5.0))])
    found = told(metrics)
    assert found["air_temperature_celsius", "dht22", "hall"] == uneven
    assert found["air_temperature_celsius", "attic", "dht22"] == -5.0
    assert found["air_humidity_percent", "dht22", "hall"] == 47.25
    assert found["air_pm25_micrograms_per_cubic_meter", "hall", "sds011"] == 3.5
    assert found["air_smell_d_r_m", "box", "hall"] == 1e-7
    assert found["air_poll_duration_seconds", "hall"] == 0.041


def test_each_family_has_a_name_of_its_own_whatever_parameters_and_units_are_called(clock):
    """Also a parameter that is called as what is told of the collector, and as long as another device is silent."""
    rain = (Parameter("a", "rain", "1 min", "x"), Parameter("b", "rain", "1/min", "y"))
    own = [family.removeprefix("air_") for family in sorted(OWN_FAMILIES)]
    parameters = [*rain, *(Parameter("a", name, "1", name) for name in own), Parameter("a", "poll_duration", "s", "d")]
    entry = replace(SETTINGS.devices[0], parameters=tuple(parameters))
    settings = replace(SETTINGS, devices=(entry,))
    metrics = Metrics()
    metrics.take([encoded(poll(**{one.series: float(number) for number, one in enumerate(parameters)}))])
    found = told(metrics, settings)
    assert (found["air_rain_1_min", "a", "hall"], found["air_rain_2_1_min", "b", "hall"]) == (0.0, 1.0)
    assert found["air_polls_2", "a", "hall"] == 2.0 + own.index("polls")
    assert found["air_polls_total", "hall", "ok"] == 1.0
    metrics.take([encoded(poll(b_rain=7.0))])
    assert told(metrics, settings)["air_rain_2_1_min", "b", "hall"] == 7.0


def test_the_families_of_the_collector_itself_are_all_known(clock):
    metrics = Metrics()
    metrics.take([encoded(poll())])
    waits = OutboxStatus(pending=7, oldest=1_780_000_000_000, quarantined=2, failures=0, retry_at=0.0, error="")
    text = metrics.text(SETTINGS, Standing(waits))
    families = {family.name for family in text_string_to_metric_families(text)}
    assert families <= OWN_FAMILIES
    assert OWN_FAMILIES - families == {"air_polls_total", "air_polls_created", "air_collector_info"}


def test_a_silent_device_says_nothing_any_more_after_three_intervals(clock):
    metrics = Metrics()
    metrics.take([encoded(poll(slot=20_000, dht22_temperature=20.0))])
    metrics.take([encoded(poll("attic", slot=20_000, interval_s=1.0, dht22_temperature=20.0))])
    hall, attic = ("air_temperature_celsius", "dht22", "hall"), ("air_temperature_celsius", "attic", "dht22")
    clock[0] += LEAST_STALE_S
    assert told(metrics).keys() >= {hall, attic}
    clock[0] += 1
    assert attic not in told(metrics)  # three intervals of a second would be too short for who asks every 15 s
    metrics.take([encoded(poll(slot=40_000, outcome=Outcome.TIMEOUT))])
    assert told(metrics)[hall] == 20.0
    assert told(metrics)["air_device_up", "hall"] == 0.0
    clock[0] += 60 - LEAST_STALE_S
    found = told(metrics)
    assert hall not in found
    assert found["air_last_reading_timestamp_seconds", "hall"] == 20.0
    assert found["air_last_poll_timestamp_seconds", "hall"] == 40.0


def test_a_device_that_is_not_asked_any_more_is_not_up(clock):
    metrics = Metrics()
    metrics.take([encoded(poll(dht22_temperature=20.0))])
    assert told(metrics)["air_device_up", "hall"] == 1.0
    clock[0] += 61
    assert told(metrics)["air_device_up", "hall"] == 0.0


def test_polls_are_counted_by_outcome_and_what_waits_is_told(clock):
    metrics = Metrics()
    for outcome in (Outcome.OK, Outcome.OK, Outcome.UNREACHABLE):
        metrics.take([encoded(poll(outcome=outcome))])
    waits = OutboxStatus(pending=7, oldest=1_780_000_000_000, quarantined=2, failures=0, retry_at=0.0, error="")
    found = told(metrics, standing=Standing(waits, disk_refuses=True))
    assert found["air_polls_total", "hall", "ok"] == 2
    assert found["air_polls_total", "hall", "unreachable"] == 1
    assert found["air_outbox_polls",] == 7
    assert found["air_outbox_oldest_timestamp_seconds",] == 1_780_000_000
    assert found["air_quarantined_polls",] == 2
    assert found["air_disk_refuses",] == 1
    assert found["air_devices",] == 2
    assert ("air_outbox_polls",) not in told(metrics)  # where it is not known it is not told


def test_only_devices_of_the_settings_are_told_and_kept(clock):
    metrics = Metrics()
    metrics.take([encoded(poll("hall")), encoded(poll("attic"))])
    fewer = replace(SETTINGS, devices=SETTINGS.devices[:1])
    assert not [key for key in told(metrics, fewer) if "attic" in key]
    assert not [key for key in told(metrics) if "attic" in key and key[0] == "air_polls_total"]


def test_whatever_a_poll_is_the_recorder_goes_on(clock, caplog):
    metrics = Metrics()
    metrics.take([Row(0, "{")])
    assert "metrics lack some polls" in caplog.text
    assert told(metrics)["air_devices",] == 2


@pytest.mark.parametrize(
    ("path", "host", "site", "status"),
    [
        ("/metrics", "localhost:9100", None, None),
        ("/metrics?x=1", "127.0.0.1:9100", "none", None),
        ("/metrics", "[::1]:9100", "same-origin", None),
        ("/metrics", "rebound.example:9100", None, 403),
        ("/metrics", "127.0.0.1.example", None, 403),
        ("/metrics", None, None, 403),
        ("/metrics", "localhost", "cross-site", 403),
        ("/", "localhost", None, 404),
        ("/metrics/../secrets", "localhost", None, 404),
    ],
)
def test_who_asks_otherwise_is_refused(path, host, site, status):
    refused = why_not(path, host, site)
    assert (refused and refused[0]) == status


def test_a_collector_tells_what_it_polls_and_does_not_ask_for_it(environment, simulator, monkeypatch):
    write_config(environment.config, simulator, "a", "b")
    monkeypatch.setenv("AIR_PIPELINE_METRICS", "0")  # as `up` hands it on; --metrics is the same
    with running_collector(environment) as process:
        assert process.stderr is not None
        port = next(port for line in process.stderr if (port := port_in(line)))

        def scraped():
            status, kind, text = get(port)
            assert (status, kind) == (200, metrics_server.CONTENT_TYPE)
            return samples_of(text)

        wait_for(lambda: scraped().get(("air_polls_total", "a", "ok"), 0) >= 2, "two polls that are told")
        found = scraped()
        for _ in range(50):
            scraped()
        times = simulator.requests("a").times_ms
        assert len(times) <= (times[-1] - times[0]) / 1000 + 2, "a device is asked once a slot, a second here"
        assert found["air_temperature_celsius", "a", "dht22"] > -40
        assert found["air_device_up", "b"] == 1
        assert get(port, Host="evil.example")[0] == 403
        assert get(port, method="POST")[0] == 501
        process.send_signal(signal.SIGTERM)
        assert process.wait(WITHIN_S) == 0


def port_in(line):
    found = re.search(r"http://127\.0\.0\.1:([0-9]+)/metrics", line)
    return int(found[1]) if found else None


def get(port, method="GET", **headers):
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN_S)) as connection:
        connection.request(method, "/metrics", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read().decode()


def test_who_sends_byte_after_byte_and_never_ends_is_cut_and_others_are_answered(environment, monkeypatch, caplog):
    monkeypatch.setattr(metrics_server, "WITHIN_S", 1.0)
    caplog.set_level("INFO")
    with serving(0, Metrics(), environment.state, lambda: SETTINGS, lambda: False):
        port = port_in(caplog.text)
        hold_up(port)

        def answers():
            try:
                return get(port)[0] == 200
            except (OSError, http.client.HTTPException):
                return False

        wait_for(answers, "an answer")


def test_so_many_are_answered_at_the_same_time_and_no_more(environment, monkeypatch, caplog):
    monkeypatch.setattr(metrics_server, "WITHIN_S", 10 * WITHIN_S)
    caplog.set_level("INFO")
    with serving(0, Metrics(), environment.state, lambda: SETTINGS, lambda: False):
        port = port_in(caplog.text)
        silent = [socket.create_connection(("127.0.0.1", port), timeout=WITHIN_S) for _ in range(MOST_AT_ONCE)]
        with pytest.raises((OSError, http.client.HTTPException)):
            get(port)
        silent[0].close()

        def answers():
            try:
                return get(port)[0] == 200
            except (OSError, http.client.HTTPException):
                return False

        wait_for(answers, "an answer once a place is free")
        for one in silent:
            one.close()


def hold_up(port):
    """Takes all places, keeps them as long as it can, and sees each connection cut."""
    slow = [socket.create_connection(("127.0.0.1", port), timeout=WITHIN_S) for _ in range(MOST_AT_ONCE)]
    for one in slow:
        one.sendall(b"GET /metrics HTTP/1.1\r\nX: ")

    def is_cut(one):
        try:
            one.sendall(b"x")
            one.settimeout(0.05)
            return one.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    for one in slow:
        wait_for(lambda one=one: is_cut(one), "a cut connection")
        one.close()


def test_a_port_that_is_taken_stops_no_collecting(environment, caplog):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with serving(port, Metrics(), environment.state, lambda: SETTINGS, lambda: False):
            assert f"no metrics at port {port}: Address already in use; collecting goes on without them" in caplog.text
