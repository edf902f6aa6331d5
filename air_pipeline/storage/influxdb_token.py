"""The token of InfluxDB: the one that the environment names, or what is in a file, which may change meanwhile."""

from pathlib import Path

from air_pipeline.replacing import open_at_once
from air_pipeline.settings import InfluxConnection
from air_pipeline.storage.store import StoreRefused


class Token:
    """The token to enter with now; safe from several threads.

    Raises:
        StoreRefused: when made, and by `now`: it has characters that no token has.
    """

    def __init__(self, connection: InfluxConnection) -> None:
        self._file = connection.token_file
        self._token = connection.token
        self._seen = None if self._file is None else _stamp(self._file)
        self._require_usable()

    def now(self) -> str:
        """The token; read again if its file is another one than before."""
        if self._file is not None and _stamp(self._file) != self._seen:
            self.read_again()
        self._require_usable()
        return self._token

    def read_again(self) -> bool:
        """Reads the file, if there is one; whether there is another token in it. One that is gone changes nothing."""
        if self._file is None:
            return False
        self._seen = _stamp(self._file)
        try:
            with open(self._file, encoding="utf-8", opener=open_at_once) as file:
                token = file.read().strip()
        except (OSError, UnicodeDecodeError):
            return False
        if token in {"", self._token}:
            return False
        self._token = token
        return True

    def _require_usable(self) -> None:
        if not (self._token.isascii() and self._token.isprintable()):  # libraries would quote it in an error
            where = "INFLUXDB_V2_TOKEN" if self._file is None else f"The file {self._file} (INFLUXDB_V2_TOKEN_FILE)"
            raise StoreRefused(f"{where} has characters that no token has, such as the end of a line.")


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
