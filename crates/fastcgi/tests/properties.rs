//! Properties: what is written is read back under any split, and no input makes a reader panic.

use bytes::{Bytes, BytesMut};
use fastcgi::{
    ClientConnection, ClientEvent, HeadReader, KeepConnection, ProtocolStatus, RequestWriter,
    ServerConnection, ServerEvent, ServerLimits,
};
use proptest::collection::vec;
use proptest::prelude::*;

const LIMITS: ServerLimits = ServerLimits { params: 1 << 20, connections: 1 };

/// `wire` in parts of the given lengths, over and over.
fn parts<'a>(wire: &'a [u8], lengths: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = wire;
    lengths.iter().cycle().map_while(move |length| {
        let (part, after) = rest.split_at((*length).min(rest.len()));
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn read_request(wire: &[u8], lengths: &[usize]) -> (Pairs, Vec<u8>) {
    let mut connection = ServerConnection::new(LIMITS);
    let (mut input, mut answers) = (BytesMut::new(), Vec::new());
    let (mut pairs, mut body) = (Vec::new(), Vec::new());
    for part in parts(wire, lengths) {
        input.extend_from_slice(part);
        while let Some(event) = connection.next(&mut input, &mut answers).expect("valid") {
            match event {
                ServerEvent::Params(params) => {
                    pairs = params.iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
                }
                ServerEvent::Stdin(data) => body.extend_from_slice(&data),
                ServerEvent::Begin(_) | ServerEvent::StdinEnd | ServerEvent::Abort => (),
            }
        }
    }
    (pairs, body)
}

proptest! {
    #[test]
    fn requests_survive_the_wire(
        sizes in vec((0_usize..300, 0_usize..40_000), 0..8),
        body in 0_usize..200_000,
        lengths in vec(1_usize..70_000, 1..4),
    ) {
        let pairs: Pairs = sizes
            .iter()
            .enumerate()
            .map(|(at, (name, value))| (vec![at as u8; *name], vec![at as u8; *value]))
            .collect();
        let body: Vec<u8> = (0..body).map(|at| at as u8).collect();
        let mut wire = Vec::new();
        let mut request = RequestWriter::begin(&mut wire, 3, KeepConnection::Yes);
        for (name, value) in &pairs {
            request.param(name, value);
        }
        request.params_end();
        fastcgi::stdin(&mut wire, 3, &body);
        fastcgi::stdin_end(&mut wire, 3);
        prop_assert_eq!(read_request(&wire, &lengths), (pairs, body));
    }

    #[test]
    fn responses_survive_the_wire(
        body in 0_usize..200_000,
        app_status: u32,
        lengths in vec(1_usize..70_000, 1..4),
    ) {
        let body: Vec<u8> = (0..body).map(|at| at as u8).collect();
        let mut wire = Vec::new();
        fastcgi::stdout(&mut wire, 1, &body);
        fastcgi::end_request(&mut wire, 1, app_status, ProtocolStatus::Overloaded);
        let mut connection = ClientConnection::new();
        connection.expect(1);
        let (mut input, mut received, mut end) = (BytesMut::new(), Vec::new(), None);
        for part in parts(&wire, &lengths) {
            input.extend_from_slice(part);
            while let Some(event) = connection.next(&mut input).unwrap() {
                match event {
                    ClientEvent::Stdout(data) => received.extend_from_slice(&data),
                    ClientEvent::End(at_last) => end = Some(at_last),
                    other => panic!("{other:?}"),
                }
            }
        }
        prop_assert_eq!(received, body);
        prop_assert_eq!(end.unwrap().app_status, app_status);
    }

    #[test]
    fn no_input_makes_a_reader_panic(input in vec(any::<u8>(), 0..200), kind in 0_u8..14) {
        // Random bytes rarely get past the first; a header that fits makes them count.
        let length = u8::try_from(input.len()).unwrap();
        let framed = [&[1, kind, 0, kind % 2, 0, length, 0, 0][..], &input].concat();
        let begin = [1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0];
        for wire in [input.clone(), framed.clone(), [&begin[..], &framed].concat()] {
            let mut connection = ServerConnection::new(LIMITS);
            let mut buffer = BytesMut::from(&wire[..]);
            while let Ok(Some(_)) = connection.next(&mut buffer, &mut Vec::new()) {}
            let mut connection = ClientConnection::new();
            connection.expect(1);
            let mut buffer = BytesMut::from(&wire[..]);
            while let Ok(Some(_)) = connection.next(&mut buffer) {}
            let _ = HeadReader::new(1000).push(Bytes::from(wire));
        }
    }
}
