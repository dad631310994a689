//! Reading: a configuration of a hundred servers, and the head of one browser's request.

use std::{fmt::Write, hint::black_box, sync::Arc};

use causeway_edge::conf;
use criterion::{Criterion, criterion_group, criterion_main};
use http1::{FieldLine, field_line, request_line};

const HEAD: &[u8] = b"GET /question/list/?page=3&kw=rust HTTP/1.1\r\n\
Host: localhost:8080\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
Accept-Language: ko,en;q=0.8\r\n\
Accept-Encoding: gzip, deflate, br\r\n\
Connection: keep-alive\r\n\
Referer: http://localhost:8080/question/list/\r\n\
Cookie: csrftoken=0123456789abcdef0123456789abcdef; sessionid=fedcba9876543210\r\n\
Upgrade-Insecure-Requests: 1\r\n\r\n";

fn configuration(criterion: &mut Criterion) {
    let mut text = String::from("events { }\nhttp {\n");
    for server in 0..100 {
        write!(
            text,
            "server {{ listen 80; server_name s{server}.example.org; root /srv/s{server};\n\
             location /static/ {{ expires 1d; }}\n\
             location ~ \\.php$ {{ return 200 \"$uri ${{args}}\"; }} }}\n"
        )
        .expect("a string takes everything");
    }
    text.push_str("}\n");
    let name: Arc<str> = "nginx.conf".into();
    criterion.bench_function("parse a configuration of 100 servers", |bench| {
        bench.iter(|| conf::parse(black_box(&text), &name).expect("a good file"));
    });
}

fn head(criterion: &mut Criterion) {
    criterion.bench_function("read a request's head", |bench| {
        bench.iter(|| {
            let line = request_line(black_box(HEAD)).expect("good").expect("complete");
            let (mut at, mut fields) = (line.end, 0);
            while let Some(FieldLine::Field(field)) = field_line(HEAD, at).expect("good") {
                (at, fields) = (field.end, fields + 1);
            }
            fields
        });
    });
}

criterion_group!(benches, configuration, head);
criterion_main!(benches);
