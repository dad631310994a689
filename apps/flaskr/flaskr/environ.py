"""The environ as it arrived, for comparing what one server makes of a request with another."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request

blueprint = Blueprint("environ", __name__)


@blueprint.route("/environ", methods=["GET", "POST"])
def environ() -> dict[str, Any]:
    """``environ``: every string. ``types``: the name of every type, of what is no string, too.

    ``values``: what of the rest JSON can say (``wsgi.version``, ``wsgi.multithread`` ...). Flask's
    own entries are left out, and bytes that are not UTF-8 come out as PEP 3333 stores them: one
    character each.
    """
    given = {
        name: value
        for name, value in request.environ.items()
        if not name.startswith(("werkzeug.", "flask."))
    }
    return {
        "environ": {name: value for name, value in given.items() if isinstance(value, str)},
        "types": {name: type(value).__name__ for name, value in given.items()},
        "values": {
            name: value
            for name, value in given.items()
            if isinstance(value, (bool, int, tuple)) or value is None
        },
    }
