//! What is here already, files and bytes, as a stream: for whoever changes a body on its way out.

use std::{
    collections::VecDeque,
    io,
    task::{Context, Poll},
};

use bytes::Bytes;

use crate::response::{Body, Part, Source};

/// Parts, given out a piece at a time.
struct Stored {
    parts: VecDeque<Part>,
}

/// What is read of a file, and worked on, before the other connections have their turn.
const PIECE: u64 = 64 << 10;

impl Body {
    /// The bytes as they come; `None` where there are none to change.
    pub fn into_source(self) -> Option<Box<dyn Source>> {
        match self {
            Body::Stream(stream) => Some(stream.source),
            Body::Parts(parts) => Some(Box::new(Stored { parts: parts.into() })),
            Body::Bytes(bytes) => Some(Box::new(Stored { parts: [Part::Bytes(bytes)].into() })),
            Body::Empty | Body::Absent(_) | Body::Tunnel(_) => None,
        }
    }
}

impl Source for Stored {
    fn poll_chunk(&mut self, _context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            match self.parts.pop_front() {
                None => return Poll::Ready(None),
                Some(Part::Bytes(bytes)) if bytes.is_empty() => (),
                Some(Part::Bytes(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                Some(Part::File(file)) if file.length == 0 => (),
                Some(Part::File(mut file)) => {
                    let mut piece = vec![0; file.length.min(PIECE) as usize];
                    let read = nix::sys::uio::pread(&*file.file, &mut piece, file.offset as i64);
                    return Poll::Ready(Some(match read {
                        Ok(0) => Err(io::Error::other("the file has become shorter")),
                        Err(error) => Err(error.into()),
                        Ok(read) => {
                            piece.truncate(read);
                            file.offset += read as u64;
                            file.length -= read as u64;
                            self.parts.push_front(Part::File(file));
                            Ok(piece.into())
                        }
                    }));
                }
            }
        }
    }
}
