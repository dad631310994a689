//! What a request costs the app-host: CPU time of the process over the requests it served.
//!
//! `cost PID SOCKET [REQUESTS] [PATH]`: sends requests as the gateway would, one after the other on
//! one connection, and reads `/proc/PID/task/*/schedstat` before and after.

#![expect(clippy::print_stdout, reason = "the figure is what this is for")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use bytes::BytesMut;
use fastcgi::{ClientConnection, ClientEvent, KeepConnection, RequestWriter};

const PARAMS: &[(&str, &str)] = &[
    ("CAUSEWAY_GATEWAY", "1"),
    ("REQUEST_METHOD", "GET"),
    ("SCRIPT_NAME", ""),
    ("QUERY_STRING", "a=1&b=2"),
    ("RAW_URI", "/hello/world?a=1&b=2"),
    ("SERVER_NAME", "localhost"),
    ("SERVER_PORT", "8000"),
    ("SERVER_PROTOCOL", "HTTP/1.1"),
    ("SERVER_SOFTWARE", "gunicorn/27.0.0"),
    ("REMOTE_ADDR", "127.0.0.1"),
    ("REMOTE_PORT", "51234"),
    ("wsgi.url_scheme", "http"),
    ("HTTP_HOST", "localhost:8000"),
    ("HTTP_USER_AGENT", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/124.0 Safari"),
    ("HTTP_ACCEPT", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"),
    ("HTTP_ACCEPT_LANGUAGE", "en-US,en;q=0.5"),
    ("HTTP_ACCEPT_ENCODING", "gzip, deflate, br, zstd"),
    ("HTTP_COOKIE", "sessionid=abcdef0123456789abcdef0123456789; csrftoken=0123456789abcdef"),
    ("HTTP_REFERER", "http://localhost:8000/"),
    ("HTTP_X_FORWARDED_FOR", "10.0.0.1"),
    ("HTTP_TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [pid, socket, more @ ..] = &arguments[..] else {
        return Err("usage: cost PID SOCKET [REQUESTS] [PATH]".into());
    };
    let requests: u32 = more.first().map_or(Ok(50_000), |number| number.parse())?;
    let path = more.get(1).map_or("/hello/world", String::as_str);
    let mut stream = UnixStream::connect(socket)?;
    let mut wire = Vec::new();
    let mut request = RequestWriter::begin(&mut wire, 1, KeepConnection::Yes);
    for (name, value) in PARAMS.iter().chain(&[("PATH_INFO", path)]) {
        request.param(name.as_bytes(), value.as_bytes());
    }
    request.params_end();
    fastcgi::stdin_end(&mut wire, 1);
    serve(&mut stream, &wire, requests / 10)?;
    for _ in 0..5 {
        let before = cpu_nanoseconds(pid)?;
        serve(&mut stream, &wire, requests)?;
        let spent = cpu_nanoseconds(pid)? - before;
        println!("{:.2} µs CPU per request", spent as f64 / 1000.0 / f64::from(requests));
    }
    Ok(())
}

fn serve(
    stream: &mut UnixStream,
    wire: &[u8],
    requests: u32,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut client = ClientConnection::new();
    client.expect(1);
    let mut input = BytesMut::new();
    let mut part = vec![0; 65_536];
    for _ in 0..requests {
        stream.write_all(wire)?;
        loop {
            match client.next(&mut input)? {
                Some(ClientEvent::End(_)) => break,
                Some(_) => (),
                None => {
                    let length = stream.read(&mut part)?;
                    if length == 0 {
                        return Err("the app-host closed the connection".into());
                    }
                    input.extend_from_slice(&part[..length]);
                }
            }
        }
    }
    Ok(())
}

fn cpu_nanoseconds(pid: &str) -> Result<u64, Box<dyn std::error::Error>> {
    let mut total = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        total += text.split_whitespace().next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(total)
}
