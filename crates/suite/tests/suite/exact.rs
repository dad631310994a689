//! An exchange as it was on the socket: order, case, interim answers, framing, and what became of
//! the connection.

use std::io::Write as _;

use suite::wire::{Connected, Ending, Framing, Version};
use suite::{Suite, Target, Turn};

use crate::server::{Server, Step, answer, assert_passed, folder, ok, reasons};

const GET: &str = "GET {{base}}/\nHTTP 200\n";

#[tokio::test]
async fn every_field_in_its_order_and_spelling() {
    let server = Server::start(vec![vec![answer(
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 Fine\r\nsERVER: x\r\n\
         X-B: 2\r\nX-A: 1\r\nx-b: \r\nX-B: 2\r\nContent-Length: 2\r\n\r\nok",
    )]])
    .await;
    let outcome = server.run(GET).await;
    assert_passed(&outcome);
    let exchange = &outcome.files[0].entries[0].exchanges[0];
    let fields = exchange.head.fields.iter();
    let fields: Vec<_> = fields.map(|field| format!("{}={}", field.name, field.text())).collect();
    assert_eq!(fields, ["sERVER=x", "X-B=2", "X-A=1", "x-b=", "X-B=2", "Content-Length=2"]);
    assert_eq!((exchange.head.status, exchange.head.reason.as_str()), (200, "Fine"));
    assert_eq!(exchange.head.version, Version::Http11);
    assert_eq!(exchange.interim.len(), 1);
    assert_eq!(exchange.interim[0].status, 103);
    assert_eq!(exchange.framing, Framing::Length);
    assert_eq!(exchange.body, "ok");
    assert!(exchange.sent_whole);
}

#[tokio::test]
async fn a_compressed_body_is_kept_as_it_came() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(b"hello").unwrap();
    let packed = gzip.finish().unwrap();
    let mut bytes = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        packed.len()
    )
    .into_bytes();
    bytes.extend_from_slice(&packed);
    let server = Server::start(vec![vec![Step::Answer(bytes)]]).await;
    let outcome = server
        .run("GET {{base}}/\n[Options]\ncompressed: true\nHTTP 200\n[Asserts]\nbody == \"hello\"\nbytes count == 5\nrawbytes startsWith hex,1f8b;\n")
        .await;
    assert_passed(&outcome);
    assert_eq!(outcome.files[0].entries[0].exchanges[0].body, packed);
    assert!(server.seen()[0].contains("Accept-Encoding: gzip, deflate\r\n"));
}

/// A body that is packed twice, with nothing in it, and one that is not what it says.
#[tokio::test]
async fn a_body_is_unpacked_in_the_order_of_its_codings() {
    let gzip = |bytes: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    };
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(b"hello").unwrap();
    let check = async |codings: &str, body: Vec<u8>, expected: Option<&str>| {
        let head = "HTTP/1.1 200 OK\r\nContent-Encoding: ";
        let mut bytes =
            format!("{head}{codings}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend_from_slice(&body);
        let server = Server::start(vec![vec![Step::Answer(bytes)]]).await;
        let outcome = server.run("GET {{base}}/\nHTTP 200\n`hello`\n").await;
        assert_eq!(reasons(&outcome).first().map(String::as_str), expected, "{codings}");
    };
    check("deflate, gzip", gzip(&zlib.finish().unwrap()), None).await;
    check("gzip, identity, gzip", gzip(&gzip(b"hello")), None).await;
    check("deflate, gzip", gzip(b""), Some("the body is no deflate: incomplete deflate stream"))
        .await;
    check("br", b"hello".to_vec(), Some("the content coding \"br\" is not supported")).await;
    check(
        "gzip",
        b"no gzip, but long enough".to_vec(),
        Some("the body is no gzip: invalid gzip header"),
    )
    .await;
}

#[tokio::test]
async fn chunks_and_trailers() {
    let server = Server::start(vec![vec![answer(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\
         X-Sum: 13\r\n\r\n",
    )]])
    .await;
    let outcome = server.run(GET).await;
    assert_passed(&outcome);
    let exchange = &outcome.files[0].entries[0].exchanges[0];
    assert_eq!(exchange.framing, Framing::Chunked);
    assert_eq!(exchange.body, "abc0123456789");
    assert_eq!(exchange.trailers.len(), 1);
    assert_eq!(exchange.trailers[0].name, "X-Sum");
    assert_eq!(exchange.ending, Ending::Kept);
}

/// Who closed, and what the next request went out on.
#[tokio::test]
async fn what_becomes_of_a_connection() {
    let whole = "Content-Length: 0\r\n\r\n";
    let server = Server::start(vec![
        vec![
            answer(&format!("HTTP/1.1 200 OK\r\n{whole}")),
            answer(&format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{whole}")),
            Step::Close,
        ],
        vec![answer(&format!("HTTP/1.0 200 OK\r\n{whole}")), Step::Close],
        vec![answer("HTTP/1.1 200 OK\r\n\r\nuntil the end"), Step::Close],
        vec![answer(&format!("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n{whole}")), Step::Close],
        vec![answer(&format!("HTTP/1.1 200 OK\r\n{whole}"))],
    ])
    .await;
    let outcome = server.run(&GET.repeat(6)).await;
    assert_passed(&outcome);
    let exchanges = outcome.entries().map(|entry| &entry.exchanges[0]);
    let lives: Vec<_> = exchanges.map(|exchange| (exchange.connected, exchange.ending)).collect();
    assert_eq!(
        lives,
        [
            (Connected::New, Ending::Kept),
            (Connected::Reused, Ending::ClosedByServer),
            (Connected::New, Ending::ClosedByServer),
            (Connected::New, Ending::ClosedByServer),
            (Connected::New, Ending::Kept),
            // It was promised to be kept, and was not.
            (Connected::Again, Ending::Kept),
        ]
    );
}

/// Answers that are none, and what is said of them.
#[tokio::test]
async fn broken_answers_are_named() {
    let check = async |sent: &str, expected: &str| {
        let server = Server::start(vec![vec![answer(sent), Step::Close]]).await;
        let outcome = server.run(GET).await;
        assert!(!outcome.passed());
        assert_eq!(reasons(&outcome), [expected], "{sent:?}");
        assert!(outcome.files[0].entries[0].broken.is_some());
    };
    check("", "the connection was closed without an answer").await;
    check("HTTP/1.1 200 OK\r\nX: y", "the answer ended in its head, after 21 bytes").await;
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        "the answer's body ended after 5 bytes instead of 10",
    )
    .await;
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "the answer's chunked body ended before its last chunk, after 5 bytes",
    )
    .await;
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "the answer is not HTTP/1: no chunk size in \"xyz\"",
    )
    .await;
    check("SSH-2.0-x\r\n", "the answer is not HTTP/1: no valid status line in \"SSH-2.0-x\\r\\n\"")
        .await;
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "the answer is not HTTP/1: content length \"1\"",
    )
    .await;
    check(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok and more",
        "9 bytes came after the end of the answer",
    )
    .await;
}

/// What came before the break is kept: it is what a reader of a fault wants to see.
#[tokio::test]
async fn a_broken_answer_keeps_what_came() {
    let server = Server::start(vec![vec![
        answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"),
        Step::Close,
    ]])
    .await;
    let outcome = server.run(GET).await;
    let broken = outcome.files[0].entries[0].broken.as_ref().unwrap();
    assert_eq!(broken.head.as_ref().unwrap().status, 200);
    assert_eq!(broken.body, "hello");
    assert_eq!(broken.request.target, "/");
}

#[tokio::test]
async fn an_answer_is_bounded() {
    let server = Server::start(vec![vec![ok("", "0123456789")]]).await;
    let outcome = server.run_with(GET, |target| target.max_body = 9).await;
    assert_eq!(reasons(&outcome), ["the answer's body has more than 9 bytes"]);
    // Nobody answers at all.
    let server = Server::start(vec![vec![Step::AnswerHead(Vec::new()), Step::Stall]]).await;
    let outcome = server.run("GET {{base}}/\n[Options]\nmax-time: 50ms\nHTTP 200\n").await;
    assert_eq!(reasons(&outcome), ["no whole answer within 50ms"]);
}

/// An upload that is refused before it was read: the refusal is what counts.
#[tokio::test]
async fn an_answer_may_come_before_the_request_is_sent() {
    let refusal = "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig";
    let server =
        Server::start(vec![vec![Step::AnswerHead(refusal.into()), Step::Stall], vec![ok("", "")]])
            .await;
    let text = "POST {{base}}/\nfile,large.bin;\nHTTP 413\n\nGET {{base}}/\nHTTP 200\n";
    let folder = folder(&[("a.hurl", text.as_bytes()), ("large.bin", &vec![0; 32 << 20])]);
    let suite = Suite::load(&[folder.path().join("a.hurl")]).unwrap();
    let target = Target::new(server.base.parse().unwrap());
    let outcome = suite.run(&target).await.unwrap();
    assert_passed(&outcome);
    let exchange = &outcome.files[0].entries[0].exchanges[0];
    assert_eq!(exchange.body, "big");
    assert!(!exchange.sent_whole);
    assert_eq!(exchange.ending, Ending::ClosedByClient);
}

#[tokio::test]
async fn a_body_waits_for_100_continue() {
    let server = Server::start(vec![vec![
        Step::AnswerHead(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
        Step::TakeBody(5),
        Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()),
    ]])
    .await;
    let outcome = server.run("POST {{base}}/\nExpect: 100-continue\n`hello`\nHTTP 200\n").await;
    assert_passed(&outcome);
    assert_eq!(outcome.files[0].entries[0].exchanges[0].interim.len(), 1);
    assert_eq!(server.seen()[1], "hello");
}

#[tokio::test]
async fn each_request_can_carry_a_field_of_its_own() {
    let found = "HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n";
    let server = Server::start(vec![vec![answer(found), ok("", ""), ok("", "")]]).await;
    let outcome = server
        .run_with(
            &format!("GET {{{{base}}}}/a\n[Options]\nlocation: true\nHTTP 200\n\n{GET}"),
            |target| {
                *target = target.clone().with_field(|turn: Turn<'_>| {
                    let name = turn.file.file_name().unwrap().to_string_lossy().into_owned();
                    ("X-Turn".to_owned(), format!("{name}:{}:{}", turn.line, turn.number))
                });
            },
        )
        .await;
    assert_passed(&outcome);
    let turns = ["a.hurl:1:1", "a.hurl:1:2", "a.hurl:6:3"];
    for (request, turn) in server.seen().iter().zip(turns) {
        assert!(request.contains(&format!("\r\nX-Turn: {turn}\r\n")), "{request}");
    }
}
