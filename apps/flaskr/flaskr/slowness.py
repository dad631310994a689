"""Answers that take their time: in pieces, or all at once but late."""

from __future__ import annotations

import time
from collections.abc import Iterator

from flask import Blueprint, Response, request

from flaskr.arguments import number

blueprint = Blueprint("slowness", __name__)

LONGEST = 60.0
MOST_PIECES = 10_000


@blueprint.get("/stream")
def stream() -> Response:
    """``?n=5&delay=0.2``: five lines, each sent when it is made, ``delay`` seconds apart.

    There is no Content-Length, and the proxy is asked not to buffer (``X-Accel-Buffering: no``),
    unless ``buffering=yes`` leaves that to the proxy. ``fail=3`` fails instead of making the third
    line: too late for an error page, so a good server breaks the connection.
    """
    lines = number("n", 5, MOST_PIECES)
    delay = number("delay", 0.2, LONGEST)
    fail = number("fail", 0, MOST_PIECES)
    response = Response(pieces(lines, delay, fail), mimetype="text/plain")
    if request.args.get("buffering") != "yes":
        response.headers["X-Accel-Buffering"] = "no"
    return response


def pieces(lines: int, delay: float, fail: int) -> Iterator[str]:
    for line in range(1, lines + 1):
        if line > 1:
            time.sleep(delay)
        if line == fail:
            raise RuntimeError(f"asked to fail at line {line} of /stream")
        yield f"line {line} of {lines}\n"


@blueprint.get("/slow")
def slow() -> Response:
    """``?seconds=1``: nothing for a second, then everything."""
    seconds = number("seconds", 1.0, LONGEST)
    time.sleep(seconds)
    return Response(f"answered after {seconds:g} s\n", mimetype="text/plain")
