//! Heads that are good, and heads nobody may answer, whole and byte by byte.

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;
use crate::gateway;

const FLAGS: [&str; 3] =
    ["--limit-request-line=200", "--limit-request-fields=8", "--limit-request-field_size=100"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Anybody,
    AProxyOfOurs,
}

/// With these flags besides.
fn limits(from: From, flags: &[&str]) -> Limits {
    let gateway = gateway::idle(&[&FLAGS[..], flags].concat());
    Limits::new(&gateway.settings(), from == From::AProxyOfOurs, Scheme::Http)
}

fn read(text: &str, limits: &Limits) -> Result<Option<Head>, Refusal> {
    read_pieces(&[text.as_bytes()], limits).map(|read| read.map(|(head, _)| head))
}

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
    read(text, &limits(From::Anybody, &[])).unwrap().expect("it is complete")
}

#[track_caller]
fn refused(text: &str, status: u16, message: &str) {
    let limits = limits(From::Anybody, &[]);
    let refusal = read(text, &limits).map(|head| head.is_some());
    let refusal = refusal.expect_err(&format!("{text:?} is refused"));
    assert_eq!(refusal.status, status, "{text:?}: {refusal}");
    assert!(refusal.to_string().contains(message), "{text:?}: {refusal}");
    // Byte by byte it must not pass either.
    let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
    assert!(read_pieces(&bytes, &limits).is_err(), "{text:?} byte by byte");
}

#[test]
fn a_head_is_the_same_however_it_is_cut() {
    let text: &[u8] = b"\r\nPOST /a%20b?c=d#e HTTP/1.1\r\nHost: x:80\r\nX_Y: 1\r\n\
                        Content-Length: 3\r\nConnection: close\r\n\r\nabcGET";
    let limits = limits(From::Anybody, &[]);
    for cut in 0..=text.len() {
        let (head, rest) = read_pieces(&[&text[..cut], &text[cut..]], &limits).unwrap().unwrap();
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
        let head = good(&format!("GET {target} HTTP/1.0\r\n\r\n"));
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
    refused(
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        400,
        "HOST': it is \"a\", and the target's",
    );
    good("GET http://A:80/ HTTP/1.1\r\nHost: a:80\r\n\r\n");
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
    line("GET / HTTP/1.12", "Version");
    assert_eq!(good("GET / HTTP/1.2\r\nHost: a\r\n\r\n").protocol(), b"HTTP/1.2");
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
    fields("Transfer-Encoding:", 501, "transfer coding");
    fields("Transfer-Encoding: gzip", 400, "TRANSFER-ENCODING");
    fields("Transfer-Encoding: chunked;a=b", 501, "transfer coding");
    fields("Transfer-Encoding: xchunked", 501, "transfer coding");
    fields("Transfer-Encoding: gzip, chunked", 501, "transfer coding");
    refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "TRANSFER-ENCODING");
    let chunked = good("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n");
    assert_eq!(chunked.framing(), Framing::Chunked);
}

#[test]
fn bounds() {
    let long = "x".repeat(200);
    refused(&format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414, "too large (214 > 200)");
    refused(&format!("GET /{long}{long}"), 414, "too large");
    let longest = "x".repeat(200 - "GET / HTTP/1.1".len());
    good(&format!("GET /{longest} HTTP/1.1\r\nHost: a\r\n\r\n"));
    let why = "fields size': \"X\" is longer than --limit-request-field_size, 100 bytes";
    refused(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), 431, why);
    refused(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}"), 431, why);
    let many = "X: y\r\n".repeat(8);
    refused(&format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431, "headers fields");
    let as_many = "X: y\r\n".repeat(7);
    good(&format!("GET / HTTP/1.1\r\nHost: a\r\n{as_many}\r\n"));
    let boundless = [
        "--limit-request-line=0",
        "--limit-request-fields=0",
        "--limit-request-field_size=9999999",
    ];
    let boundless = limits(From::Anybody, &boundless);
    let far = "x".repeat(65_000);
    assert!(read(&format!("GET /{far} HTTP/1.0\r\nX: {far}\r\n\r\n"), &boundless).is_ok());
    let (status, head) = (414, format!("GET /{far}{far}"));
    assert_eq!(read(&head, &boundless).unwrap_err().status(), status);
    let head = format!("GET / HTTP/1.0\r\nX: {}", far.repeat(15));
    assert_eq!(read(&head, &boundless).unwrap_err().status(), 431);
    let head = format!("GET / HTTP/1.0\r\n{}", "X:\r\n".repeat(32768));
    assert!(read(&head, &boundless).unwrap().is_none());
    assert_eq!(read(&format!("{head}X:\r\n"), &boundless).unwrap_err().status(), 431);
}

#[test]
fn only_the_trusted_speak_for_others() {
    let text = "GET /app/x HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\
                SCRIPT_NAME: /app\r\nX_User: root\r\n\r\n";
    let head = good(text);
    assert_eq!((head.scheme(), head.script_name()), (Scheme::Http, None));
    assert_eq!(head.dropped().count(), 2);
    assert_eq!(head.unbelieved(), Some((&b"X-Forwarded-Proto"[..], &b"https"[..])));
    let trusting = limits(From::AProxyOfOurs, &[]);
    let head = read(text, &trusting).unwrap().unwrap();
    assert_eq!((head.scheme(), head.script_name()), (Scheme::Https, Some(&b"/app"[..])));
    assert_eq!(head.dropped().collect::<Vec<_>>(), [b"X_User"]);
    assert_eq!(head.unbelieved(), None);
    let torn = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\
                X-Forwarded-Protocol: https\r\n\r\n";
    let refusal = read(torn, &trusting).unwrap_err();
    assert_eq!(refusal.message, "Contradictory scheme headers");
    assert_eq!(
        refusal.explanation,
        "\"X-Forwarded-Proto: https\" says https, but \"X-Forwarded-Protocol: https\" says http \
         (only \"ssl\" says https)"
    );
    good(torn);
}

#[test]
fn names_with_an_underscore() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nX_User: root\r\nScript_Name: /b\r\n\r\n";
    let names = |from, flags: &[&str]| -> Result<(String, bool), Refusal> {
        let head = read(text, &limits(from, flags))?.unwrap();
        let names = head.fields().map(|(name, _)| String::from_utf8(name.to_vec()).unwrap());
        Ok((names.skip(1).collect::<Vec<_>>().join(" "), head.script_name().is_some()))
    };
    let kept = |names: &str, mount: bool| Ok((names.to_owned(), mount));
    assert_eq!(names(From::Anybody, &[]), kept("", false));
    assert_eq!(names(From::AProxyOfOurs, &[]), kept("Script_Name", true));
    assert_eq!(names(From::AProxyOfOurs, &["--forwarder-headers=X_USER"]), kept("X_User", false));
    let all = ["--forwarder-headers=*"];
    assert_eq!(names(From::AProxyOfOurs, &all), kept("X_User Script_Name", true));
    assert_eq!(names(From::Anybody, &all), kept("", false));
    // Where the application is mounted is nothing anybody may say.
    let dangerous = ["--header-map=dangerous"];
    assert_eq!(names(From::Anybody, &dangerous), kept("X_User Script_Name", false));
    let refuse = ["--header-map=refuse"];
    let refusal = names(From::AProxyOfOurs, &refuse).unwrap_err();
    assert_eq!((refusal.status, &refusal.message[..]), (400, "Invalid HTTP header name: 'X_User'"));
    let both = ["--header-map=refuse", "--forwarder-headers=X_USER,SCRIPT_NAME"];
    assert_eq!(names(From::AProxyOfOurs, &both), kept("X_User Script_Name", true));
}

#[test]
fn what_an_operator_may_permit() {
    let fields = |flag: &str, fields: &str| {
        let text = format!("GET / HTTP/1.0\r\n{fields}\r\n");
        let limits = limits(From::Anybody, &[flag]);
        let whole = read(&text, &limits);
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        let cut = read_pieces(&bytes, &limits).map(|read| read.unwrap().0);
        let show = |head: Head| {
            let fields = head.fields().map(|(name, value)| [name, b"=", value].concat());
            fields.map(|field| String::from_utf8(field).unwrap()).collect::<Vec<_>>().join("|")
        };
        let (whole, cut) = (whole.map(|head| show(head.unwrap())), cut.map(show));
        assert_eq!(whole, cut, "{text:?} byte by byte");
        whole.map_err(|refusal| refusal.status)
    };
    let fold = |text: &str| fields("--permit-obsolete-folding", text);
    assert_eq!(fold("A: b\r\n c\r\n\t d \r\nE: f\r\n"), Ok("A=b c d|E=f".to_owned()));
    assert_eq!(fold("A:\r\n b\r\n"), Ok("A= b".to_owned()));
    assert_eq!(fold("A: b \r\n  \r\n"), Ok("A=b ".to_owned()));
    assert_eq!(fold(" A: b\r\n"), Err(400));
    assert_eq!(fold("A: b\n c\r\n"), Err(400));
    assert_eq!(fold("A: b\r\n c\n"), Err(400));
    assert_eq!(fold("A: b\r\n \x01\r\n"), Err(400));
    let half = "x".repeat(50);
    assert_eq!(fold(&format!("A: {half}\r\n {half}\r\n")), Err(431));
    // What was folded means what it says now.
    assert_eq!(fold("Content-Length: 1\r\n 2\r\n"), Err(400));
    let strip = |text: &str| fields("--strip-header-spaces", text);
    assert_eq!(strip("A \t: b\r\nC: d :e\r\n"), Ok("A=b|C=d :e".to_owned()));
    assert_eq!(strip("A b : c\r\n"), Err(400));
    assert_eq!(strip(" : c\r\n"), Err(400));
    assert_eq!(strip(" A: c\r\n"), Err(400));
    let line = |flags: &[&str], line: &str| {
        let head = read(&format!("{line}\r\nHost: a\r\n\r\n"), &limits(From::Anybody, flags));
        let shown = |head: Head| (head.method_text().to_owned(), head.protocol().to_owned());
        head.map(|head| shown(head.unwrap())).map_err(|refusal| refusal.status)
    };
    let read = |method: &str, protocol: &str| Ok((method.to_owned(), protocol.as_bytes().to_vec()));
    let methods = ["--permit-unconventional-http-method"];
    assert_eq!(line(&methods, "get / HTTP/1.1"), read("get", "HTTP/1.1"));
    assert_eq!(line(&methods, "g#~1 / HTTP/1.1"), read("g#~1", "HTTP/1.1"));
    assert_eq!(line(&methods, "G / HTTP/1.1"), read("G", "HTTP/1.1"));
    assert_eq!(line(&methods, "G(T / HTTP/1.1"), Err(400));
    assert_eq!(line(&["--casefold-http-method"], "get / HTTP/1.1"), Err(400));
    let both = [methods[0], "--casefold-http-method"];
    assert_eq!(line(&both, "get / HTTP/1.1"), read("GET", "HTTP/1.1"));
    assert_eq!(line(&both, "connect a:1 HTTP/1.1"), Err(501));
    let versions = ["--permit-unconventional-http-version"];
    assert_eq!(line(&versions, "GET / HTTP/3.7"), read("GET", "HTTP/3.7"));
    assert_eq!(line(&versions, "GET / HTTP/0.9"), read("GET", "HTTP/0.9"));
    assert_eq!(line(&versions, "GET / HTTP/1.12"), Err(400));
    assert_eq!(line(&versions, "GET / HTTP/11"), Err(400));
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
        permissive in any::<bool>(),
    ) {
        let permits = [
            "--permit-obsolete-folding",
            "--strip-header-spaces",
            "--permit-unconventional-http-method",
            "--permit-unconventional-http-version",
        ];
        let from = if trusted { From::AProxyOfOurs } else { From::Anybody };
        let limits = limits(from, if permissive { &permits } else { &[] });
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
