//! A request's body, gathered before anybody is asked to answer: in memory as far as the budget goes,
//! then in a file that has no name and goes with its reader.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    rc::Rc,
};

use bytes::{Bytes, BytesMut};
use http1::{Chunked, LineEnds, Piece};

use super::head::{Framing, Refusal};
use crate::gateway::Budget;

/// What one body may have in memory.
const MOST_IN_MEMORY: usize = 1024 * 1024;
/// What is shorter is copied. A piece that is kept as it came keeps the whole buffer it was read into:
/// of a client that sends byte by byte, one for each byte.
const WORTH_KEEPING: usize = 16 * 1024;
/// A read's worth of body: fewer, larger reads are what large uploads are quick by.
const APPETITE: usize = 64 * 1024;

pub(crate) struct Body {
    pub(crate) length: u64,
    pub(crate) place: Place,
    /// Returned to the budget when the body goes.
    _memory: Memory,
}

pub(crate) enum Place {
    Memory(Vec<Bytes>),
    /// At its start.
    File(File),
}

struct Memory {
    bytes: usize,
    budget: Rc<Budget>,
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

enum Length {
    Left(u64),
    Chunked(Chunked),
    /// Until somebody says that it has ended.
    Open,
}

pub(crate) struct BodyReader {
    left: Length,
    limit: u64,
    gathered: u64,
    pieces: Vec<Bytes>,
    /// Behind them: what came in pieces too short to keep.
    crumbs: BytesMut,
    file: Option<File>,
    memory: Memory,
}

impl BodyReader {
    pub(crate) fn new(
        framing: Framing,
        limit: u64,
        budget: Rc<Budget>,
    ) -> Result<BodyReader, Refusal> {
        let left = match framing {
            Framing::Length(length) if length > limit => return Err(too_long(limit)),
            Framing::Length(length) => Length::Left(length),
            Framing::UntilEnd => Length::Open,
            Framing::Chunked => Length::Chunked(Chunked::new(LineEnds::Strict)),
        };
        let memory = Memory { bytes: 0, budget };
        let (pieces, crumbs) = (Vec::new(), BytesMut::new());
        Ok(BodyReader { left, limit, gathered: 0, pieces, crumbs, file: None, memory })
    }

    /// How much the next read may bring.
    pub(crate) fn appetite(&self) -> usize {
        match self.left {
            Length::Left(left) => usize::try_from(left).unwrap_or(APPETITE).min(APPETITE),
            Length::Chunked(_) | Length::Open => APPETITE,
        }
    }

    /// Whether only its sender can say when it is complete.
    pub(crate) fn is_open_ended(&self) -> bool {
        matches!(self.left, Length::Open)
    }

    /// Takes what is there. True once the body is complete.
    pub(crate) fn read(&mut self, buffer: &mut BytesMut) -> Result<bool, Refusal> {
        loop {
            let piece = match &mut self.left {
                Length::Left(0) => return Ok(true),
                Length::Left(_) | Length::Open if buffer.is_empty() => return Ok(false),
                Length::Open => buffer.split().freeze(),
                Length::Left(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                    *left -= here as u64;
                    buffer.split_to(here).freeze()
                }
                Length::Chunked(chunked) => match chunked.next(buffer) {
                    Ok(Piece::Data(data)) => data,
                    Ok(Piece::More) => return Ok(false),
                    Ok(Piece::End) => return Ok(true),
                    Err(error) => return Err(Refusal::new(400, format!("Invalid body: {error}"))),
                },
            };
            self.gathered += piece.len() as u64;
            if self.gathered > self.limit {
                return Err(too_long(self.limit));
            }
            self.keep(piece)
                .map_err(|error| Refusal::new(507, format!("the body can not be kept: {error}")))?;
        }
    }

    fn keep(&mut self, piece: Bytes) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            return file.write_all(&piece);
        }
        let fits = self.memory.bytes + piece.len() <= MOST_IN_MEMORY
            && self.memory.budget.take(piece.len());
        if fits {
            self.memory.bytes += piece.len();
            if piece.len() < WORTH_KEEPING {
                self.crumbs.extend_from_slice(&piece);
            } else {
                self.sweep_up();
                self.pieces.push(piece);
            }
            return Ok(());
        }
        let mut file = tempfile::tempfile()?;
        self.sweep_up();
        for kept in self.pieces.drain(..) {
            file.write_all(&kept)?;
        }
        file.write_all(&piece)?;
        self.memory.budget.give_back(std::mem::take(&mut self.memory.bytes));
        self.file = Some(file);
        Ok(())
    }

    fn sweep_up(&mut self) {
        if !self.crumbs.is_empty() {
            self.pieces.push(self.crumbs.split().freeze());
        }
    }

    pub(crate) fn finish(mut self) -> Body {
        self.sweep_up();
        let place = match self.file {
            None => Place::Memory(self.pieces),
            Some(file) => Place::File(file),
        };
        Body { length: self.gathered, place, _memory: self.memory }
    }
}

impl Body {
    /// From its start again, for a request that is sent a second time.
    pub(crate) fn rewind(&mut self) -> io::Result<()> {
        match &mut self.place {
            Place::Memory(_) => Ok(()),
            Place::File(file) => file.seek(SeekFrom::Start(0)).map(drop),
        }
    }
}

fn too_long(limit: u64) -> Refusal {
    Refusal::new(413, format!("the body is longer than --limit-request-body allows, {limit} bytes"))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn gather(
        framing: Framing,
        pieces: &[&[u8]],
        budget: &Rc<Budget>,
    ) -> Result<Option<Body>, Refusal> {
        let mut reader = BodyReader::new(framing, 4 * 1024 * 1024, Rc::clone(budget))?;
        let mut buffer = BytesMut::new();
        for piece in pieces {
            buffer.extend_from_slice(piece);
            if reader.read(&mut buffer)? {
                return Ok(Some(reader.finish()));
            }
        }
        Ok(None)
    }

    fn content(body: Body) -> Vec<u8> {
        let mut all = Vec::new();
        let mut body = body;
        body.rewind().unwrap();
        match body.place {
            Place::Memory(pieces) => pieces.iter().for_each(|piece| all.extend_from_slice(piece)),
            Place::File(mut file) => drop(file.read_to_end(&mut all).unwrap()),
        }
        all
    }

    #[test]
    fn small_in_memory_large_in_a_file() {
        let budget = Rc::new(Budget::new(8 * 1024 * 1024));
        let small = gather(Framing::Length(5), &[b"he", b"llo"], &budget).unwrap().unwrap();
        assert!(matches!(small.place, Place::Memory(_)));
        assert_eq!(content(small), b"hello");
        let piece = vec![b'x'; 300 * 1024];
        let pieces: Vec<&[u8]> = vec![&piece; 5];
        let large = gather(Framing::Length(5 * 300 * 1024), &pieces, &budget).unwrap().unwrap();
        assert!(matches!(large.place, Place::File(_)));
        assert_eq!(content(large), piece.repeat(5));
        assert!(budget.take(8 * 1024 * 1024), "everything was given back");
    }

    #[test]
    fn a_body_that_comes_byte_by_byte_is_one_piece_and_keeps_no_buffer() {
        let budget = Rc::new(Budget::new(8 * 1024 * 1024));
        let length = Framing::Length(2000);
        let mut reader = BodyReader::new(length, 2000, Rc::clone(&budget)).unwrap();
        let mut buffer = BytesMut::with_capacity(APPETITE);
        let place = buffer.as_ptr().addr();
        for number in 0..2000_u32 {
            buffer.reserve(reader.appetite());
            let here = buffer.as_ptr().addr();
            assert!((place..place + APPETITE).contains(&here), "byte {number}: another buffer");
            buffer.extend_from_slice(&[number as u8]);
            assert_eq!(reader.read(&mut buffer).unwrap(), number == 1999);
        }
        let body = reader.finish();
        assert!(matches!(&body.place, Place::Memory(pieces) if pieces.len() == 1));
        assert_eq!(content(body), (0..2000_u32).map(|number| number as u8).collect::<Vec<_>>());
    }

    #[test]
    fn long_and_short_pieces_stay_in_order() {
        let budget = Rc::new(Budget::new(8 * 1024 * 1024));
        let long = vec![b'x'; WORTH_KEEPING];
        let pieces: [&[u8]; 5] = [b"one", b"two", &long, b"three", &long];
        let all = pieces.concat();
        let body = gather(Framing::Length(all.len() as u64), &pieces, &budget).unwrap().unwrap();
        assert!(matches!(&body.place, Place::Memory(pieces) if pieces.len() == 4));
        assert_eq!(content(body), all);
    }

    #[test]
    fn without_budget_everything_goes_to_a_file() {
        let budget = Rc::new(Budget::new(3));
        let body = gather(Framing::Length(5), &[b"hello"], &budget).unwrap().unwrap();
        assert!(matches!(body.place, Place::File(_)));
        assert_eq!((body.length, content(body)), (5, b"hello".to_vec()));
    }

    #[test]
    fn chunked_bodies() {
        let budget = Rc::new(Budget::new(1000));
        let body = gather(Framing::Chunked, &[b"3\r\nabc\r", b"\n2\r\nde\r\n0\r\n\r\n"], &budget);
        assert_eq!(content(body.unwrap().unwrap()), b"abcde");
        let broken = gather(Framing::Chunked, &[b"3\r\nabcd\r\n"], &budget);
        assert_eq!(broken.err().unwrap().status(), 400);
        let bare = gather(Framing::Chunked, &[b"3\nabc\n0\n\n"], &budget);
        assert_eq!(bare.err().unwrap().status(), 400);
    }

    #[test]
    fn too_long_is_known_early_where_it_can_be() {
        let budget = Rc::new(Budget::new(1000));
        let declared = gather(Framing::Length(5 * 1024 * 1024), &[], &budget);
        assert_eq!(declared.err().unwrap().status(), 413);
        let chunk: Vec<u8> =
            [b"100000\r\n".to_vec(), vec![b'x'; 0x0010_0000], b"\r\n".to_vec()].concat();
        let pieces: Vec<&[u8]> = vec![&chunk; 5];
        let found = gather(Framing::Chunked, &pieces, &budget);
        assert_eq!(found.err().unwrap().status(), 413);
    }
}
