//! HTTP/2, as TLS clients may choose it with `http_protocols`: one more way for requests to come in, and
//! no way around any limit.

use ::http2::{ErrorCode, Kind, MAX_WINDOW, PREFACE, Setting, flags, frame, hpack::Encoder};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    secure::{self, Client, Wants},
    stack::Gateway,
    streams::{Body, Peer, block, get, post},
};

fn start(flags: &[&str]) -> Gateway {
    secure::start(&[&["--http-protocols", "h2,h1"], flags].concat())
}

const CALM: Option<u32> = Some(ErrorCode::EnhanceYourCalm as u32);
const PROTOCOL: Option<u32> = Some(ErrorCode::ProtocolError as u32);
const FLOW: Option<u32> = Some(ErrorCode::FlowControlError as u32);
const SIZE: Option<u32> = Some(ErrorCode::FrameSizeError as u32);

#[test]
fn the_application_hears_of_it_as_from_gunicorn() {
    let gateway = start(&["--access-logfile", "-"]);
    let mut peer = Peer::connect(&gateway);
    let mut request = get("/env?a=b");
    request.extend([("cookie", "a=1"), ("x-one", "1"), ("cookie", "b=2"), ("x-one", "2")]);
    let id = peer.ask(&request, Body::None);
    let answer = peer.answer(id);
    assert_eq!(answer.statuses, [200]);
    for expected in [
        "SERVER_PROTOCOL=HTTP/2.0",
        "HTTP_VERSION=2",
        "HTTP_HOST=test",
        "HTTP_COOKIE=a=1; b=2",
        "HTTP_X_ONE=1,2",
        "RAW_URI=/env?a=b",
        "QUERY_STRING=a=b",
        "wsgi.url_scheme=https",
    ] {
        assert!(
            answer.text().lines().any(|line| line == expected),
            "{expected}\n{}",
            answer.text()
        );
    }
    let names: Vec<&str> = answer.fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, [":status", "content-type", "content-length", "server", "date"]);
    gateway.output.wait_for("\"GET /env?a=b HTTP/2.0\" 200");
}

#[test]
fn the_server_prefers_and_the_client_need_not_know_it() {
    let chosen = |gateway: &Gateway, alpn| {
        let mut session =
            Client::new(&Wants { alpn, ..Wants::default() }).connect(gateway).unwrap();
        let alpn = session.alpn().map(<[u8]>::to_vec);
        if alpn.as_deref() != Some(b"h2") {
            assert_eq!(session.get("/").status, 200);
        }
        alpn.map(|name| String::from_utf8(name).unwrap())
    };
    let gateway = start(&[]);
    assert_eq!(chosen(&gateway, &["http/1.1", "h2"]).as_deref(), Some("h2"));
    assert_eq!(chosen(&gateway, &["http/1.1"]).as_deref(), Some("http/1.1"));
    assert_eq!(chosen(&gateway, &[]), None);
    let gateway = secure::start(&["--http-protocols", "h1,h2"]);
    assert_eq!(chosen(&gateway, &["h2", "http/1.1"]).as_deref(), Some("http/1.1"));
}

#[test]
fn without_tls_it_is_one_warning() {
    let gateway = crate::stack::start(&["--http-protocols", "h2,h1"]);
    assert_eq!(gateway.log.count("[WARNING] http_protocols includes h2"), 1);
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn requests_do_not_wait_for_each_other() {
    let gateway = start(&["--workers", "2"]);
    gateway.log.wait_for_nth("Worker ready", 2);
    let gate = gateway.gate("gate");
    let mut peer = Peer::connect(&gateway);
    let slow = peer.ask(&get(&format!("/held?gate={}", gate.path())), Body::None);
    for _ in 0..20 {
        assert_eq!(peer.get("/version").text(), "one");
    }
    gate.open();
    assert_eq!(peer.answer(slow).text(), "released");
}

#[test]
fn bodies_of_any_size_both_ways() {
    let gateway = start(&[]);
    let mut peer = Peer::connect(&gateway);
    assert_eq!(peer.get("/big").body.len(), 160 * 65536);
    let body = b"0123456789abcdef".repeat(3000);
    for announced in [None, Some(body.len().to_string())] {
        let mut request = post("/echo");
        request.extend(announced.as_deref().map(|length| ("content-length", length)));
        let id = peer.ask(&request, Body::Follows);
        for piece in body.chunks(10_000) {
            peer.frame(Kind::Data, flags::NONE, id, piece);
        }
        // The fields after it are of interest to nobody.
        let ends = flags::END_HEADERS | flags::END_STREAM;
        peer.frame(Kind::Headers, ends, id, &block(&[("x-sum", "1")]));
        assert!(peer.answer(id).body == body, "{announced:?}");
    }
    // The window is opened as the body is taken.
    let id = peer.ask(&post("/echo"), Body::Follows);
    let mut left = 1_000_000_usize;
    let mut window = 65_535_usize;
    while left > 0 {
        let size = left.min(window).min(16_384);
        if size == 0 {
            let (head, payload) = peer.next().unwrap();
            if head.kind == Kind::WindowUpdate && head.stream == id {
                window += u32::from_be_bytes(payload[..4].try_into().unwrap()) as usize;
            }
            continue;
        }
        (left, window) = (left - size, window - size);
        let ends = if left == 0 { flags::END_STREAM } else { flags::NONE };
        peer.frame(Kind::Data, ends, id, &vec![b'x'; size]);
    }
    assert_eq!(peer.answer(id).body.len(), 1_000_000);
}

#[test]
fn a_client_that_waits_for_leave_to_send_gets_it() {
    let gateway = start(&[]);
    let mut peer = Peer::connect(&gateway);
    let mut request = post("/echo");
    request.push(("expect", "100-continue"));
    let id = peer.ask(&request, Body::Follows);
    let leave = loop {
        let (head, payload) = peer.next().unwrap();
        if head.kind == Kind::Headers {
            break (head.stream, head.flags, payload);
        }
    };
    assert_eq!((leave.0, leave.1), (id, flags::END_HEADERS));
    let mut status = Encoder::with_capacity(8);
    status.status(100);
    assert_eq!(&leave.2[..], status.finish());
    peer.frame(Kind::Data, flags::END_STREAM, id, b"with leave");
    let answer = peer.answer(id);
    assert_eq!((answer.statuses, &answer.body[..]), (vec![200], &b"with leave"[..]));
}

#[test]
fn answers_without_a_body_have_none() {
    let gateway = start(&[]);
    let mut peer = Peer::connect(&gateway);
    let mut request = get("/version");
    request[0].1 = "HEAD";
    let id = peer.ask(&request, Body::None);
    let answer = peer.answer(id);
    assert_eq!((answer.statuses, answer.body), (vec![200], Vec::new()));
    for line in ["204%20No%20Content", "304%20Not%20Modified"] {
        let answer = peer.get(&format!("/status?line={line}"));
        assert_eq!((answer.body, answer.reset), (Vec::new(), None), "{line}");
    }
}

#[test]
fn the_limits_are_those_of_other_requests() {
    let gateway = start(&[
        "--limit-request-line=100",
        "--limit-request-field_size=200",
        "--limit-request-body=1000",
        "--forwarded-allow-ips=",
    ]);
    let mut peer = Peer::connect(&gateway);
    let long = format!("/{}", "a".repeat(100));
    assert_eq!(peer.get(&long).status(), 414);
    let value = "v".repeat(300);
    let mut request = get("/");
    request.push(("x-long", &value));
    let id = peer.ask(&request, Body::None);
    assert_eq!(peer.answer(id).status(), 431);
    let mut request = post("/seen");
    request.push(("content-length", "1001"));
    let id = peer.ask(&request, Body::Follows);
    let answer = peer.answer(id);
    assert_eq!((answer.status(), answer.reset), (413, None), "{answer:?}");
    let mut request = get("/");
    request[0].1 = "CONNECT";
    let id = peer.ask(&request, Body::None);
    assert_eq!(peer.answer(id).status(), 501);
    let mut request = get("/env");
    request.push(("x_under", "1"));
    let id = peer.ask(&request, Body::None);
    assert!(!peer.answer(id).text().contains("X_UNDER"));
    assert_eq!(peer.get("/").status(), 200);
    assert_eq!(gateway.log.count("seen POST"), 0);
}

#[test]
fn what_is_no_request_ends_its_stream_and_no_other() {
    let gateway = start(&[]);
    let mut peer = Peer::connect(&gateway);
    let with = |more: &[(&'static str, &'static str)]| [&get("/seen")[..], more].concat();
    let mut twice = get("/seen");
    twice.push((":path", "/other"));
    for request in [
        with(&[("x", "a\r\nb: c")]),
        with(&[("x\r\ny", "c")]),
        with(&[("connection", "close")]),
        with(&[("transfer-encoding", "chunked")]),
        with(&[("te", "gzip")]),
        with(&[("host", "other")]),
        with(&[("content-length", "3")]),
        with(&[("x", "a"), (":method", "POST")]),
        twice,
        get("/seen")[1..].to_vec(),
        get("seen"),
        get("/se en"),
        get("https://test/seen"),
    ] {
        let id = peer.ask(&request, Body::None);
        let answer = peer.answer(id);
        assert_eq!((&answer.statuses[..], answer.reset), (&[][..], PROTOCOL), "{request:?}");
    }
    // A name in upper case, which no encoder writes.
    let mut upper = block(&get("/seen"));
    upper.extend_from_slice(b"\0\x01X\x01a");
    let id = peer.ask(&get("/version"), Body::None) + 2;
    peer.frame(Kind::Headers, flags::END_HEADERS | flags::END_STREAM, id, &upper);
    assert_eq!(peer.answer(id).reset, PROTOCOL);
    peer.skip();
    // A body that is not as long as it is said to be.
    for (length, ends) in [("4", flags::END_STREAM), ("2", flags::NONE)] {
        let mut request = post("/seen");
        request.push(("content-length", length));
        let id = peer.ask(&request, Body::Follows);
        peer.frame(Kind::Data, ends, id, b"abc");
        assert_eq!(peer.answer(id).reset, PROTOCOL, "{length}");
    }
    assert_eq!(peer.get("/").status(), 200);
    let seen = gateway.log.count("seen GET") + gateway.log.count("seen POST");
    assert_eq!(seen, 0, "{}", gateway.log.text());
}

#[test]
fn more_at_a_time_than_allowed_are_refused() {
    let gateway = start(&["--http2-max-concurrent-streams", "2", "--workers", "1"]);
    let gate = gateway.gate("gate");
    let mut peer = Peer::connect(&gateway);
    let held = peer.ask(&get(&format!("/held?gate={}", gate.path())), Body::None);
    gateway.log.wait_for("held /held");
    let waiting = peer.ask(&get("/version"), Body::None);
    let refused = peer.ask(&get("/seen"), Body::None);
    assert_eq!(peer.answer(refused).reset, Some(ErrorCode::RefusedStream as u32));
    gate.open();
    assert_eq!(peer.answer(held).text(), "released");
    assert_eq!(peer.answer(waiting).text(), "one");
    assert_eq!(gateway.log.count("seen"), 0);
}

#[test]
fn a_request_that_is_given_up_is_not_served() {
    let gateway = start(&["--workers", "1"]);
    let gate = gateway.gate("gate");
    let mut peer = Peer::connect(&gateway);
    let held = peer.ask(&get(&format!("/held?gate={}", gate.path())), Body::None);
    gateway.log.wait_for("held /held");
    let given_up = peer.ask(&get("/seen"), Body::None);
    // So that it was started.
    peer.frame(Kind::Ping, flags::NONE, 0, &[0; 8]);
    while peer.next().unwrap().0.kind != Kind::Ping {}
    peer.frame(Kind::ResetStream, flags::NONE, given_up, &[0, 0, 0, 8]);
    gateway.log.wait_for("499 for GET /seen");
    gate.open();
    assert_eq!(peer.answer(held).text(), "released");
    assert_eq!(peer.get("/").status(), 200);
    assert_eq!(gateway.log.count("seen GET"), 0);
}

/// Says it again and again, until nobody listens.
fn flood(gateway: &Gateway, what: &str, say: impl Fn(&mut Peer, u32) -> bool) {
    const LONG: u32 = 20_000;
    let mut peer = Peer::connect(gateway);
    let mut said = 0;
    while said < LONG && say(&mut peer, said) {
        said += 1;
    }
    // The end of the connection may overtake what was said before it.
    let code = peer.goodbye();
    assert!(code == CALM || code.is_none(), "{what}: {code:?} after {said}");
    assert_eq!(Peer::connect(gateway).get("/").status(), 200, "{what}");
}

#[test]
fn floods_end_the_connection_and_nothing_else() {
    let gateway = start(&[]);
    flood(&gateway, "rapid reset", |peer, _| {
        let id = peer.ask(&get("/seen"), Body::None);
        peer.frame(Kind::ResetStream, flags::NONE, id, &[0, 0, 0, 8])
    });
    let seen = gateway.log.count("seen GET");
    assert!(seen < 1000, "{seen} of 20000");
    flood(&gateway, "PING", |peer, _| peer.frame(Kind::Ping, flags::NONE, 0, &[0; 8]));
    flood(&gateway, "SETTINGS", |peer, _| peer.frame(Kind::Settings, flags::NONE, 0, &[]));
    flood(&gateway, "PRIORITY", |peer, _| peer.frame(Kind::Priority, flags::NONE, 3, &[0; 5]));
    flood(&gateway, "unknown", |peer, _| peer.frame(Kind::Unknown(99), flags::NONE, 0, &[]));
    flood(&gateway, "CONTINUATION", |peer, nth| match nth {
        0 => peer.frame(Kind::Headers, flags::NONE, 1, &block(&get("/"))),
        _ => peer.frame(Kind::Continuation, flags::NONE, 1, &[]),
    });
    flood(&gateway, "fields", |peer, nth| match nth {
        0 => peer.frame(Kind::Headers, flags::NONE, 1, &block(&get("/"))),
        _ => peer.frame(Kind::Continuation, flags::NONE, 1, &block(&[("a", &"b".repeat(999))])),
    });
    flood(&gateway, "empty DATA", |peer, nth| match nth {
        0 => peer.ask(&post("/echo"), Body::Follows) == 1,
        _ => peer.frame(Kind::Data, flags::NONE, 1, &[]),
    });
    flood(&gateway, "WINDOW_UPDATE", |peer, nth| match nth {
        0 => peer.get("/").status() == 200,
        _ => peer.frame(Kind::WindowUpdate, flags::NONE, 1, &[0, 0, 0, 1]),
    });
    let line = "Invalid request from ip=127.0.0.1: HTTP/2: ";
    assert!(gateway.log.count(line) >= 9, "{}", gateway.log.text());
}

#[test]
fn a_head_has_a_longest_length() {
    let gateway = start(&["--http2-max-header-list-size", "2000"]);
    let mut peer = Peer::connect(&gateway);
    let value = "b".repeat(2000);
    let mut request = get("/seen");
    request.push(("a", &value));
    peer.ask(&request, Body::None);
    assert_eq!(peer.goodbye(), CALM);
    // A few letters that stand for many, again and again.
    let mut peer = Peer::connect(&gateway);
    // Kept in the table under number 62, and then said by its number.
    let mut bomb = vec![0x40, 1, b'a', 100];
    bomb.extend_from_slice(&[b'b'; 100]);
    bomb.extend_from_slice(&[0xbe; 1000]);
    peer.frame(Kind::Headers, flags::END_HEADERS | flags::END_STREAM, 1, &bomb);
    assert_eq!(peer.goodbye(), CALM);
    assert_eq!(gateway.log.count("seen"), 0);
}

/// A frame, and the code that the connection ends with.
type Case<'a> = (Kind, u8, u32, &'a [u8], Option<u32>);

#[test]
fn frames_that_mean_nothing_end_the_connection_with_their_code() {
    let gateway = start(&[]);
    let mut preface = Peer::silent(&gateway);
    preface.say(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(preface.goodbye(), PROTOCOL);
    let wide = MAX_WINDOW.to_be_bytes();
    let setting = |code: u8, value: u32| [&[0, code][..], &value.to_be_bytes()].concat();
    let ends = flags::END_HEADERS | flags::END_STREAM;
    let cases: &[Case<'_>] = &[
        (Kind::Data, flags::NONE, 0, b"x", PROTOCOL),
        (Kind::Data, flags::NONE, 1, b"x", PROTOCOL),
        (Kind::Headers, ends, 0, &block(&get("/")), PROTOCOL),
        (Kind::Headers, ends, 2, &block(&get("/")), PROTOCOL),
        (Kind::Headers, ends | flags::PADDED, 1, &[9, 0x82], PROTOCOL),
        (Kind::Headers, ends | flags::PRIORITY, 1, &[0x82], SIZE),
        (Kind::Headers, ends, 1, &[0xff; 8], Some(ErrorCode::CompressionError as u32)),
        (Kind::Continuation, ends, 1, &[0x82], PROTOCOL),
        (Kind::PushPromise, flags::NONE, 1, &[0; 4], PROTOCOL),
        (Kind::ResetStream, flags::NONE, 1, &[0; 4], PROTOCOL),
        (Kind::ResetStream, flags::NONE, 1, &[0; 3], SIZE),
        (Kind::Settings, flags::NONE, 1, &[], PROTOCOL),
        (Kind::Settings, flags::NONE, 0, &[0; 5], SIZE),
        (Kind::Settings, flags::ACK, 0, &[0; 6], SIZE),
        (Kind::Settings, flags::NONE, 0, &setting(4, 1 << 31), FLOW),
        (Kind::Settings, flags::NONE, 0, &setting(5, 1), PROTOCOL),
        (Kind::Settings, flags::NONE, 0, &setting(2, 2), PROTOCOL),
        (Kind::Ping, flags::NONE, 0, &[0; 7], SIZE),
        (Kind::WindowUpdate, flags::NONE, 0, &[0; 4], PROTOCOL),
        (Kind::WindowUpdate, flags::NONE, 0, &wide, FLOW),
        (Kind::WindowUpdate, flags::NONE, 7, &wide, PROTOCOL),
        (Kind::GoAway, flags::NONE, 0, &[0; 7], SIZE),
        (Kind::Data, flags::NONE, 1, &vec![0; 16_385], SIZE),
    ];
    for (kind, flags, stream, payload, code) in cases {
        let mut peer = Peer::connect(&gateway);
        peer.frame(*kind, *flags, *stream, payload);
        assert_eq!(peer.goodbye(), *code, "{kind:?} {flags} {stream} {:?}", payload.get(..16));
    }
    let mut amid = Peer::connect(&gateway);
    amid.frame(Kind::Headers, flags::NONE, 1, &block(&get("/")));
    amid.frame(Kind::Ping, flags::NONE, 0, &[0; 8]);
    assert_eq!(amid.goodbye(), PROTOCOL);
}

#[test]
fn windows_hold_for_both() {
    let gateway = start(&["--http2-initial-window-size", "10"]);
    let mut peer = Peer::connect(&gateway);
    let id = peer.ask(&post("/echo"), Body::Follows);
    peer.frame(Kind::Data, flags::NONE, id, b"more than ten");
    assert_eq!(peer.answer(id).reset, FLOW);
    // Ours: nothing may come before there is room, and then no more than that.
    let mut peer = Peer::silent(&gateway);
    let mut out = PREFACE.to_vec();
    frame::settings(&[(Setting::InitialWindowSize, 0)], &mut out);
    peer.say(&out);
    let id = peer.ask(&get("/version"), Body::None);
    let mut body = Vec::new();
    for opened in 1..=3_usize {
        let mut out = Vec::new();
        frame::window_update(id, 1, &mut out);
        peer.say(&out);
        while body.len() < opened {
            let (head, payload) = peer.next().unwrap();
            if head.kind == Kind::Data {
                body.extend_from_slice(&payload);
            }
        }
        assert_eq!(body.len(), opened);
    }
    assert_eq!(body, b"one");
    let id = peer.ask(&post("/echo"), Body::Follows);
    for _ in 0..2 {
        let mut out = Vec::new();
        frame::window_update(id, MAX_WINDOW, &mut out);
        peer.say(&out);
    }
    assert_eq!(peer.answer(id).reset, FLOW);
}

#[test]
fn an_answer_that_breaks_off_does_not_look_whole() {
    let gateway = start(&["--workers", "1"]);
    let gate = gateway.gate("gate");
    let mut peer = Peer::connect(&gateway);
    let id = peer.ask(&get(&format!("/stream?gate={}", gate.path())), Body::None);
    while peer.next().unwrap().0.kind != Kind::Data {}
    kill(Pid::from_raw(gateway.booted()[0]), Signal::SIGKILL).unwrap();
    assert_eq!(peer.answer(id).reset, Some(ErrorCode::InternalError as u32));
    gateway.log.wait_for_nth("Worker ready", 2);
    // As long as nothing has left, it can still be a better answer.
    assert_eq!(peer.get("/short").status(), 502);
}

#[test]
fn a_stop_answers_what_was_asked_and_says_which_that_was() {
    let mut gateway = start(&["--workers", "1"]);
    let gate = gateway.gate("gate");
    let mut peer = Peer::connect(&gateway);
    let mut idle = Peer::connect(&gateway);
    assert_eq!(idle.get("/").status(), 200);
    let id = peer.ask(&get(&format!("/held?gate={}", gate.path())), Body::None);
    gateway.log.wait_for("held /held");
    gateway.signal(Signal::SIGTERM);
    assert_eq!(idle.goodbye(), Some(ErrorCode::NoError as u32));
    gate.open();
    assert_eq!(peer.answer(id).text(), "released");
    assert_eq!(peer.goodbye(), Some(ErrorCode::NoError as u32));
    assert_eq!(gateway.exit_code(), Some(0), "{}", gateway.log.text());
}
