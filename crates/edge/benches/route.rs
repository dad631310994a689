//! From a path to its location, and from a location to its answer.

use std::{fmt::Write, hint::black_box, rc::Rc};

use bytes::Bytes;
use causeway_edge::{
    body::{Framing, RequestBody},
    connection::{Client, Io, Peer, PeerAddress},
    engine,
    exchange::{Exchange, Request},
    headers::Headers,
    load::{self, Options},
};
use criterion::{Criterion, criterion_group, criterion_main};
use tokio::net::{TcpListener, TcpStream};

/// An exchange under a configuration with this many prefixes and a few patterns.
async fn exchange(prefixes: usize) -> Exchange {
    let folder = tempfile::tempdir().expect("a folder");
    let mut text = String::from("events { }\nhttp { server { listen 127.0.0.1:1;\n");
    for number in 0..prefixes {
        writeln!(text, "location /p{number}/ {{ return 200 \"$uri $args $host\"; }}")
            .expect("a string takes everything");
    }
    text.push_str("location ~ \\.php$ { } location ~* \\.(gif|jpg)$ { } location / { } } }\n");
    let file = folder.path().join("nginx.conf");
    std::fs::write(&file, text).expect("a file");
    let prefix = folder.path().to_owned();
    let options = Options { prefix, file, ..Options::default() };
    let http = load::load(&options).expect("a good file").http.expect("an http block");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let stream = TcpStream::connect(address).await.expect("connected");
    let peer = Peer::new(1, PeerAddress::Ip(address), PeerAddress::Ip(address));
    let client = Rc::new(Client::new(Io::Tcp(stream), Rc::new(peer)));
    let request = Request {
        line: Bytes::from_static(b"GET / HTTP/1.1"),
        method: Bytes::from_static(b"GET"),
        target: Bytes::from_static(b"/"),
        version: causeway_edge::exchange::Protocol::Http11,
        headers: Headers::default(),
        host: Some(Bytes::from_static(b"localhost")),
        port: None,
        keep_alive: true,
        pipelined: false,
        head_size: 0,
    };
    let body = RequestBody::new(&client, &request, Framing::Empty);
    Exchange::new(&http, &client, &http.addresses[0].default, request, body)
}

fn route(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    for prefixes in [8, 32, 200] {
        let mut exchange = runtime.block_on(exchange(prefixes));
        let server = exchange.server.clone();
        for (what, path) in [("a prefix", "/p3/file.html"), ("a pattern", "/p3/x.jpg")] {
            exchange.uri = Bytes::from_static(path.as_bytes());
            criterion.bench_function(&format!("find {what} among {prefixes} locations"), |bench| {
                bench.iter(|| black_box(server.locations.find(&mut exchange)));
            });
        }
    }
}

/// All the phases of a request that a template of three variables answers.
fn render(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let mut exchange = runtime.block_on(exchange(1));
    criterion.bench_function("answer with a template of three variables", |bench| {
        bench.iter(|| {
            exchange.uri = Bytes::from_static(b"/p0/file.html");
            black_box(runtime.block_on(engine::answer(&mut exchange)))
        });
    });
}

criterion_group!(benches, route, render);
criterion_main!(benches);
