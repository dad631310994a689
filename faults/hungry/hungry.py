"""An application that needs as much memory as it is asked for: ``/allocate?mib=N``."""

from urllib.parse import parse_qs

MOST_MIB = 256


def application(environ, start_response):
    wanted = parse_qs(environ.get("QUERY_STRING", "")).get("mib", ["0"])[0]
    mib = min(int(wanted), MOST_MIB) if wanted.isdecimal() else 0
    body = b"%d bytes\n" % len(bytes(mib << 20))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
