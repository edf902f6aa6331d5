"""An object store of a test's own: moto's S3 behind a real server on loopback, which tells what it was asked."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from threading import Thread
from typing import Any
from uuid import uuid4

from werkzeug.serving import BaseWSGIServer, make_server

from air_pipeline.places import ObjectAddress

WHO = {"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "s3cret", "AWS_DEFAULT_REGION": "us-east-1"}
_WHO_ELSE = {"aws_access_key_id": "else", "aws_secret_access_key": "s3cret", "region_name": "us-east-1"}
_Respond = Callable[..., Any]


@dataclass
class ObjectStore:
    """A server.

    Attributes:
        server: the server.
        asked: what was asked of it, such as `PUT /bucket/key`, until a test clears it.
        done: how many requests came to an end, one way or another.
        meanwhile: called with each request before it is answered; a status that it gives is the answer.
    """

    server: BaseWSGIServer
    asked: list[str] = field(default_factory=list)
    done: int = 0
    meanwhile: Callable[[str, dict[str, Any]], int | None] = lambda _asked, _environ: None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def variables(self) -> dict[str, str]:
        """Those that lead to it; AWS's own for the endpoint, as fsspec reads its own once, when it is imported."""
        return {**WHO, "AWS_ENDPOINT_URL_S3": self.url, "AWS_EC2_METADATA_DISABLED": "true"}

    def bucket(self) -> ObjectAddress:
        """A place in a new bucket."""
        name = f"air-{uuid4().hex[:12]}"
        assert self.plain("PUT", f"/{name}")[0] == 200
        self.asked.clear()
        return ObjectAddress(f"s3://{name}/of/ours")

    def plain(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """What a request brings that nothing signs: status and body."""
        connection = HTTPConnection("127.0.0.1", self.server.server_port, timeout=60)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def read(self, place: ObjectAddress) -> bytes:
        """An object, as another machine reads it."""
        bucket, _, key = place.url.removeprefix("s3://").partition("/")
        content: bytes = self._client().get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def write(self, place: ObjectAddress, content: bytes) -> None:
        """Puts an object there, as another machine does."""
        bucket, _, key = place.url.removeprefix("s3://").partition("/")
        self._client().put_object(Bucket=bucket, Key=key, Body=content)

    def _client(self) -> Any:
        import boto3  # half a second

        return boto3.client("s3", endpoint_url=self.url, **_WHO_ELSE)

    @contextmanager
    def asking_who(self) -> Iterator[None]:
        """Within the block it looks at who asks, and knows nobody."""
        self.plain("POST", "/moto-api/reset-auth", b"0")
        try:
            yield
        finally:
            self.plain("POST", "/moto-api/reset-auth", b"inf")


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """A store that runs while the block lasts."""
    from moto.server import DomainDispatcherApplication, create_backend_app  # two seconds

    moto = DomainDispatcherApplication(create_backend_app)

    def application(environ: dict[str, Any], start_response: _Respond) -> Iterable[bytes]:
        asked = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{environ['QUERY_STRING']}".rstrip("?")
        store.asked.append(asked)
        if status := store.meanwhile(asked, environ):
            start_response(f"{status} of this test", [("Content-Length", "0")])
            return []
        try:
            return moto(environ, start_response)
        finally:
            store.done += 1

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    store = ObjectStore(make_server("127.0.0.1", 0, application, threaded=True))
    thread = Thread(target=store.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        store.server.shutdown()
        thread.join()
        store.server.server_close()
