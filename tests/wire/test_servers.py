"""Servers that others wrote: a hundred requests of every kind over kept connections."""

from __future__ import annotations

import base64
import contextlib
import gzip
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from importlib import util
from pathlib import Path

import pytest
from wire_lab import Caller

from directlane import Endpoint, Request

LARGE = b"0123456789abcdef" * 20_000
GZIPPED = gzip.compress(b"hello " * 100, mtime=0)

# Each server: GET /small, /large, /chunked, /gzip, /204, /304; POST /echo. The answers are the same everywhere.
ASGI = """
import gzip
LARGE = b"0123456789abcdef" * 20_000
GZIPPED = gzip.compress(b"hello " * 100, mtime=0)
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    path = scope["path"]
    status = int(path[1:]) if path[1:].isdigit() else 200
    whole = {"/small": b"small", "/large": LARGE, "/gzip": GZIPPED, "/echo": body}.get(path, b"")
    headers = [(b"content-encoding", b"gzip")] if path == "/gzip" else []
    if path != "/chunked" and status == 200:
        headers.append((b"content-length", str(len(whole)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if path == "/chunked":
        for _ in range(5):
            await send({"type": "http.response.body", "body": b"piece " * 50, "more_body": True})
    await send({"type": "http.response.body", "body": whole})
"""
WSGI = """
import gzip
LARGE = b"0123456789abcdef" * 20_000
GZIPPED = gzip.compress(b"hello " * 100, mtime=0)
def app(environ, start_response):
    body = environ["wsgi.input"].read()
    path = environ["PATH_INFO"]
    if path == "/204":
        start_response("204 No Content", [])
        return []
    if path == "/304":
        start_response("304 Not Modified", [])
        return []
    if path == "/chunked":
        start_response("200 OK", [])
        return iter([b"piece " * 50] * 5)
    whole = {"/small": b"small", "/large": LARGE, "/gzip": GZIPPED, "/echo": body}[path]
    headers = [("Content-Length", str(len(whole)))]
    if path == "/gzip":
        headers.append(("Content-Encoding", "gzip"))
    start_response("200 OK", headers)
    # A server need not hold back the body that an application gives for HEAD.
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [whole]
"""
WAITRESS = (
    WSGI
    + """
import sys, waitress
waitress.serve(app, host="127.0.0.1", port=int(sys.argv[1]), threads=2)
"""
)
AIOHTTP = """
import gzip, sys
from aiohttp import web
LARGE = b"0123456789abcdef" * 20_000
GZIPPED = gzip.compress(b"hello " * 100, mtime=0)
async def handle(request):
    body = await request.read()
    path = request.path
    if path[1:].isdigit():
        return web.Response(status=int(path[1:]))
    if path == "/chunked":
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for _ in range(5):
            await response.write(b"piece " * 50)
        await response.write_eof()
        return response
    if path == "/gzip":
        return web.Response(body=GZIPPED, headers={"Content-Encoding": "gzip"})
    return web.Response(body={"/small": b"small", "/large": LARGE, "/echo": body}[path])
app = web.Application(client_max_size=10**8)
app.router.add_route("*", "/{tail:.*}", handle)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""
NODE = """
const http = require("http"), zlib = require("zlib");
const large = Buffer.from("0123456789abcdef".repeat(20000));
const gzipped = Buffer.from(process.argv[3], "base64");
http.createServer((request, response) => {
  const pieces = [];
  request.on("data", piece => pieces.push(piece));
  request.on("end", () => {
    const path = request.url, body = Buffer.concat(pieces);
    if (path === "/204" || path === "/304") { response.statusCode = Number(path.slice(1)); return response.end(); }
    if (path === "/chunked") {
      for (let i = 0; i < 5; i++) response.write("piece ".repeat(50));
      return response.end();
    }
    const whole = { "/small": Buffer.from("small"), "/large": large, "/gzip": gzipped, "/echo": body }[path];
    if (path === "/gzip") response.setHeader("Content-Encoding", "gzip");
    response.setHeader("Content-Length", whole.length);
    response.end(whole);
  });
}).listen(Number(process.argv[2]), "127.0.0.1");
"""
NGINX = """
{user} daemon off; worker_processes 1; error_log stderr crit; pid {folder}/pid;
events {{ worker_connections 64; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; keepalive_timeout 30s 30s; client_max_body_size 100m;
    server {{
        listen 127.0.0.1:{port};
        location = /204 {{ return 204; }}
        location = /304 {{ return 304; }}
        location / {{ proxy_pass http://127.0.0.1:{behind}; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
}}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def process(command: list[str], port: int, folder: Path) -> Generator[int, None, None]:
    """Run a server until the end of the block; it is there when its port takes connections."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COV_")}
    with (folder / "log").open("ab") as log:
        running = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment)
    try:
        ends_at = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if running.poll() is not None or time.monotonic() > ends_at:
                    pytest.fail(f"{command[0]} did not start: {(folder / 'log').read_text()[-2000:]}")
                time.sleep(0.02)
        yield port
    finally:
        running.terminate()
        try:
            running.wait(5)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def needs(package: str) -> None:
    if util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed: pip install {package}")


def _script(package: str, text: str) -> Callable[[Path], contextlib.AbstractContextManager[int]]:
    def start(folder: Path) -> contextlib.AbstractContextManager[int]:
        needs(package)
        (folder / "server.py").write_text(text)
        port = free_port()
        return process([sys.executable, "server.py", str(port)], port, folder)

    return start


def uvicorn(folder: Path, implementation: str) -> contextlib.AbstractContextManager[int]:
    needs("uvicorn")
    (folder / "served.py").write_text(ASGI)
    port = free_port()
    options = ["--http", implementation, "--port", str(port), "--log-level", "critical", "--lifespan", "off"]
    return process([sys.executable, "-m", "uvicorn", "served:app", *options], port, folder)


def gunicorn(folder: Path) -> contextlib.AbstractContextManager[int]:
    needs("gunicorn")
    (folder / "served.py").write_text(WSGI)
    port = free_port()
    # Threads: the plain worker of gunicorn keeps no connection.
    options = ["-b", f"127.0.0.1:{port}", "-k", "gthread", "--threads", "2", "--keep-alive", "30"]
    return process([sys.executable, "-m", "gunicorn", *options, "served:app"], port, folder)


def node(folder: Path) -> contextlib.AbstractContextManager[int]:
    command = shutil.which("node")
    if command is None:
        pytest.skip("Node.js is not installed: apt-get install nodejs")
    (folder / "server.js").write_text(NODE)
    port = free_port()
    return process([command, "server.js", str(port), base64.b64encode(GZIPPED).decode()], port, folder)


@contextlib.contextmanager
def nginx(folder: Path) -> Generator[int, None, None]:
    command = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if command is None:
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    with uvicorn(folder, "h11") as behind:
        port = free_port()
        # Its workers would give up root, and then could not write into this folder.
        user = "user root;" if os.getuid() == 0 else ""
        (folder / "nginx.conf").write_text(NGINX.format(user=user, folder=folder, port=port, behind=behind))
        with process([command, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")], port, folder):
            yield port


SERVERS: dict[str, Callable[[Path], contextlib.AbstractContextManager[int]]] = {
    "nginx": nginx,
    "uvicorn on h11": lambda folder: uvicorn(folder, "h11"),
    "uvicorn on httptools": lambda folder: uvicorn(folder, "httptools"),
    "gunicorn": gunicorn,
    "waitress": _script("waitress", WAITRESS),
    "aiohttp": _script("aiohttp", AIOHTTP),
    "node": node,
}


@pytest.fixture(scope="module", params=list(SERVERS))
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with SERVERS[request.param](tmp_path_factory.mktemp("server")) as running:
        yield running


def test_hundred_requests_of_every_kind(caller: Caller, port: int) -> None:
    caller.open(Endpoint("127.0.0.1", port))
    expected = {"/small": b"small", "/large": LARGE, "/chunked": b"piece " * 250, "/gzip": GZIPPED}
    for turn in range(10):
        call = caller.stream if turn % 2 else caller.send
        for path, body in expected.items():
            reply = call(Request("GET", path))
            assert (reply.status, reply.content) == (200, body), path
        for path in ("/204", "/304"):
            assert call(Request("GET", path)).status == int(path[1:])
        reply = call(Request("HEAD", "/small"))
        assert (reply.status, reply.content) == (200, b"")
        for content in (b"body", LARGE + LARGE):
            assert call(Request("POST", "/echo", (), content)).content == content
        # In pieces, and so chunked.
        assert (
            call(Request("POST", "/echo", (), iter([b"one", b"", b"two" * 30_000]))).content == b"one" + b"two" * 30_000
        )
