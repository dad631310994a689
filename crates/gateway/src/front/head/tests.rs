//! Heads that are good, and heads nobody may answer, whole and byte by byte.

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;

const LIMITS: Limits =
    Limits { line: 200, fields: 8, field: 100, trusted: false, scheme: Scheme::Http };

fn read_pieces(pieces: &[&[u8]], limits: &Limits) -> Result<Option<(Head, BytesMut)>, Refusal> {
    let mut reader = HeadReader::new(limits);
    let mut buffer = BytesMut::new();
    for (index, piece) in pieces.iter().enumerate() {
        buffer.extend_from_slice(piece);
        if let Some(head) = reader.read(&mut buffer)? {
            pieces[index + 1..].iter().for_each(|rest| buffer.extend_from_slice(rest));
            return Ok(Some((head, buffer)));
        }
    }
    Ok(None)
}

#[track_caller]
fn good(text: &str) -> Head {
    read_pieces(&[text.as_bytes()], &LIMITS).unwrap().expect("it is complete").0
}

#[track_caller]
fn refused(text: &str, status: u16, message: &str) {
    let refusal = read_pieces(&[text.as_bytes()], &LIMITS).map(|head| head.is_some());
    let refusal = refusal.expect_err(&format!("{text:?} is refused"));
    assert_eq!(refusal.status, status, "{text:?}: {refusal}");
    assert!(refusal.message.contains(message), "{text:?}: {refusal}");
    // Byte by byte it must not pass either.
    let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
    assert!(read_pieces(&bytes, &LIMITS).is_err(), "{text:?} byte by byte");
}

#[test]
fn a_head_is_the_same_however_it_is_cut() {
    let text: &[u8] = b"\r\nPOST /a%20b?c=d#e HTTP/1.1\r\nHost: x:80\r\nX_Y: 1\r\n\
                        Content-Length: 3\r\nConnection: close\r\n\r\nabcGET";
    for cut in 0..=text.len() {
        let (head, rest) = read_pieces(&[&text[..cut], &text[cut..]], &LIMITS).unwrap().unwrap();
        assert_eq!((head.path(), head.query()), (&b"/a%20b"[..], &b"c=d"[..]), "cut at {cut}");
        assert_eq!(head.target(), b"/a%20b?c=d#e");
        assert_eq!((head.host(), head.framing()), (Some(&b"x:80"[..]), Framing::Length(3)));
        assert!(!head.wants_keep_alive());
        assert_eq!(head.dropped().collect::<Vec<_>>(), [b"X_Y"]);
        assert_eq!(head.field(b"x_y"), None);
        assert_eq!(&rest[..], b"abcGET");
    }
}

#[test]
fn targets() {
    let target = |target: &str| {
        let head = good(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (text(head.path()), text(head.query()))
    };
    assert_eq!(target("/"), ("/".into(), String::new()));
    assert_eq!(target("//a?b?c"), ("//a".into(), "b?c".into()));
    assert_eq!(target("http://other:1/x?y"), ("/x".into(), "y".into()));
    assert_eq!(target("HTTP://other"), (String::new(), String::new()));
    let asterisk = good("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(asterisk.path(), b"*");
    for bad in ["*", "a.html", "host:80", "ftp://x/", "http:///x", "http://a b/"] {
        refused(&format!("GET {bad} HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "request line");
    }
    refused("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request line");
    refused("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501, "CONNECT");
}

#[test]
fn persistence() {
    let keeps = |head: &str| good(&format!("GET / {head}\r\n\r\n")).wants_keep_alive();
    assert!(keeps("HTTP/1.1\r\nHost: a"));
    assert!(!keeps("HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, Close"));
    assert!(!keeps("HTTP/1.0"));
    assert!(keeps("HTTP/1.0\r\nConnection: Keep-Alive"));
}

#[test]
fn request_lines_nobody_may_answer() {
    let line = |line: &str, message: &str| {
        refused(&format!("{line}\r\nHost: a\r\n\r\n"), 400, message);
    };
    line("get / HTTP/1.1", "method");
    line("G / HTTP/1.1", "method");
    line("GET  / HTTP/1.1", "request line");
    line("GET / HTTP/1.1 ", "request line");
    line("GET /", "request line");
    line("GET / HTTP/2.0", "Version");
    line("GET / HTTP/1", "Version");
    line("GET /\tx HTTP/1.1", "request line");
    refused("GET / HTTP/1.1\nHost: a\r\n\r\n", 400, "request line");
    refused("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request line");
    refused("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request line");
}

#[test]
fn fields_nobody_may_answer() {
    let field = |field: &str, status: u16, message: &str| {
        refused(&format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n"), status, message);
    };
    field(" folded: x", 400, "Obsolete line folding is unacceptable: 'Host'");
    field("X: a\r\n b", 400, "folding");
    field("X : a", 400, "header name");
    field("X(: a", 400, "header name");
    field(": a", 400, "header name");
    field("X", 400, "Invalid HTTP Header");
    field("X: a\rb", 400, "Invalid HTTP Header");
    field("X: a\u{1}b", 400, "Invalid HTTP Header");
    field("Host: a", 400, "HOST");
    field("Content-Type: a\r\nContent-Type: a", 400, "CONTENT-TYPE");
    field("Expect: x", 417, "expectation");
    refused("GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400, "bare LF");
    refused("GET / HTTP/1.1\r\nHost: a\r\n\n", 400, "bare LF");
    refused("GET / HTTP/1.1\r\n\r\n", 400, "HOST");
    refused("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "HOST");
    refused("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400, "HOST");
}

#[test]
fn bodies_of_two_lengths() {
    let fields = |fields: &str, status: u16, message: &str| {
        refused(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n"), status, message);
    };
    fields("Content-Length: 5\r\nContent-Length: 6", 400, "CONTENT-LENGTH");
    fields("Content-Length: 5\r\nContent-Length: 5", 400, "CONTENT-LENGTH");
    fields("Content-Length: 5, 5", 400, "CONTENT-LENGTH");
    fields("Content-Length: +5", 400, "CONTENT-LENGTH");
    fields("Content-Length: -1", 400, "CONTENT-LENGTH");
    fields("Content-Length: 0x5", 400, "CONTENT-LENGTH");
    fields("Content-Length:", 400, "CONTENT-LENGTH");
    fields("Content-Length: 9999999999999999999", 400, "CONTENT-LENGTH");
    fields("Content-Length: 5\r\nTransfer-Encoding: chunked", 400, "CONTENT-LENGTH");
    fields("Transfer-Encoding: chunked\r\nContent-Length: 5", 400, "CONTENT-LENGTH");
    fields("Transfer-Encoding: chunked, chunked", 400, "TRANSFER-ENCODING");
    fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400, "TRANSFER-ENCODING");
    fields("Transfer-Encoding: chunked, identity", 400, "TRANSFER-ENCODING");
    fields("Transfer-Encoding: identity", 400, "TRANSFER-ENCODING");
    fields("Transfer-Encoding:", 400, "TRANSFER-ENCODING");
    fields("Transfer-Encoding: chunked;a=b", 501, "transfer coding");
    fields("Transfer-Encoding: xchunked", 501, "transfer coding");
    fields("Transfer-Encoding: gzip, chunked", 501, "transfer coding");
    refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "TRANSFER-ENCODING");
    let chunked = good("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n");
    assert_eq!(chunked.framing(), Framing::Chunked);
}

#[test]
fn limits() {
    let long = "x".repeat(200);
    refused(&format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414, "too large (214 > 200)");
    refused(&format!("GET /{long}{long}"), 414, "too large");
    refused(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), 431, "fields size");
    refused(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}"), 431, "fields size");
    let many = "X: y\r\n".repeat(8);
    refused(&format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431, "headers fields");
    let as_many = "X: y\r\n".repeat(7);
    good(&format!("GET / HTTP/1.1\r\nHost: a\r\n{as_many}\r\n"));
}

#[test]
fn only_the_trusted_speak_for_others() {
    let text = "GET /app/x HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\
                SCRIPT_NAME: /app\r\nX_User: root\r\n\r\n";
    let head = good(text);
    assert_eq!((head.scheme(), head.script_name()), (Scheme::Http, None));
    assert_eq!(head.dropped().count(), 2);
    let trusting = Limits { trusted: true, ..LIMITS };
    let (head, _) = read_pieces(&[text.as_bytes()], &trusting).unwrap().unwrap();
    assert_eq!((head.scheme(), head.script_name()), (Scheme::Https, Some(&b"/app"[..])));
    assert_eq!(head.dropped().collect::<Vec<_>>(), [b"X_User"]);
    let torn = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\
                X-Forwarded-Protocol: http\r\n\r\n";
    let refusal = read_pieces(&[torn.as_bytes()], &trusting).map(|_| ()).unwrap_err();
    assert_eq!(refusal.message, "Contradictory scheme headers");
}

#[test]
fn continue_is_for_bodies() {
    let expects = |fields: &str| {
        good(&format!("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{fields}\r\n"))
            .expects_continue()
    };
    assert!(expects("Content-Length: 1\r\n"));
    assert!(expects("Transfer-Encoding: chunked\r\n"));
    assert!(!expects(""));
    let old = good("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
    assert!(!old.expects_continue());
}

/// Every line a head may be made of, and what nobody should send.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let fragments = vec![
        "GET / HTTP/1.1",
        "POST /a%20b?c HTTP/1.1",
        "OPTIONS * HTTP/1.0",
        "CONNECT a:1 HTTP/1.1",
        "Host: a",
        "Content-Length: 3",
        "Content-Length: 99999999999999999999",
        "X_Y: z",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "Connection: close",
        "Expect: 100-continue",
        "SCRIPT_NAME: /a",
        "X-Forwarded-Proto: https",
        " folded",
        ":",
        " ",
        "\r\n",
        "\r\n",
        "\r\n",
        "\r\n\r\n",
        "\n",
        "\r",
        "http://",
        "?",
        "#",
        "\0",
    ];
    let known = prop::sample::select(fragments).prop_map(|text| text.as_bytes().to_vec());
    let arbitrary = prop::collection::vec(any::<u8>(), 0..12);
    let piece = prop_oneof![4 => known, 1 => arbitrary];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// What came of reading: the head's own bytes and what is left behind it, or why not.
fn outcome(pieces: &[&[u8]], limits: &Limits) -> Result<Option<(String, Vec<u8>)>, Refusal> {
    let read = read_pieces(pieces, limits)?;
    Ok(read.map(|(head, rest)| (format!("{head:?}"), rest.to_vec())))
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_however_they_are_cut(
        bytes in pieces(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        trusted in any::<bool>(),
    ) {
        let limits = Limits { trusted, ..LIMITS };
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let bounds: Vec<usize> = [vec![0], cuts, vec![bytes.len()]].concat();
        let cut: Vec<&[u8]> = bounds.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let (whole, split) = (outcome(&[&bytes], &limits), outcome(&cut, &limits));
        // Cut, it may be refused for another reason (what is too long is known sooner), but what is
        // accepted is accepted, and the same.
        match (whole, split) {
            (Ok(whole), Ok(split)) => prop_assert_eq!(whole, split),
            (Err(_), Err(_)) => (),
            (whole, split) => prop_assert!(false, "{:?} whole, {:?} cut", whole, split),
        }
    }
}
