"""Reading numbers from the query string: a number in its range, or a 400 that says which."""

from __future__ import annotations

import math
from typing import TypeVar

from flask import abort, request

Number = TypeVar("Number", int, float)


def number(name: str, default: Number, most: Number) -> Number:
    """The argument ``name``, of the default's type, from 0 to ``most``."""
    text = request.args.get(name)
    if text is None:
        return default
    try:
        value = type(default)(text)
    except ValueError:
        abort(400, f'{name} is "{text}", which is not a number')
    if not (math.isfinite(value) and 0 <= value <= most):
        abort(400, f"{name} is {value}: it goes from 0 to {most}")
    return value
