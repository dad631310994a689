//! Where in a stream of messages we are. It follows from the connection's first byte, whether or not
//! a toxic of HTTP is there, because one that comes later has to know where a message begins.

use bytes::{Bytes, BytesMut};
use http1::{Chunked, LineEnds, Piece};

use super::head::{Framing, Head, NotHttp, Side};

/// Longer than any server takes.
const LONGEST_HEAD: usize = 256 * 1024;

#[derive(Debug)]
pub(crate) struct Follower {
    side: Side,
    state: State,
    /// Read and not yet given out, but for the part of a head that has been.
    buffer: BytesMut,
}

#[derive(Debug)]
enum State {
    /// So much of the head has been passed on before it was complete.
    Head {
        passed: usize,
    },
    Length(u64),
    /// The decoder has its own copy of the bytes: they are passed on with their framing.
    Chunked(Chunked, BytesMut),
    UntilClose,
    /// After the last byte of a message.
    End,
    NotHttp,
}

#[derive(Debug)]
pub(crate) enum Part {
    /// All of it, but for as many bytes as have been passed on already.
    Head(Box<Head>, usize),
    /// A piece of a head that nobody wants to see whole.
    PieceOfHead(Bytes),
    Body(Bytes),
    End,
    /// Bytes of which nothing is known.
    Unknown(Bytes),
}

impl Follower {
    pub(crate) fn new(side: Side) -> Follower {
        Follower { side, state: State::Head { passed: 0 }, buffer: BytesMut::new() }
    }

    pub(crate) fn feed(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    /// How the body of the head that was given out last is framed. To be called before `next`.
    pub(crate) fn begin_body(&mut self, framing: Framing) {
        self.state = match framing {
            Framing::Length(0) => State::End,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(Chunked::new(LineEnds::Lenient), BytesMut::new()),
            Framing::UntilClose => State::UntilClose,
        };
    }

    /// From here on everything is unknown.
    pub(crate) fn give_up(&mut self) {
        self.buffer = BytesMut::from(self.rest());
        self.state = State::NotHttp;
    }

    /// What has been read and not given out.
    pub(crate) fn rest(&mut self) -> Bytes {
        let mut rest = self.buffer.split();
        if let State::Head { passed } = &mut self.state {
            let _ = rest.split_to(*passed);
            *passed = 0;
        }
        rest.freeze()
    }

    pub(crate) fn has_given_up(&self) -> bool {
        matches!(self.state, State::NotHttp)
    }

    /// Between two messages, and nothing of the next one is there.
    pub(crate) fn is_between(&self) -> bool {
        matches!(self.state, State::Head { .. }) && self.buffer.is_empty()
    }

    /// With `whole_heads` a head is given out when it is complete, else as it comes.
    pub(crate) fn next(&mut self, whole_heads: bool) -> Option<Part> {
        match &mut self.state {
            State::End => {
                self.state = State::Head { passed: 0 };
                return Some(Part::End);
            }
            _ if self.buffer.is_empty() => return None,
            State::Head { .. } => return self.head(whole_heads),
            State::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(self.buffer.len());
                *left -= here as u64;
                if *left == 0 {
                    self.state = State::End;
                }
                return Some(Part::Body(self.buffer.split_to(here).freeze()));
            }
            State::Chunked(decoder, copy) => {
                copy.extend_from_slice(&self.buffer);
                let is_end = loop {
                    match decoder.next(copy) {
                        Ok(Piece::Data(_)) => {}
                        Ok(Piece::More) => break false,
                        Ok(Piece::End) => break true,
                        Err(_) => {
                            self.give_up();
                            return self.next(whole_heads);
                        }
                    }
                };
                if is_end {
                    let here = self.buffer.len() - copy.len();
                    self.state = State::End;
                    return Some(Part::Body(self.buffer.split_to(here).freeze()));
                }
            }
            State::UntilClose => {}
            State::NotHttp => return Some(Part::Unknown(self.buffer.split().freeze())),
        }
        Some(Part::Body(self.buffer.split().freeze()))
    }

    fn head(&mut self, whole_heads: bool) -> Option<Part> {
        let State::Head { passed } = &mut self.state else { return None };
        let before = *passed;
        match Head::take(self.side, &mut self.buffer) {
            Ok(Some(head)) => {
                *passed = 0;
                return Some(Part::Head(Box::new(head), before));
            }
            Ok(None) if self.buffer.len() <= LONGEST_HEAD => {}
            Ok(None) | Err(NotHttp) => {
                self.give_up();
                return self.next(whole_heads);
            }
        }
        if whole_heads || self.buffer.len() == before {
            return None;
        }
        *passed = self.buffer.len();
        Some(Part::PieceOfHead(Bytes::copy_from_slice(&self.buffer[before..])))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REQUESTS: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\
        POST /b HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello\
        POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwxyz\r\n0\r\n\r\n\
        GET /d HTTP/1.0\r\n\r\n";

    /// What is passed on, and the targets of the heads, each with whether it was passed on in time
    /// to be changed.
    fn follow(pieces: &[&[u8]], whole_heads: bool) -> (Vec<u8>, Vec<(String, bool)>, usize) {
        let mut follower = Follower::new(Side::Requests);
        let (mut passed_on, mut heads, mut ends) = (Vec::new(), Vec::new(), 0);
        for piece in pieces {
            follower.feed(piece);
            while let Some(part) = follower.next(whole_heads) {
                match part {
                    Part::Head(head, passed) => {
                        follower.begin_body(head.framing());
                        passed_on.extend_from_slice(&head.bytes()[passed..]);
                        if let super::super::head::Line::Request { target, .. } = head.line {
                            heads.push((target, passed == 0));
                        }
                    }
                    Part::PieceOfHead(data) | Part::Body(data) | Part::Unknown(data) => {
                        passed_on.extend_from_slice(&data);
                    }
                    Part::End => ends += 1,
                }
            }
        }
        (passed_on, heads, ends)
    }

    proptest! {
        #[test]
        fn every_split_gives_the_same_messages(mut cuts in prop::collection::vec(0..REQUESTS.len(), 0..12), whole in any::<bool>()) {
            cuts.extend([0, REQUESTS.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &REQUESTS[cut[0]..cut[1]]).collect();
            let (passed_on, heads, ends) = follow(&pieces, whole);
            prop_assert_eq!(passed_on, REQUESTS);
            let targets: Vec<&str> = heads.iter().map(|(target, _)| target.as_str()).collect();
            prop_assert_eq!(targets, ["/", "/b", "/c", "/d"]);
            prop_assert_eq!(ends, 4);
            prop_assert!(!whole || heads.iter().all(|(_, in_time)| *in_time));
        }

        #[test]
        fn whatever_comes_is_passed_on(data in prop::collection::vec(any::<u8>(), 0..200), cut in 0..200_usize) {
            let (left, right) = data.split_at(cut.min(data.len()));
            let (passed_on, ..) = follow(&[left, right], false);
            prop_assert_eq!(passed_on, data);
        }
    }

    #[test]
    fn what_is_not_http_is_known_at_its_first_bytes() {
        for other in [&b"\0\0\0\x08\x04\xd2\x16\x2f"[..], b"\x01\x01\0\x01", b"\x16\x03\x01\x02"] {
            assert_eq!(follow(&[other], true).0, other);
        }
    }
}
