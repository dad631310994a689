"""What an application costs without a server: `in_process.py MODULE:CALLABLE PATH SECONDS` calls it again
and again, as a server would, and prints the CPU microseconds of one call: the median of many blocks."""

import importlib
import io
import statistics
import sys
import time

module, _, name = sys.argv[1].partition(":")
application = getattr(importlib.import_module(module), name)
path, _, query = sys.argv[2].partition("?")
seconds = float(sys.argv[3])

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": path,
    "QUERY_STRING": query,
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "127.0.0.1",
    "HTTP_HOST": "127.0.0.1",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": False,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}


def start_response(status, headers, exc_info=None):
    assert status.startswith("200"), status


def call():
    environ = dict(ENVIRON)
    environ["wsgi.input"] = io.BytesIO()
    result = application(environ, start_response)
    for _ in result:
        pass
    if hasattr(result, "close"):
        result.close()


def block(calls):
    begun = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - begun) / calls


block(100)
calls = max(10, int(0.05 / block(50)))
costs = []
end = time.perf_counter() + seconds
while time.perf_counter() < end or len(costs) < 5:
    costs.append(block(calls))
print(statistics.median(costs) * 1e6)
