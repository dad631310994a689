//! `listen`: ranges of ports, and how a socket is opened.

use std::io::{Read, Write};

use crate::server::{Edge, Site};

#[test]
fn a_range_is_every_port_of_it() {
    // Two ports beside each other can not be asked for: the range is of one.
    let edge = Edge::start(
        "server { listen 127.0.0.1:%%PORT%%-%%PORT%%; listen [::1]:%%PORT1%%-%%PORT1%%;
            location / { return 200 $server_port; } }",
    );
    assert_eq!(edge.get("/").text(), edge.site.port("PORT").to_string());
}

#[test]
fn a_socket_may_wait_for_the_first_word() {
    let edge = Edge::start(
        "server { listen 127.0.0.1:%%PORT%% deferred fastopen=8 backlog=16 rcvbuf=32k sndbuf=32k
            so_keepalive=30m::10; return 200 ok; }",
    );
    let mut stream = edge.connect();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("sent");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("answered");
    assert!(response.ends_with("\r\n\r\nok"), "{response}");
}

#[test]
fn slips() {
    let check = |listen: &str, expected: &str| {
        let site = Site::new();
        site.write("nginx.conf", site.config(&format!("server {{ listen {listen}; }}")));
        let output = site.run(&["-t"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(expected), "{listen}: {said}");
    };
    check("127.0.0.1:82-80", "in \"127.0.0.1:82-80\" of the \"listen\" directive");
    check("80 fastopen=x", "invalid fastopen \"fastopen=x\"");
    check("80 backlog=0", "invalid backlog \"backlog=0\"");
    check("80 rcvbuf=x", "invalid rcvbuf \"rcvbuf=x\"");
    check("80 ipv6only=of", "invalid ipv6only flags \"of\"");
    check("80 setfib=1", "invalid parameter \"setfib=1\"");
}
