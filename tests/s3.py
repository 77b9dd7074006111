"""An S3 server on this machine, and a proxy before it that fails as S3 and networks do."""

from __future__ import annotations

import contextlib
import http.client
import logging
import socketserver
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import pyarrow.fs as pafs
import pytest

from topo_sweep.store import remote

ACCESS_KEY, SECRET_KEY = "AKIDTOPOSWEEPTEST", "secret/of+topo-sweep"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}

Kind = Literal["500", "503", "drop", "lose", "hang", "403"]
"""Answer an error; close before the server hears, or after it has done it; or never answer."""


@dataclass
class Fault:
    """What happens to the next so many requests of a method whose path holds a text."""

    kind: Kind
    method: str = ""
    path: str = ""
    count: int = 1
    after: int = 0
    """Requests of that kind that pass first."""


@dataclass
class Proxy:
    """Passes requests on to an S3 server, but for those that meet a fault.

    Attributes:
        faults: to come; each goes when it has happened often enough.
        met: the method and path of each request that met one.

    """

    endpoint: str
    server: str
    faults: list[Fault] = field(default_factory=list)
    met: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault_of(self, method: str, path: str) -> Kind | None:
        """Return what happens to a request, and count it."""
        with self.lock:
            self.requests.append(f"{method} {path}")
            for fault in self.faults:
                if method.startswith(fault.method) and fault.path in path:
                    if fault.after:
                        fault.after -= 1
                        return None
                    fault.count -= 1
                    if not fault.count:
                        self.faults.remove(fault)
                    self.met.append(f"{method} {path}")
                    return fault.kind
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each body waits 40 ms for an answer to the headers
    proxy: Proxy
    hang_seconds = 4.0

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _pass_on(self) -> None:
        with contextlib.suppress(ConnectionError):
            kind = self.proxy.fault_of(self.command, self.path)
            body = self._body()
            if kind == "hang":
                time.sleep(self.hang_seconds)
            if kind in ("drop", "hang"):
                self.close_connection = True
                return
            if kind in ("500", "503", "403"):
                name = {"500": "InternalError", "503": "SlowDown", "403": "AccessDenied"}[kind]
                text = f"<Error><Code>{name}</Code><Message>try again</Message></Error>"
                self._answer(int(kind), [("Content-Type", "application/xml")], text.encode())
                return
            status, headers, content = self._asked(body)
            if kind == "lose":
                self.close_connection = True
                return
            self._answer(status, headers, content)

    def _asked(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.proxy.server, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _OF_HOP}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.getheaders(), content

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response_only(status)
        is_head = self.command == "HEAD"
        for name, value in headers:
            if name.lower() not in _OF_HOP and (is_head or name.lower() != "content-length"):
                self.send_header(name, value)
        if not is_head:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if not is_head:
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on  # noqa: N815 - the base class's names


class _Listener(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that were killed; of all else as usual."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


_OF_HOP = ("connection", "keep-alive", "transfer-encoding", "expect", "date", "server")


@contextlib.contextmanager
def proxy_of(server: str, host: str = "127.0.0.1") -> Iterator[Proxy]:
    """Run a proxy before a server beside the block."""
    with _Listener((host, 0), _Handler) as listener:
        proxy = Proxy(f"{host}:{listener.server_port}", server)
        listener.RequestHandlerClass = type("Handler", (_Handler,), {"proxy": proxy})
        listener.daemon_threads = True
        listener.block_on_close = False
        with _beside(listener):
            yield proxy


@contextlib.contextmanager
def _beside(listener: socketserver.BaseServer) -> Iterator[None]:
    """Let a server answer while the block runs."""
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown()
        thread.join()


@contextlib.contextmanager
def moto() -> Iterator[str]:
    """Run an S3 server beside the block; give its host and port."""
    from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # Of S3 alone: the server of all services looks through their folders at each request.
    server = make_server(
        "127.0.0.1",
        0,
        create_backend_app("s3"),
        threaded=True,
        request_handler=MotoRequestHandler,
    )
    with _beside(server):
        yield f"127.0.0.1:{server.server_port}"
    server.server_close()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Give the host and port of an S3 server."""
    with moto() as server:
        yield server


@pytest.fixture
def s3(s3_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """Give a new bucket, reached by a proxy, with credentials and a cache of our own.

    Between two tries there is hardly a pause.
    """
    monkeypatch.setattr(remote, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(pafs, "AwsStandardS3RetryStrategy", pafs.AwsDefaultS3RetryStrategy)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    bucket = f"bucket-{uuid.uuid4().hex[:8]}"
    direct = pafs.S3FileSystem(
        endpoint_override=s3_server, scheme="http", allow_bucket_creation=True
    )
    direct.create_dir(bucket)
    with proxy_of(s3_server) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{proxy.endpoint}")
        yield S3(bucket, proxy, direct, lambda name: _use_cache(monkeypatch, tmp_path / name))


def _use_cache(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))


@dataclass(frozen=True)
class S3:
    """A bucket of a test.

    Attributes:
        proxy: by which the program reaches it.
        direct: the way to it that no fault meets.
        on_machine: lets what follows have the cache of another machine.

    """

    bucket: str
    proxy: Proxy
    direct: pafs.S3FileSystem
    on_machine: Callable[[str], None]

    def uri(self, path: str = "") -> str:
        """Return the URI of what is in the bucket."""
        return f"s3://{self.bucket}/{path}".rstrip("/")

    def names(self, path: str = "") -> list[str]:
        """Return the names of all objects below a path, sorted."""
        base = f"{self.bucket}/{path}".rstrip("/")
        selector = pafs.FileSelector(base, recursive=True, allow_not_found=True)
        infos = self.direct.get_file_info(selector)
        return sorted(
            info.path.removeprefix(f"{base}/") for info in infos if info.type == pafs.FileType.File
        )

    def read(self, path: str) -> bytes:
        """Return an object's content."""
        with self.direct.open_input_stream(f"{self.bucket}/{path}") as stream:
            return bytes(stream.read())
