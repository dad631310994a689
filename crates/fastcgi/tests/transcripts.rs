//! Whole conversations, read under every split of their bytes: where the bytes are cut must change
//! nothing but where stream contents are cut.

#![expect(clippy::unwrap_used, reason = "a test that can not go on has failed")]

use bytes::{Bytes, BytesMut};
use fastcgi::{
    Begin, ClientConnection, ClientError, ClientEvent, End, KeepConnection, Params, ProtocolStatus,
    RecordError, RequestWriter, ServerConnection, ServerError, ServerEvent, ServerLimits,
};

const LIMITS: ServerLimits = ServerLimits { params: 300_000, connections: 4 };

fn record(kind: u8, id: u16, content: &[u8], padding: u8) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let mut record = vec![1, kind, id.to_be_bytes()[0], id.to_be_bytes()[1], length[0], length[1]];
    record.extend([padding, 0]);
    record.extend_from_slice(content);
    record.extend(std::iter::repeat_n(0xee, usize::from(padding)));
    record
}

fn request(params: &[(&[u8], &[u8])], body: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut request = RequestWriter::begin(&mut wire, 1, KeepConnection::Yes);
    for (name, value) in params {
        request.param(name, value);
    }
    request.params_end();
    fastcgi::stdin(&mut wire, 1, body);
    fastcgi::stdin_end(&mut wire, 1);
    wire
}

type ServerResult = (Vec<ServerEvent>, Vec<u8>, Result<(), ServerError>);

/// Reads parts one after the other; neighbouring pieces of one stream are joined.
fn serve<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> ServerResult {
    let mut connection = ServerConnection::new(LIMITS);
    let (mut input, mut answers, mut events) = (BytesMut::new(), Vec::new(), Vec::new());
    for part in parts {
        input.extend_from_slice(part);
        loop {
            match connection.next(&mut input, &mut answers) {
                Err(error) => return (events, answers, Err(error)),
                Ok(None) => break,
                Ok(Some(event)) => {
                    // As an application that answers at once would.
                    if matches!(event, ServerEvent::StdinEnd | ServerEvent::Abort) {
                        connection.finish();
                    }
                    match (events.last_mut(), event) {
                        (Some(ServerEvent::Stdin(sofar)), ServerEvent::Stdin(more)) => {
                            *sofar = [&sofar[..], &more[..]].concat().into();
                        }
                        (_, event) => events.push(event),
                    }
                }
            }
        }
    }
    (events, answers, Ok(()))
}

type ClientResult = (Vec<ClientEvent>, Result<(), ClientError>);

fn receive<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> ClientResult {
    let mut connection = ClientConnection::new();
    connection.expect(1);
    let (mut input, mut events) = (BytesMut::new(), Vec::new());
    for part in parts {
        input.extend_from_slice(part);
        loop {
            match connection.next(&mut input) {
                Err(error) => return (events, Err(error)),
                Ok(None) => break,
                Ok(Some(event)) => match (events.last_mut(), event) {
                    (Some(ClientEvent::Stdout(sofar)), ClientEvent::Stdout(more))
                    | (Some(ClientEvent::Stderr(sofar)), ClientEvent::Stderr(more)) => {
                        *sofar = [&sofar[..], &more[..]].concat().into();
                    }
                    (_, event) => events.push(event),
                },
            }
        }
    }
    (events, Ok(()))
}

/// Whole, cut in two at every byte, and byte by byte.
#[track_caller]
fn at_every_byte<T: PartialEq + std::fmt::Debug>(wire: &[u8], read: impl Fn(&[&[u8]]) -> T) -> T {
    let whole = read(&[wire]);
    for cut in 0..wire.len() {
        assert_eq!(read(&[&wire[..cut], &wire[cut..]]), whole, "cut at {cut}");
    }
    let bytes: Vec<&[u8]> = wire.chunks(1).collect();
    assert_eq!(read(&bytes), whole, "byte by byte");
    whole
}

#[track_caller]
fn server(wire: &[u8]) -> ServerResult {
    at_every_byte(wire, |parts| serve(parts.iter().copied()))
}

#[track_caller]
fn client(wire: &[u8]) -> ClientResult {
    at_every_byte(wire, |parts| receive(parts.iter().copied()))
}

fn params(pairs: &[(&[u8], &[u8])]) -> ServerEvent {
    let mut block = Vec::new();
    for (name, value) in pairs {
        fastcgi::write_pair(&mut block, name, value);
    }
    ServerEvent::Params(Params::parse(block.into()).unwrap())
}

const BEGIN: ServerEvent = ServerEvent::Begin(Begin { request_id: 1, keep: KeepConnection::Yes });

#[test]
fn two_requests_on_one_connection() {
    let get: &[(&[u8], &[u8])] = &[(b"REQUEST_METHOD", b"GET"), (b"PATH_INFO", b"/")];
    let post: &[(&[u8], &[u8])] = &[(b"REQUEST_METHOD", b"POST"), (b"HTTP_X", &[b'v'; 200])];
    let wire = [request(get, b""), request(post, b"the body")].concat();
    let (events, answers, result) = server(&wire);
    assert_eq!(result, Ok(()));
    assert_eq!(answers, b"");
    let body = ServerEvent::Stdin(Bytes::from_static(b"the body"));
    let end = ServerEvent::StdinEnd;
    assert_eq!(events, [BEGIN, params(get), end.clone(), BEGIN, params(post), body, end]);
}

#[test]
fn a_request_as_nginx_frames_it() {
    // Padding to eight bytes, no KEEP_CONN, STDIN in two records.
    let wire = [
        record(1, 1, &[0, 1, 0, 0, 0, 0, 0, 0], 0),
        record(4, 1, b"\x04\x03NAMEabc", 7),
        record(4, 1, b"", 0),
        record(5, 1, b"first", 3),
        record(5, 1, b"second", 2),
        record(5, 1, b"", 0),
    ]
    .concat();
    let (events, _, result) = server(&wire);
    assert_eq!(result, Ok(()));
    let begin = Begin { request_id: 1, keep: KeepConnection::No };
    let body = ServerEvent::Stdin(Bytes::from_static(b"firstsecond"));
    assert_eq!(
        events,
        [ServerEvent::Begin(begin), params(&[(b"NAME", b"abc")]), body, ServerEvent::StdinEnd]
    );
}

#[test]
fn parameters_of_several_records_are_joined() {
    let (long, longer) = (vec![b'a'; 70_000], vec![b'b'; 140_000]);
    let pairs: &[(&[u8], &[u8])] = &[(b"A", &long), (b"B", &longer)];
    let wire = request(pairs, b"");
    // Cut at every byte would take a quarter of an hour: cut around the records' ends instead.
    let whole = serve([&wire[..]]);
    let ends = [16, 24, 65_559, 65_567, 131_102, 131_110, 196_645, 196_653, wire.len() - 16];
    for cut in ends.iter().flat_map(|end| end - 9..end + 9) {
        assert_eq!(serve([&wire[..cut], &wire[cut..]]), whole, "cut at {cut}");
    }
    assert_eq!(whole.0, [BEGIN, params(pairs), ServerEvent::StdinEnd]);
    // Any bytes may be cut anywhere between records, even a pair's lengths.
    let pair: &[(&[u8], &[u8])] = &[(b"A", &[b'v'; 128])];
    let block = [&b"\x01\x80\0\0\x80A"[..], &[b'v'; 128]].concat();
    let pieces: Vec<u8> = block.iter().flat_map(|byte| record(4, 1, &[*byte], 1)).collect();
    let wire = [&request(&[], b"")[..16], &pieces, &record(4, 1, b"", 0)].concat();
    assert_eq!(server(&wire).0, [BEGIN, params(pair)]);
}

#[test]
fn too_many_parameters_are_refused() {
    let wire = request(&[(b"A", &vec![b'a'; 300_000])], b"");
    assert_eq!(serve([&wire[..]]).2, Err(ServerError::ParamsTooLarge(300_000)));
    let wire = request(&[(b"A", &vec![b'a'; 299_000])], b"");
    assert_eq!(serve([&wire[..]]).2, Ok(()));
}

#[test]
fn what_the_protocol_alone_decides_is_answered() {
    let mut asked = Vec::new();
    fastcgi::get_values(&mut asked, &["FCGI_MAX_CONNS", "FCGI_MPXS_CONNS", "NOBODY_KNOWS"]);
    let second_request = record(1, 2, &[0, 1, 1, 0, 0, 0, 0, 0], 0);
    let wire = [
        asked,
        record(9, 0, b"", 0),
        record(77, 0, b"what", 4),
        record(1, 9, &[0, 3, 0, 0, 0, 0, 0, 0], 0),
        request(&[], b"")[..16].to_vec(),
        second_request,
        record(4, 2, b"of the refused request", 0),
        record(4, 1, b"", 0),
    ]
    .concat();
    let (events, answers, result) = server(&wire);
    assert_eq!(result, Ok(()));
    assert_eq!(events, [BEGIN, params(&[])]);
    let expected = [
        record(10, 0, b"\x0e\x01FCGI_MAX_CONNS4\x0f\x01FCGI_MPXS_CONNS0", 0),
        record(10, 0, b"", 0),
        record(11, 0, &[77, 0, 0, 0, 0, 0, 0, 0], 0),
        record(3, 9, &[0, 0, 0, 0, 3, 0, 0, 0], 0),
        record(3, 2, &[0, 0, 0, 0, 1, 0, 0, 0], 0),
    ];
    assert_eq!(answers, expected.concat());
}

#[test]
fn an_abort_ends_the_request() {
    let mut wire = request(&[], b"half of it");
    wire.truncate(wire.len() - 8);
    fastcgi::abort_request(&mut wire, 1);
    // Nobody waits for these any more.
    fastcgi::stdin(&mut wire, 1, b"late");
    wire.extend(request(&[], b""));
    let (events, _, result) = server(&wire);
    assert_eq!(result, Ok(()));
    let half = ServerEvent::Stdin(Bytes::from_static(b"half of it"));
    assert_eq!(
        events,
        [BEGIN, params(&[]), half, ServerEvent::Abort, BEGIN, params(&[]), ServerEvent::StdinEnd]
    );
}

#[test]
fn what_a_web_server_never_sends_is_refused() {
    let begun = &request(&[], b"")[..16];
    let after = |more: Vec<u8>| server(&[begun, &more].concat()).2;
    assert_eq!(after(begun.to_vec()), Err(ServerError::BegunTwice(1)));
    assert_eq!(after(record(5, 1, b"", 0)), Err(ServerError::Unexpected(5)));
    assert_eq!(after(record(6, 1, b"x", 0)), Err(ServerError::Unexpected(6)));
    let twice = [record(4, 1, b"", 0), record(4, 1, b"", 0)].concat();
    assert_eq!(after(twice), Err(ServerError::Unexpected(4)));
    let ended = [record(4, 1, b"", 0), record(5, 1, b"", 0)].concat();
    assert_eq!(after(ended), Ok(()));
    let cut_pair = [record(4, 1, b"\x05\x05AB", 0), record(4, 1, b"", 0)].concat();
    assert!(matches!(after(cut_pair), Err(ServerError::Params(_))));
    let refused = |wire: &[u8]| server(wire).2;
    assert_eq!(refused(&record(1, 1, b"short", 0)), Err(ServerError::BeginLength(5)));
    assert_eq!(refused(&record(1, 0, &[0, 1, 0, 0, 0, 0, 0, 0], 0)), Err(ServerError::RequestZero));
    let http = refused(b"GET / HTTP/1.1\r\n");
    assert_eq!(http, Err(ServerError::Record(RecordError::Version(b'G'))));
}

#[test]
fn a_response_in_pieces() {
    let mut wire = Vec::new();
    fastcgi::stdout(&mut wire, 1, b"Status: 200 OK\r\n\r\n");
    fastcgi::stderr(&mut wire, 1, b"a warning");
    fastcgi::stdout(&mut wire, 1, b"hello");
    fastcgi::stdout(&mut wire, 2, b"of another request");
    fastcgi::stdout_end(&mut wire, 1);
    fastcgi::end_request(&mut wire, 1, 7, ProtocolStatus::RequestComplete);
    let (events, result) = client(&wire);
    assert_eq!(result, Ok(()));
    assert_eq!(
        events,
        [
            ClientEvent::Stdout(Bytes::from_static(b"Status: 200 OK\r\n\r\n")),
            ClientEvent::Stderr(Bytes::from_static(b"a warning")),
            ClientEvent::Stdout(Bytes::from_static(b"hello")),
            ClientEvent::End(End {
                app_status: 7,
                protocol_status: ProtocolStatus::RequestComplete
            }),
        ]
    );
}

#[test]
fn answers_about_the_connection() {
    let wire = [record(10, 0, b"\x0e\x01FCGI_MAX_CONNS4", 5), record(11, 0, &[9, 0], 0)].concat();
    let (events, result) = client(&wire);
    assert_eq!(result, Ok(()));
    let [ClientEvent::Values(values), ClientEvent::UnknownType(9)] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(values.get(b"FCGI_MAX_CONNS"), Some(&b"4"[..]));
}

#[test]
fn what_an_application_never_sends_is_refused() {
    for kind in [1, 2, 4, 5, 8, 9] {
        assert_eq!(client(&record(kind, 1, b"", 0)).1, Err(ClientError::Direction(kind)));
    }
    assert_eq!(client(&record(3, 1, b"short", 0)).1, Err(ClientError::EndLength(5)));
    assert!(matches!(client(&record(10, 0, b"\x05\x05AB", 0)).1, Err(ClientError::Values(_))));
    let http = client(b"HTTP/1.1 200 OK\r\n").1;
    assert_eq!(http, Err(ClientError::Record(RecordError::Version(b'H'))));
}

#[test]
fn content_is_handed_on_before_its_record_is_complete() {
    let wire = record(6, 1, &[b'x'; 1000], 0);
    let (events, _) = receive([&wire[..500]]);
    assert_eq!(events, [ClientEvent::Stdout(Bytes::from(vec![b'x'; 492]))]);
}
