"""Flaskr: a page for each thing a WSGI server can get wrong.

Where Pybo is an application as people write them, this one is for looking at the servers before
it: bodies in and out, byte for byte; an answer that comes in pieces; one that is late; one that
fails, before or after its first byte; and the environ as it arrived. It keeps no state.
"""

from __future__ import annotations

from flask import Flask, render_template

from flaskr import bodies, environ, slowness


def create_app() -> Flask:
    app = Flask(__name__)
    app.register_blueprint(bodies.blueprint)
    app.register_blueprint(slowness.blueprint)
    app.register_blueprint(environ.blueprint)

    @app.get("/")
    def index() -> str:
        return render_template("index.html")

    @app.get("/error")
    def error() -> str:
        """A 500 of Flask, with the traceback on ``wsgi.errors``."""
        raise RuntimeError("asked to fail by /error")

    return app
