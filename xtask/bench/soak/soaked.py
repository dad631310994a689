"""Pybo, and beside it what a soak asks for and Pybo has not: uploads, streams, exceptions."""

import time

from config.wsgi import application as pybo

PIECE = b"s" * 1024


def application(environ, start_response):
    return ROUTES.get(environ["PATH_INFO"], pybo)(environ, start_response)


def echo(environ, start_response):
    """What was uploaded, as often as it was read: in parts, as applications read files."""
    parts = iter(lambda: environ["wsgi.input"].read(65536), b"")
    body = b"".join(parts)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def stream(environ, start_response):
    """Half a second of pieces."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(100):
        time.sleep(0.005)
        yield PIECE


def raises(environ, start_response):
    raise RuntimeError("as it was asked to")


ROUTES = {"/soak/echo": echo, "/soak/stream": stream, "/soak/raises": raises}
