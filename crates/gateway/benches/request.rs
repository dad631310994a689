//! What each request costs before a worker sees it: its head read, and written as variables.

use std::hint::black_box;

use bytes::BytesMut;
use causeway_gateway::measure::Bench;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

/// A browser's, as the edge forwards it.
const HEAD: &[u8] = b"GET /question/list/?page=3&kw=rust HTTP/1.1\r\n\
Host: localhost:8080\r\n\
X-Real-IP: 127.0.0.1\r\n\
X-Forwarded-For: 127.0.0.1\r\n\
X-Forwarded-Proto: http\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
Accept-Language: ko,en;q=0.8\r\n\
Accept-Encoding: gzip, deflate, br\r\n\
Referer: http://localhost:8080/question/list/\r\n\
Cookie: csrftoken=0123456789abcdef0123456789abcdef; sessionid=fedcba9876543210\r\n\
Upgrade-Insecure-Requests: 1\r\n\r\n";

fn request(criterion: &mut Criterion) {
    let inside = Bench::default();
    criterion.bench_function("read a request's head", |bench| {
        bench.iter_batched(
            || BytesMut::from(HEAD),
            |mut buffer| inside.read(black_box(&mut buffer)).expect("a good head"),
            BatchSize::SmallInput,
        );
    });
    let request = inside.read(&mut BytesMut::from(HEAD)).expect("a good head");
    criterion.bench_function("write a request's variables", |bench| {
        bench.iter(|| inside.params(black_box(&request)).expect("it is not mounted"));
    });
}

criterion_group!(benches, request);
criterion_main!(benches);
