//! How large a request's head may be, to the byte: `client_header_buffer_size` and
//! `large_client_header_buffers`, of the server that the host means.

use crate::server::{Edge, is_nginx};

const CONF: &str = "
connection_pool_size 128; client_header_buffer_size 128;
server { listen 127.0.0.1:%%PORT%%; server_name small; large_client_header_buffers 2 256; return 204; }
server { listen 127.0.0.1:%%PORT%%; server_name large; large_client_header_buffers 4 512; return 204; }
";

/// A request whose target and fields have these lengths, line ends included.
fn request(host: &str, line: usize, fields: &[usize]) -> String {
    let target = "a".repeat(line - "GET / HTTP/1.1\r\n".len());
    let mut text = format!("GET /{target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for length in fields {
        text.extend(["X: ", &"b".repeat(length - "X: \r\n".len()), "\r\n"]);
    }
    text + "\r\n"
}

#[test]
fn a_line_has_room_in_one_buffer() {
    let edge = Edge::start(CONF);
    let check = |host: &str, line, fields: &[usize], expected: &str| {
        let response = edge.raw(request(host, line, fields).as_bytes());
        let response = String::from_utf8_lossy(&response);
        let status = response.split(' ').nth(1).unwrap_or_default();
        assert_eq!(status, expected, "{host} {line} {fields:?}");
        if expected == "400" {
            assert!(response.contains("Request Header Or Cookie Too Large"), "{response}");
        }
    };
    check("small", 100, &[], "204");
    check("small", 256, &[], "204");
    check("small", 257, &[], "414");
    // The limits of the server that the host means come too late for the first line.
    check("large", 256, &[], "204");
    check("large", 257, &[], "414");
    check("small", 20, &[256], "204");
    check("small", 20, &[257], "400");
    check("small", 20, &[200, 200], "204");
    check("small", 20, &[256, 256], "400");
    check("small", 20, &[200, 200, 200], "400");
    check("small", 20, &[200, 50, 200, 50], "204");
    check("large", 20, &[512], "204");
    check("large", 20, &[513], "400");
    check("large", 20, &[500, 500, 500, 500], "204");
    check("large", 20, &[500, 500, 500, 500, 500], "400");
}

#[test]
fn a_head_in_pieces_is_as_large() {
    let edge = Edge::start(CONF);
    for (fields, expected) in [(&[200, 50, 200, 50][..], "204"), (&[200, 200, 200], "400")] {
        let request = request("small", 20, fields);
        let mut stream = edge.connect();
        for piece in request.as_bytes().chunks(7) {
            // What is refused is refused before its end.
            if std::io::Write::write_all(&mut stream, piece).is_err() {
                break;
            }
        }
        let mut response = Vec::new();
        let _reset = std::io::Read::read_to_end(&mut stream, &mut response);
        let response = String::from_utf8_lossy(&response);
        assert!(response.starts_with(&format!("HTTP/1.1 {expected} ")), "{fields:?}: {response}");
    }
}

/// Empty lines are skipped, and are no way to keep a buffer growing.
#[test]
fn there_is_an_end_to_empty_lines() {
    let edge = Edge::start(CONF);
    let few = [b"\r\n".repeat(20), request("small", 100, &[]).into_bytes()].concat();
    assert!(edge.raw(&few).starts_with(b"HTTP/1.1 204 "));
    if is_nginx() {
        return; // As many as there is time for.
    }
    let mut stream = edge.connect();
    let mut response = Vec::new();
    for _ in 0..100 {
        if std::io::Write::write_all(&mut stream, &b"\r\n".repeat(100)).is_err() {
            break;
        }
    }
    let _reset = std::io::Read::read_to_end(&mut stream, &mut response);
    assert!(response.starts_with(b"HTTP/1.1 400 ") || response.is_empty());
}
