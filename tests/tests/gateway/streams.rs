//! A client that speaks HTTP/2 frame by frame, so that it can say what no library would.

use std::io::{Read, Write};

use bytes::{Buf, BytesMut};
use http2::{
    FrameHead, Kind, MAX_WINDOW, PREFACE, flags,
    frame::{self, HEAD},
    hpack::{Decoded, Decoder, Encoder},
};

use crate::{
    secure::{Client, Session, Wants},
    stack::Gateway,
};

pub(crate) struct Peer {
    session: Session,
    received: BytesMut,
    decoder: Decoder,
    last: u32,
}

/// What came of a stream.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Of interim heads too.
    pub(crate) statuses: Vec<u16>,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The code it was broken off with.
    pub(crate) reset: Option<u32>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn status(&self) -> u16 {
        self.statuses.last().copied().unwrap_or(0)
    }
}

/// The fields of a request for this, by GET.
pub(crate) fn get(path: &str) -> Vec<(&str, &str)> {
    vec![(":method", "GET"), (":scheme", "https"), (":path", path), (":authority", "test")]
}

pub(crate) fn post(path: &str) -> Vec<(&str, &str)> {
    vec![(":method", "POST"), (":scheme", "https"), (":path", path), (":authority", "test")]
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    None,
    Follows,
}

impl Peer {
    /// Everything has been said that must be, and all may be sent that there is.
    pub(crate) fn connect(gateway: &Gateway) -> Peer {
        let mut peer = Peer::silent(gateway);
        let mut out = PREFACE.to_vec();
        frame::settings(&[], &mut out);
        frame::window_update(0, MAX_WINDOW - 65_535, &mut out);
        peer.say(&out);
        peer
    }

    pub(crate) fn silent(gateway: &Gateway) -> Peer {
        let client = Client::new(&Wants { alpn: &["h2"], ..Wants::default() });
        let session = client.connect(gateway).expect("hands are shaken");
        assert_eq!(session.alpn(), Some(&b"h2"[..]));
        Peer { session, received: BytesMut::new(), decoder: Decoder::default(), last: 0 }
    }

    /// Whether anybody heard it.
    pub(crate) fn say(&mut self, bytes: &[u8]) -> bool {
        self.session.write_all(bytes).and_then(|()| self.session.flush()).is_ok()
    }

    pub(crate) fn frame(&mut self, kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let mut out = Vec::new();
        frame::frame(kind, flags, stream, payload, &mut out);
        self.say(&out)
    }

    /// Opens a stream, and gives its number.
    pub(crate) fn ask(&mut self, fields: &[(&str, &str)], body: Body) -> u32 {
        self.last = if self.last == 0 { 1 } else { self.last + 2 };
        let ends = if body == Body::None { flags::END_STREAM } else { flags::NONE };
        self.frame(Kind::Headers, flags::END_HEADERS | ends, self.last, &block(fields));
        self.last
    }

    /// Leaves a stream out, which was opened by hand.
    pub(crate) fn skip(&mut self) {
        self.last += 2;
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        let id = self.ask(&get(path), Body::None);
        self.answer(id)
    }

    /// What comes of one stream, while what comes of others is passed over.
    #[track_caller]
    pub(crate) fn answer(&mut self, id: u32) -> Answer {
        let mut answer = Answer::default();
        loop {
            let (head, payload) = self.next().expect("the connection goes on");
            if head.kind == Kind::Headers {
                // Of every stream: there is one table for all.
                let fields = self.fields(payload.clone());
                if head.stream == id {
                    let status = fields.iter().find(|(name, _)| name == ":status");
                    answer.statuses.push(status.unwrap().1.parse().unwrap());
                    answer.fields = fields;
                }
            }
            if head.stream != id {
                continue;
            }
            match head.kind {
                Kind::Data => {
                    answer.body.extend_from_slice(&payload);
                    if !payload.is_empty() && !head.has(flags::END_STREAM) {
                        let mut out = Vec::new();
                        frame::window_update(id, payload.len() as u32, &mut out);
                        self.say(&out);
                    }
                }
                Kind::ResetStream => {
                    answer.reset = Some((&payload[..]).get_u32());
                    return answer;
                }
                _ => (),
            }
            if matches!(head.kind, Kind::Data | Kind::Headers) && head.has(flags::END_STREAM) {
                return answer;
            }
        }
    }

    fn fields(&mut self, mut block: BytesMut) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut fields = Vec::new();
        while let Some(decoded) = self.decoder.next(&mut block, 1 << 20).unwrap() {
            if let Decoded::Field { name, value } = decoded {
                fields.push((text(&name), text(&value)));
            }
        }
        fields
    }

    /// The code of GOAWAY, once it comes; the connection then ends. `None`: it ends without.
    pub(crate) fn goodbye(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some((head, payload)) = self.next() {
            if head.kind == Kind::GoAway {
                code = Some((&payload[4..]).get_u32());
            }
        }
        code
    }

    /// The next frame. `None`: there is none.
    pub(crate) fn next(&mut self) -> Option<(FrameHead, BytesMut)> {
        loop {
            if let Some(head) = self.received.first_chunk::<HEAD>() {
                let head = FrameHead::read(*head);
                let length = HEAD + head.length as usize;
                if self.received.len() >= length {
                    let mut frame = self.received.split_to(length);
                    frame.advance(HEAD);
                    return Some((head, frame));
                }
            }
            let mut bytes = [0; 16 * 1024];
            match self.session.read(&mut bytes) {
                Ok(length @ 1..) => self.received.extend_from_slice(&bytes[..length]),
                Ok(0) | Err(_) => return None,
            }
        }
    }
}

pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut encoder = Encoder::with_capacity(256);
    for (name, value) in fields {
        encoder.field(name.as_bytes(), value.as_bytes());
    }
    encoder.finish()
}
