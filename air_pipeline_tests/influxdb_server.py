"""A real InfluxDB 2 for tests: one that the developer names, or an `influxd` started on loopback."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from air_pipeline.settings import InfluxConnection
from air_pipeline_tests.needs import go_without
from air_pipeline_tests.waiting import WITHIN_S, wait_for


class InfluxServer:
    """A server with one organization. What a test makes on it is its own: a bucket, tokens."""

    def __init__(self, url: str, token: str, org: str) -> None:
        self.url = url
        self.token = token
        self.org = org
        self._made: list[str] = []

    def make_bucket(self, name: str | None = None, retention_s: int = 0) -> str:
        """A new bucket, by default with infinite retention and a name of its own."""
        name = name or f"test-{secrets.token_hex(6)}"
        rules = [{"type": "expire", "everySeconds": retention_s}] if retention_s else []
        bucket = {"orgID": self._org_id(), "name": name, "retentionRules": rules}
        self._made.append(self.api("POST", "/api/v2/buckets", json=bucket)["id"])
        return name

    def connection(self, bucket: str | None = None, token: str | None = None) -> InfluxConnection:
        """A connection, by default to a new bucket with every right."""
        return InfluxConnection(self.url, token or self.token, self.org, bucket or self.make_bucket())

    def bucket(self, name: str) -> dict[str, Any] | None:
        """What the server says of a bucket; None if there is none."""
        try:
            return self.api("GET", "/api/v2/buckets", params={"name": name, "org": self.org})["buckets"][0]
        except requests.HTTPError as error:
            if error.response.status_code == requests.codes.not_found:
                return None
            raise

    def delete_bucket(self, name: str) -> None:
        """A bucket with all that is in it."""
        made = self.bucket(name)
        assert made is not None
        self.api("DELETE", f"/api/v2/buckets/{made['id']}")
        self._made = [one for one in self._made if one != made["id"]]

    def make_token(self, bucket: str, *actions: str) -> str:
        """A token that may do the actions (`read`, `write`) in one bucket and nothing else."""
        org = self._org_id()
        resource = {"type": "buckets", "id": (self.bucket(bucket) or {})["id"], "orgID": org}
        permissions = [{"action": action, "resource": resource} for action in actions]
        return self.api("POST", "/api/v2/authorizations", json={"orgID": org, "permissions": permissions})["token"]

    def api(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        """Any request with every right; an answer that is an error fails the test."""
        headers = {"Authorization": f"Token {self.token}"}
        response = requests.request(method, self.url + path, headers=headers, timeout=WITHIN_S, **arguments)
        response.raise_for_status()
        return response.json() if response.content else {}

    def stop(self) -> None:
        """Stops the server; its data stay."""
        pytest.skip("the InfluxDB of INFLUXDB_V2_URL is not the tests' to stop")

    def kill(self) -> None:
        """Ends the server at once, as a crash would; what it has acknowledged stays."""
        pytest.skip("the InfluxDB of INFLUXDB_V2_URL is not the tests' to kill")

    def start(self) -> None:
        """Starts it again: the same port, the same data. Nothing happens if it runs."""

    def paused(self) -> contextlib.AbstractContextManager[None]:
        """Within the block the server accepts connections and says nothing."""
        pytest.skip("the InfluxDB of INFLUXDB_V2_URL is not the tests' to pause")

    def close(self) -> None:
        """Removes what was made."""
        for bucket in self._made:
            self.api("DELETE", f"/api/v2/buckets/{bucket}")

    def _org_id(self) -> str:
        return self.api("GET", "/api/v2/orgs", params={"org": self.org})["orgs"][0]["id"]


class OwnInfluxServer(InfluxServer):
    """A server of the tests' own."""

    def __init__(self, binary: str, folder: Path) -> None:
        self._binary = binary
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        super().__init__(f"http://127.0.0.1:{self._port}", secrets.token_hex(16), "home")
        self.start()
        who = {"username": "tests", "password": secrets.token_hex(8), "token": self.token}
        setup = {**who, "org": self.org, "bucket": "first"}
        requests.post(self.url + "/api/v2/setup", json=setup, timeout=WITHIN_S).raise_for_status()

    @property
    def pid(self) -> int:
        """Of the process, while it runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        if self._process is not None:
            return
        arguments = [self._binary, "--reporting-disabled", "--http-bind-address", f"127.0.0.1:{self._port}"]
        for option in ("bolt", "sqlite", "engine"):
            arguments += [f"--{option}-path", str(self._folder / option)]
        with (self._folder / "log").open("ab") as log:
            # A session of its own, so that Ctrl-C ends the tests first.
            self._process = subprocess.Popen(arguments, stdout=log, stderr=log, start_new_session=True)
        wait_for(self._is_ready, "influxd")

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)  # until then it may answer
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.stop()

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            log = (self._folder / "log").read_text(errors="replace")
            raise RuntimeError(f"influxd ended with {self._process.returncode}:\n{log[-2000:]}")
        with contextlib.suppress(requests.RequestException):
            return requests.get(self.url + "/health", timeout=5).ok
        return False


def open_server(variables: Mapping[str, str], folder: Path) -> InfluxServer:
    """The server that the environment names, or one of the tests' own; without, the test is skipped (in CI: fails)."""
    if url := variables.get("INFLUXDB_V2_URL"):
        return InfluxServer(url.rstrip("/"), variables["INFLUXDB_V2_TOKEN"], variables["INFLUXDB_V2_ORG"])
    binary = variables.get("AIR_PIPELINE_INFLUXD") or shutil.which("influxd")
    if binary is None or not os.access(binary, os.X_OK):
        missing = binary or "influxd"
        go_without(f"{missing} is not there: set AIR_PIPELINE_INFLUXD=$(.ci/build-influxd) or INFLUXDB_V2_URL")
    return OwnInfluxServer(binary, folder)
