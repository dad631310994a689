"""Draws ``static/pybo.png`` and ``static/favicon.png``: a causeway over water, in four colours.

The pictures are kept in the repository; this is how they were made, needing nothing but Python.
Each pixel is the mean of 8 x 8 points, which is all the smoothing a drawing of this kind needs.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

STATIC = Path(__file__).resolve().parent.parent / "static"
POINTS = 8

Colour = tuple[int, int, int]
SKY: Colour = (11, 110, 99)
SUN: Colour = (255, 209, 102)
ROAD: Colour = (240, 250, 248)
WATER: Colour = (7, 74, 68)


def colour_at(x: float, y: float) -> Colour:
    """The drawing, on a square from 0 to 1, y downwards."""
    if 0.46 <= y < 0.56:
        return ROAD
    if y >= 0.56:
        # Three piers: what is left between arches half as high as they are wide.
        arch = (x * 3) % 1 - 0.5
        reach = 0.40**2 - arch**2
        pier = reach <= 0 or y < 0.56 + 0.22 - 0.55 * reach**0.5
        return ROAD if pier and y < 0.78 else WATER
    return SUN if (x - 0.66) ** 2 + (y - 0.30) ** 2 < 0.12**2 else SKY


def pixel(column: int, row: int, size: int) -> bytes:
    samples = [
        colour_at((column + (i + 0.5) / POINTS) / size, (row + (j + 0.5) / POINTS) / size)
        for i in range(POINTS)
        for j in range(POINTS)
    ]
    return bytes(sum(channel) // len(samples) for channel in zip(*samples, strict=True))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(size: int) -> bytes:
    """A square of 8-bit RGB; each row starts with a zero, which says it is stored unfiltered."""
    rows = b"".join(
        b"\0" + b"".join(pixel(column, row, size) for column in range(size)) for row in range(size)
    )
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )


if __name__ == "__main__":
    for name, size in {"pybo.png": 144, "favicon.png": 32}.items():
        (STATIC / name).write_bytes(png(size))
