//! The toxics that know HTTP: on real connections that are kept open, on either stream.

use std::time::{Duration, Instant};

use fault::{
    HttpBadChunk, HttpDrop, HttpDuplicateHeader, HttpHugeHeader, HttpSlowHead, HttpStall,
    HttpStatus, HttpTruncate, HttpWrongLength, Kind, Stream, Toxic,
};

use crate::peer::{Family, Peer, Stand};

const GET: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// A request and its answer, both as they were sent.
async fn exchange(client: &mut Peer, server: &mut Peer) {
    client.send(GET).await;
    server.expect(GET).await;
    server.send(OK).await;
    client.expect(OK).await;
}

fn first(first: u64) -> Kind {
    Kind::HttpDrop(HttpDrop { first, ..HttpDrop::default() })
}

fn status(status: u16, first: u64) -> Kind {
    Kind::HttpStatus(HttpStatus { status, first, ..HttpStatus::default() })
}

#[tokio::test]
async fn the_first_requests_are_dropped_before_the_server_sees_them() {
    for family in [Family::Tcp, Family::Unix] {
        let stand = Stand::of(family).await;
        stand.proxy.toxic(Toxic::on(Stream::Upstream, first(2))).unwrap();
        for _ in 0..2 {
            let (mut client, mut server) = stand.pair().await;
            client.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc").await;
            server.ends().await;
            client.ends().await;
        }
        let (mut client, mut server) = stand.pair().await;
        exchange(&mut client, &mut server).await;
        exchange(&mut client, &mut server).await;
        let lines = stand.lines("\"http_drop_upstream\" (http_drop) applied to POST /a");
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[1].ends_with("(2 of 2)"), "{lines:?}");
        assert_eq!(stand.proxy.taken("http_drop_upstream").unwrap(), 2);
    }
}

#[tokio::test]
async fn an_answer_is_dropped_after_the_server_has_given_it() {
    let stand = Stand::new().await;
    let (mut client, mut server) = stand.pair().await;
    exchange(&mut client, &mut server).await;
    stand.proxy.toxic(Toxic::new(first(1))).unwrap();
    client.send(GET).await;
    server.expect(GET).await;
    server.send(OK).await;
    client.ends().await;
    server.ends().await;
    let (mut client, mut server) = stand.pair().await;
    exchange(&mut client, &mut server).await;
}

#[tokio::test]
async fn a_status_is_answered_without_asking_and_the_connection_is_kept() {
    let stand = Stand::new().await;
    stand.proxy.toxic(Toxic::on(Stream::Upstream, status(503, 2))).unwrap();
    let (mut client, mut server) = stand.pair().await;
    for request in ["POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "GET /b HTTP/1.1\r\n\r\n"] {
        client.send(request).await;
        client
            .expect(
                "HTTP/1.1 503 Service Unavailable\r\nConnection: keep-alive\r\n\
                 Content-Type: text/plain\r\nContent-Length: 16\r\n\r\nhttp_status 503\n",
            )
            .await;
    }
    exchange(&mut client, &mut server).await;
    assert_eq!(stand.proxy.counters().upstream.sent, GET.len() as u64);
}

#[tokio::test]
async fn a_status_takes_its_turn_after_the_answers_before_it() {
    let stand = Stand::new().await;
    let path = "/own".to_owned();
    let own = HttpStatus { status: 404, path, ..HttpStatus::default() };
    stand.proxy.toxic(Toxic::on(Stream::Upstream, Kind::HttpStatus(own))).unwrap();
    let (mut client, mut server) = stand.pair().await;
    client.send(format!("{GET}HEAD /own HTTP/1.1\r\n\r\n{GET}")).await;
    server.expect(&format!("{GET}{GET}")).await;
    server.send(format!("{OK}{OK}")).await;
    let own = "HTTP/1.1 404 Not Found\r\nConnection: keep-alive\r\nContent-Type: text/plain\r\n\
               Content-Length: 16\r\n\r\n";
    client.expect(&format!("{OK}{own}{OK}")).await;
}

#[tokio::test]
async fn a_status_closes_where_the_request_says_so_or_waits_for_leave() {
    for field in ["Connection: close", "Expect: 100-continue"] {
        let stand = Stand::new().await;
        stand.proxy.toxic(Toxic::on(Stream::Upstream, status(413, 0))).unwrap();
        let (mut client, mut server) = stand.pair().await;
        let length = if field.starts_with('E') { 1000 } else { 0 };
        client.send(format!("PUT / HTTP/1.1\r\nContent-Length: {length}\r\n{field}\r\n\r\n")).await;
        let (answer, end) = client.rest().await;
        end.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\n")
                || answer.starts_with("HTTP/1.1 413 Payload Too Large\r\nConnection: close\r\n"),
            "{answer}"
        );
        server.ends().await;
    }
}

#[tokio::test]
async fn a_status_replaces_what_the_server_has_answered() {
    let stand = Stand::new().await;
    stand.proxy.toxic(Toxic::new(status(500, 1))).unwrap();
    let (mut client, mut server) = stand.pair().await;
    client.send(GET).await;
    server.expect(GET).await;
    server.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel").await;
    client
        .expect(
            "HTTP/1.1 500 Internal Server Error\r\nConnection: keep-alive\r\n\
             Content-Type: text/plain\r\nContent-Length: 16\r\n\r\nhttp_status 500\n",
        )
        .await;
    server.send("lo\r\n0\r\n\r\n").await;
    exchange(&mut client, &mut server).await;
}

#[tokio::test]
async fn a_body_is_cut_and_the_connection_closed() {
    let stand = Stand::new().await;
    let cut = Kind::HttpTruncate(HttpTruncate { bytes: 3, first: 1, ..HttpTruncate::default() });
    stand.proxy.toxic(Toxic::new(cut.clone())).unwrap();
    let (mut client, mut server) = stand.pair().await;
    client.send(GET).await;
    server.expect(GET).await;
    server.send(OK).await;
    client.expect("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel").await;
    client.ends().await;
    server.ends().await;
    stand.proxy.remove_all();
    stand.proxy.toxic(Toxic::on(Stream::Upstream, cut)).unwrap();
    let (mut client, mut server) = stand.pair().await;
    // A request without a body is no request to cut, and does not count.
    exchange(&mut client, &mut server).await;
    assert_eq!(stand.lines("not applied to GET /a: it has no body").len(), 1);
    client.send("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd").await;
    server.expect("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nabc").await;
    server.ends().await;
}

#[tokio::test]
async fn content_length_is_off_by_so_many() {
    let stand = Stand::new().await;
    for (offset, length) in [(7, 12), (-2, 3), (-100, 0)] {
        let wrong = HttpWrongLength { offset, ..HttpWrongLength::default() };
        stand.proxy.toxic(Toxic::new(Kind::HttpWrongLength(wrong))).unwrap();
        let (mut client, mut server) = stand.pair().await;
        client.send(GET).await;
        server.expect(GET).await;
        server.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nX: y\r\n\r\nhello").await;
        client
            .expect(&format!("HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: {length}\r\n\r\nhello"))
            .await;
        stand.proxy.remove_all();
        exchange(&mut client, &mut server).await;
    }
}

#[tokio::test]
async fn a_chunk_has_no_size_whatever_the_framing_was() {
    for body in ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"] {
        let stand = Stand::new().await;
        let bad = Kind::HttpBadChunk(HttpBadChunk { first: 1, ..HttpBadChunk::default() });
        stand.proxy.toxic(Toxic::new(bad)).unwrap();
        let (mut client, mut server) = stand.pair().await;
        client.send(GET).await;
        server.expect(GET).await;
        server.send(format!("HTTP/1.1 200 OK\r\n{body}")).await;
        let content = body.split_once("\r\n\r\n").unwrap().1;
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno-size\r\n";
        client.expect(&format!("{head}{content}")).await;
        exchange(&mut client, &mut server).await;
    }
}

#[tokio::test]
async fn a_head_grows_by_so_many_bytes() {
    let stand = Stand::new().await;
    let huge = HttpHugeHeader { bytes: 200_000, first: 1, ..HttpHugeHeader::default() };
    stand.proxy.toxic(Toxic::new(Kind::HttpHugeHeader(huge))).unwrap();
    let (mut client, mut server) = stand.pair().await;
    client.send(GET).await;
    server.expect(GET).await;
    server.send(OK).await;
    let field = format!("X-Fault: {}\r\n", "x".repeat(200_000));
    client.expect(&format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n{field}\r\nhello")).await;
    exchange(&mut client, &mut server).await;
}

#[tokio::test]
async fn the_body_stalls_until_the_toxic_is_removed() {
    let stand = Stand::new().await;
    stand.proxy.toxic(Toxic::new(Kind::HttpStall(HttpStall::default()))).unwrap();
    let (mut client, mut server) = stand.pair().await;
    client.send(GET).await;
    server.expect(GET).await;
    server.send(OK).await;
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    client.expect(head).await;
    assert_eq!(stand.proxy.counters().downstream.sent, head.len() as u64);
    stand.proxy.remove("http_stall_downstream").unwrap();
    client.expect("hello").await;
    exchange(&mut client, &mut server).await;
}

#[tokio::test]
async fn the_body_stalls_for_its_time() {
    let stand = Stand::new().await;
    let stall = HttpStall { delay: 150, ..HttpStall::default() };
    stand.proxy.toxic(Toxic::new(Kind::HttpStall(stall))).unwrap();
    let (mut client, mut server) = stand.pair().await;
    let begun = Instant::now();
    exchange(&mut client, &mut server).await;
    assert!(begun.elapsed() >= Duration::from_millis(150), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_field_comes_twice() {
    for (value, second) in [("", "5"), ("6", "6")] {
        let stand = Stand::new().await;
        let value = value.to_owned();
        let twice = HttpDuplicateHeader { value, ..HttpDuplicateHeader::default() };
        stand.proxy.toxic(Toxic::new(Kind::HttpDuplicateHeader(twice))).unwrap();
        let (mut client, mut server) = stand.pair().await;
        client.send(GET).await;
        server.expect(GET).await;
        server.send(OK).await;
        let fields = format!("Content-Length: 5\r\nContent-Length: {second}\r\n");
        client.expect(&format!("HTTP/1.1 200 OK\r\n{fields}\r\nhello")).await;
    }
}

#[tokio::test]
async fn a_head_comes_byte_by_byte() {
    let stand = Stand::new().await;
    let slow = HttpSlowHead { delay: 5, ..HttpSlowHead::default() };
    stand.proxy.toxic(Toxic::on(Stream::Upstream, Kind::HttpSlowHead(slow))).unwrap();
    let (mut client, mut server) = stand.pair().await;
    let begun = Instant::now();
    exchange(&mut client, &mut server).await;
    let least = Duration::from_millis(5 * (GET.len() as u64 - 1));
    assert!(begun.elapsed() >= least, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn only_requests_of_the_path_are_taken_and_counted() {
    let stand = Stand::new().await;
    let taken = HttpStatus { status: 500, first: 1, path: "/board".to_owned() };
    stand.proxy.toxic(Toxic::new(Kind::HttpStatus(taken))).unwrap();
    let (mut client, mut server) = stand.pair().await;
    exchange(&mut client, &mut server).await;
    client.send("GET /board/1 HTTP/1.1\r\n\r\n").await;
    server.piece().await.unwrap();
    server.send(OK).await;
    client.expect("HTTP/1.1 500 ").await;
}

#[tokio::test]
async fn a_toxic_that_comes_in_the_middle_of_a_message_takes_the_next_one() {
    let stand = Stand::new().await;
    let (mut client, mut server) = stand.pair().await;
    client.send("POST /a HTTP/1.1\r\nContent-Length: 6\r\n\r\nGET /").await;
    server.expect("POST /a HTTP/1.1\r\nContent-Length: 6\r\n\r\nGET /").await;
    stand.proxy.toxic(Toxic::on(Stream::Upstream, status(503, 0))).unwrap();
    client.send("x").await;
    server.expect("x").await;
    server.send(OK).await;
    client.expect(OK).await;
    // Half a head is kept until it is whole, and goes on when the toxic goes.
    client.send("GET /half HTT").await;
    stand.has_read(Stream::Upstream, 57).await;
    stand.proxy.remove_all();
    server.expect("GET /half HTT").await;
    client.send("P/1.1\r\n\r\n").await;
    server.expect("P/1.1\r\n\r\n").await;
}

#[tokio::test]
async fn interim_responses_and_heads_without_bodies_are_not_mistaken() {
    let stand = Stand::new().await;
    let never = "/never".to_owned();
    let toxic = Kind::HttpDrop(HttpDrop { path: never, ..HttpDrop::default() });
    stand.proxy.toxic(Toxic::new(toxic.clone())).unwrap();
    stand.proxy.toxic(Toxic::on(Stream::Upstream, toxic)).unwrap();
    let (mut client, mut server) = stand.pair().await;
    for (request, answer) in [
        ("HEAD / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
        ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        (
            "GET / HTTP/1.1\r\n\r\n",
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        ),
    ] {
        client.send(request).await;
        server.expect(request).await;
        server.send(answer).await;
        client.expect(answer).await;
    }
    exchange(&mut client, &mut server).await;
    let upgrade = "GET / HTTP/1.1\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
    client.send(upgrade).await;
    server.expect(upgrade).await;
    server.send("HTTP/1.1 101 Switching Protocols\r\n\r\n\x01\x02").await;
    client.expect("HTTP/1.1 101 Switching Protocols\r\n\r\n\x01\x02").await;
    client.send("\x03not a head").await;
    server.expect("\x03not a head").await;
}

#[tokio::test]
async fn a_client_that_has_half_closed_gets_the_treated_answer() {
    let stand = Stand::new().await;
    let (mut client, mut server) = stand.pair().await;
    client.send(GET).await;
    client.finish().await;
    assert_eq!(server.rest().await.0, GET.as_bytes());
    stand.proxy.toxic(Toxic::new(status(502, 0))).unwrap();
    server.send("HTTP/1.1 200 OK\r\n\r\nuntil the end").await;
    drop(server);
    let (answer, end) = client.rest().await;
    end.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nhttp_status 502\n"), "{answer}");
}

#[tokio::test]
async fn what_is_not_http_passes_and_is_told_of() {
    let stand = Stand::new().await;
    stand.proxy.toxic(Toxic::on(Stream::Upstream, first(0))).unwrap();
    let (mut client, mut server) = stand.pair().await;
    client.send("\x01\x01\0\x01fastcgi").await;
    server.expect("\x01\x01\0\x01fastcgi").await;
    assert_eq!(stand.lines("not applied: this is not HTTP/1").len(), 1);
}
