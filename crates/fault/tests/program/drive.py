"""Every call of toxiproxy-python against a running causeway-fault, and what it does to a connection."""

import socket
import sys
import threading
import time

from toxiproxy import Toxiproxy
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists


def echo(listener):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=echo_one, args=(connection,), daemon=True).start()


def echo_one(connection):
    with connection:
        try:
            while data := connection.recv(65536):
                connection.sendall(data)
        except ConnectionError:
            pass


def connect(proxy):
    host, port = proxy.listen.split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def asked(connection, data=b"ping"):
    connection.sendall(data)
    return connection.recv(65536)


def raises(expected, call):
    try:
        call()
    except expected:
        return
    raise AssertionError(f"{expected} was not raised")


upstream = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=echo, args=(upstream,), daemon=True).start()
address = "127.0.0.1:%d" % upstream.getsockname()[1]

server = Toxiproxy()
server.update_api_consumer(sys.argv[1], int(sys.argv[2]))
assert server.running()
assert b'"version"' in server.version()

proxy = server.create(name="echo", upstream=address)
assert proxy.enabled and not proxy.listen.endswith(":0"), vars(proxy)
raises(ProxyExists, lambda: server.create(name="echo", upstream=address))
assert list(server.proxies()) == ["echo"]
assert server.get_proxy("echo").upstream == address
assert server.get_proxy("other") is None
assert asked(connect(proxy)) == b"ping"

proxy.add_toxic(type="latency", attributes={"latency": 150})
assert list(proxy.toxics()) == ["latency_downstream"]
toxic = proxy.get_toxic("latency_downstream")
assert (toxic.type, toxic.stream, toxic.toxicity) == ("latency", "downstream", 1.0), vars(toxic)
assert toxic.attributes == {"latency": 150, "jitter": 0}, toxic.attributes
begun = time.monotonic()
assert asked(connect(proxy)) == b"ping"
assert time.monotonic() - begun >= 0.15
assert proxy.destroy_toxic("latency_downstream")
assert proxy.toxics() == {} and proxy.get_toxic("latency_downstream") is None

proxy.add_toxic(name="cut", type="limit_data", stream="upstream", attributes={"bytes": 2})
assert asked(connect(proxy), b"abcd") in (b"ab", b"")
raises(ProxyExists, lambda: proxy.add_toxic(name="cut", type="limit_data"))
raises(InvalidToxic, lambda: proxy.add_toxic(type="rain"))
raises(InvalidToxic, lambda: proxy.add_toxic(type="latency", stream="sideways"))
raises(NotFound, lambda: proxy.destroy_toxic("none"))
proxy.destroy_toxic("cut")

proxy.add_toxic(type="reset_peer", attributes={"timeout": 0})
raises(ConnectionResetError, lambda: asked(connect(proxy)))
proxy.add_toxic(type="http_status", stream="upstream", attributes={"status": 418})
assert server.reset()
assert proxy.toxics() == {}

open_one = connect(proxy)
assert asked(open_one) == b"ping"
with proxy.down():
    assert not server.get_proxy("echo").enabled
    assert open_one.recv(1) == b""
    raises(ConnectionRefusedError, lambda: connect(proxy))
assert asked(connect(proxy)) == b"ping"

made = server.populate([
    {"name": "one", "upstream": address, "listen": "127.0.0.1:0"},
    {"name": "two", "upstream": address, "listen": "127.0.0.1:0"},
])
assert [one.name for one in made] == ["one", "two"]
assert server.destroy(made[0])
assert sorted(server.proxies()) == ["echo", "two"]
server.destroy_all()
assert server.proxies() == {}
