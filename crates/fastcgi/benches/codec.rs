//! What the codec costs: a browser's request and a page, each written and read.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{Criterion, criterion_group, criterion_main};
use fastcgi::{
    ClientConnection, ClientEvent, HeadReader, KeepConnection, ProtocolStatus, RequestWriter,
    ServerConnection, ServerEvent, ServerLimits,
};

const PARAMS: &[(&str, &str)] = &[
    ("REQUEST_METHOD", "GET"),
    ("SCRIPT_NAME", ""),
    ("PATH_INFO", "/pybo/list/"),
    ("QUERY_STRING", "page=2&kw=rust"),
    ("RAW_URI", "/pybo/list/?page=2&kw=rust"),
    ("SERVER_NAME", "localhost"),
    ("SERVER_PORT", "8000"),
    ("SERVER_PROTOCOL", "HTTP/1.1"),
    ("REMOTE_ADDR", "127.0.0.1"),
    ("REMOTE_PORT", "51234"),
    ("SERVER_SOFTWARE", "gunicorn/27.0.0"),
    ("wsgi.url_scheme", "http"),
    ("HTTP_HOST", "localhost:8000"),
    ("HTTP_USER_AGENT", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/124.0 Safari"),
    ("HTTP_ACCEPT", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"),
    ("HTTP_ACCEPT_LANGUAGE", "en-US,en;q=0.5"),
    ("HTTP_ACCEPT_ENCODING", "gzip, deflate, br, zstd"),
    ("HTTP_CONNECTION", "keep-alive"),
    ("HTTP_COOKIE", "sessionid=abcdef0123456789abcdef0123456789; csrftoken=0123456789abcdef"),
    ("HTTP_REFERER", "http://localhost:8000/"),
    ("HTTP_X_FORWARDED_FOR", "10.0.0.1"),
    ("HTTP_TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
];

const HEAD: &[u8] = b"Status: 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\
    X-Frame-Options: DENY\r\nContent-Length: 10000\r\nVary: Cookie\r\n\r\n";

fn write_request(wire: &mut Vec<u8>) {
    let mut request = RequestWriter::begin(wire, 1, KeepConnection::Yes);
    for (name, value) in PARAMS {
        request.param(name.as_bytes(), value.as_bytes());
    }
    request.params_end();
    fastcgi::stdin_end(wire, 1);
}

fn write_response(wire: &mut Vec<u8>) {
    fastcgi::stdout(wire, 1, HEAD);
    fastcgi::stdout(wire, 1, &[b'x'; 10_000]);
    fastcgi::end_request(wire, 1, 0, ProtocolStatus::RequestComplete);
}

fn codec(criterion: &mut Criterion) {
    let mut wire = Vec::new();
    criterion.bench_function("write request", |bencher| {
        bencher.iter(|| {
            wire.clear();
            write_request(black_box(&mut wire));
        });
    });

    let mut request = Vec::new();
    write_request(&mut request);
    let mut server = ServerConnection::new(ServerLimits { params: 1 << 20, connections: 1 });
    let (mut input, mut answers) = (BytesMut::with_capacity(65_536), Vec::new());
    criterion.bench_function("read request", |bencher| {
        bencher.iter(|| {
            input.reserve(request.len());
            input.extend_from_slice(&request);
            while let Some(event) = server.next(&mut input, &mut answers).expect("well formed") {
                if let ServerEvent::Params(params) = event {
                    for pair in params.iter() {
                        black_box(pair);
                    }
                }
            }
            server.finish();
        });
    });

    criterion.bench_function("write response", |bencher| {
        bencher.iter(|| {
            wire.clear();
            write_response(black_box(&mut wire));
        });
    });

    let mut response = Vec::new();
    write_response(&mut response);
    let mut client = ClientConnection::new();
    client.expect(1);
    criterion.bench_function("read response", |bencher| {
        bencher.iter(|| {
            let mut head = HeadReader::new(65_536);
            let mut in_head = true;
            input.reserve(response.len());
            input.extend_from_slice(&response);
            while let Some(event) = client.next(&mut input).expect("well formed") {
                match event {
                    ClientEvent::Stdout(data) if in_head => {
                        black_box(head.push(data).expect("well formed"));
                        in_head = false;
                    }
                    other => {
                        black_box(other);
                    }
                }
            }
        });
    });
}

criterion_group!(benches, codec);
criterion_main!(benches);
