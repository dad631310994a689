//! FastCGI records, as each end of a connection reads them.

use bytes::BytesMut;
use fastcgi::{ClientConnection, ClientEvent, ServerConnection, ServerEvent, ServerLimits};

pub(crate) fn run(data: &[u8]) {
    let Some((whole, part, rest)) = crate::cut(data) else { return };
    assert_eq!(from_application(&[whole]), from_application(&[part, rest]));
    assert_eq!(from_server(&[whole]), from_server(&[part, rest]));
}

/// All that was said, in a form that does not depend on its pieces.
#[derive(Debug, Default, PartialEq)]
struct Said {
    /// The contents of the two streams.
    streams: [Vec<u8>; 2],
    events: Vec<String>,
    is_refused: bool,
}

fn from_application(pieces: &[&[u8]]) -> Said {
    let mut connection = ClientConnection::new();
    connection.expect(1);
    let (mut buffer, mut said) = (BytesMut::new(), Said::default());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match connection.next(&mut buffer) {
                Ok(None) => break,
                Ok(Some(ClientEvent::Stdout(data))) => said.streams[0].extend_from_slice(&data),
                Ok(Some(ClientEvent::Stderr(data))) => said.streams[1].extend_from_slice(&data),
                Ok(Some(event)) => said.events.push(format!("{event:?}")),
                Err(_) => return Said { is_refused: true, ..said },
            }
        }
    }
    said
}

fn from_server(pieces: &[&[u8]]) -> Said {
    let mut connection = ServerConnection::new(ServerLimits { params: 512, connections: 1 });
    let (mut buffer, mut said) = (BytesMut::new(), Said::default());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            // What the protocol alone answers is a stream of its own.
            match connection.next(&mut buffer, &mut said.streams[1]) {
                Ok(None) => break,
                Ok(Some(ServerEvent::Stdin(data))) => said.streams[0].extend_from_slice(&data),
                Ok(Some(event)) => {
                    if event == ServerEvent::StdinEnd {
                        connection.finish();
                    }
                    said.events.push(format!("{event:?}"));
                }
                Err(_) => return Said { is_refused: true, ..said },
            }
        }
    }
    said
}
