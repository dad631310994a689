"""A little work for each request, and an answer that shows that the request arrived whole."""

import time


def application(environ, start_response):
    body = environ["wsgi.input"].read() or b"nothing"
    time.sleep(0.005)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
