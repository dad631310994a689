"""Bytes in and bytes out, in a form that shows at once whether any was lost, added or moved."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import IO, Any

from flask import Blueprint, Response, render_template, request

from flaskr.arguments import number

blueprint = Blueprint("bodies", __name__)

PIECE = 64 * 1024
MOST_BYTES = 1 << 30
DEFAULT_BYTES = 10 * 1024 * 1024

# Byte n of a download is n modulo 251. The period is a prime, so that a piece that is moved by any
# usual buffer size does not look like the one that belongs there.
PERIOD = 251
PATTERN = bytes(range(PERIOD)) * (PIECE // PERIOD)


@blueprint.get("/upload")
def upload_form() -> str:
    return render_template("upload.html")


@blueprint.post("/upload")
def upload() -> dict[str, Any]:
    """Count and digest the body: its files if it is multipart, else all of it as it came.

    ``bytes`` and ``sha256`` are over all files one after the other, so for a single file they are
    that file's, and a client need not care in which way it sent it.
    """
    digest = hashlib.sha256()
    if request.mimetype != "multipart/form-data":
        return {
            "kind": "raw",
            "bytes": consume(request.stream, digest),
            "sha256": digest.hexdigest(),
        }
    files = []
    for field, file in request.files.items(multi=True):
        own = hashlib.sha256()
        size = consume(file.stream, own, digest)
        files.append(
            {"field": field, "name": file.filename, "bytes": size, "sha256": own.hexdigest()}
        )
    total = sum(file["bytes"] for file in files)
    return {"kind": "multipart", "bytes": total, "sha256": digest.hexdigest(), "files": files}


def consume(stream: IO[bytes], *digests: Any) -> int:
    """Read to the end in pieces; the body may be larger than the memory we want to spend."""
    size = 0
    while piece := stream.read(PIECE):
        size += len(piece)
        for digest in digests:
            digest.update(piece)
    return size


@blueprint.get("/download")
def download() -> Response:
    """``?bytes=N``: so many bytes, streamed, with their Content-Length."""
    size = number("bytes", DEFAULT_BYTES, MOST_BYTES)
    response = Response(pattern(size), mimetype="application/octet-stream")
    response.content_length = size
    response.headers["Content-Disposition"] = 'attachment; filename="flaskr.bin"'
    return response


def pattern(size: int) -> Iterator[bytes]:
    whole, rest = divmod(size, len(PATTERN))
    for _ in range(whole):
        yield PATTERN
    if rest:
        yield PATTERN[:rest]
