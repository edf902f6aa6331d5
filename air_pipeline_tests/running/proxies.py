"""nginx and Caddy in front of the UI, by their samples in `deploy/` with other ports, files and passwords."""

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from air_pipeline_tests.running_pipeline import free_port
from air_pipeline_tests.waiting import WITHIN_S, wait_for

DEPLOY = Path(__file__).parents[2] / "deploy"
NAME = "air.example.org"
LOGIN = ("you", "secret")


class Proxy:
    """A proxy, with TLS, in front of the UI at a port."""

    def __init__(self, folder: Path, ui_port: int) -> None:
        self.folder = folder
        self.ui_port = ui_port
        self.port = free_port()
        self.netloc = f"{NAME}:{self.port}"
        self.certificate, self._key = folder / "certificate.pem", folder / "key.pem"
        names = f"subjectAltName=DNS:{NAME},IP:127.0.0.1"
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={NAME}",
            "-addext", names, "-keyout", str(self._key), "-out", str(self.certificate))  # fmt: skip

    def nginx(self) -> list[str]:
        """The command that runs it as nginx."""
        login = self.folder / "htpasswd"
        login.write_text(f"{LOGIN[0]}:{run('openssl', 'passwd', '-6', LOGIN[1]).strip()}\n", encoding="utf-8")
        site = sample(
            "nginx.conf",
            {
                "listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl",
                "    listen [::]:443 ssl;\n": "",
                f"/etc/letsencrypt/live/{NAME}/fullchain.pem": str(self.certificate),
                f"/etc/letsencrypt/live/{NAME}/privkey.pem": str(self._key),
                "auth_basic_user_file /etc/nginx/air_pipeline.htpasswd": f"auth_basic_user_file {login}",
                "http://127.0.0.1:3000": f"http://127.0.0.1:{self.ui_port}",
            },
        )
        kept = "".join(f"{kind}_temp_path {self.folder}/{kind};\n" for kind in _KEPT)
        (self.folder / "nginx.conf").write_text(
            f"user {'root' if os.geteuid() == 0 else 'nobody'};\npid {self.folder}/pid;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{kept}{site}}}\n",
            encoding="utf-8",
        )
        return [found("nginx"), "-e", "stderr", "-c", str(self.folder / "nginx.conf"), "-g", "daemon off;"]

    def caddy(self) -> list[str]:
        """The command that runs it as Caddy."""
        directive = "basic_auth" if run("caddy", "version").lstrip("v") >= "2.8" else "basicauth"
        site = sample(
            "Caddyfile",
            {
                f"\n{NAME} {{\n": f"\nhttps://{self.netloc} {{\n\ttls {self.certificate} {self._key}\n",
                "\tbasic_auth {": f"\t{directive} {{",
                "\t\tyou $2a$14$…": f"\t\tyou {run('caddy', 'hash-password', '--plaintext', LOGIN[1]).strip()}",
                "127.0.0.1:3000": f"127.0.0.1:{self.ui_port}",
            },
        )
        (self.folder / "Caddyfile").write_text(f"{{\n\tadmin off\n\tauto_https off\n}}\n{site}", encoding="utf-8")
        return [found("caddy"), "run", "--adapter", "caddyfile", "--config", str(self.folder / "Caddyfile")]

    @contextmanager
    def running(self, program: str) -> Iterator[None]:
        """Runs it until the end of the block."""
        log = self.folder / "log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                getattr(self, program)(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "HOME": str(self.folder)},
            )
        try:
            wait_for(lambda: self._answers(process, log), program)
            yield
        finally:
            process.terminate()
            process.wait(WITHIN_S)

    def _answers(self, process: subprocess.Popen[bytes], log: Path) -> bool:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def connect(self) -> ssl.SSLSocket:
        """A connection, as a browser makes one that has found its name at this machine."""
        trusted = ssl.create_default_context(cafile=self.certificate)
        plain = socket.create_connection(("127.0.0.1", self.port), WITHIN_S)
        return trusted.wrap_socket(plain, server_hostname=NAME)


_KEPT = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def is_there(program: str) -> bool:
    """Whether a proxy can be run here."""
    return bool(found(program) and found("openssl"))


def found(program: str) -> str:
    """Where a program is; empty if it is not."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin") or ""


def sample(name: str, changes: dict[str, str]) -> str:
    """A sample of `deploy/`; each of the changes has its place in it."""
    text = (DEPLOY / name).read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text, f"deploy/{name} has no {old!r}"
        text = text.replace(old, new)
    return text


def run(*command: str) -> str:
    """What a program prints."""
    return subprocess.run([found(command[0]), *command[1:]], capture_output=True, text=True, check=True).stdout
