//! A stretch of a stream: what comes before it is read and dropped, what comes after it is not
//! waited for.

use std::{
    io,
    task::{Context, Poll, ready},
};

use bytes::Bytes;

use crate::response::{Source, Stream};

struct Stretch {
    source: Box<dyn Source>,
    /// Still to be dropped.
    skip: u64,
    /// Still to be given out.
    left: u64,
}

/// `length` bytes of the stream, from `start` on.
pub fn stretch(stream: Stream, start: u64, length: u64) -> Stream {
    let source = Stretch { source: stream.source, skip: start, left: length };
    Stream { length: Some(length), source: Box::new(source) }
}

impl Source for Stretch {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        while self.left > 0 {
            let mut data = match ready!(self.source.poll_chunk(context)) {
                Some(Ok(data)) => data,
                // A stream that ends early has broken: its length was promised.
                None => return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
                error => return Poll::Ready(error),
            };
            let skipped = self.skip.min(data.len() as u64);
            self.skip -= skipped;
            drop(data.split_to(skipped as usize));
            data.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= data.len() as u64;
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(data)));
            }
        }
        Poll::Ready(None)
    }

    fn poll_ahead(&mut self, context: &mut Context<'_>) {
        self.source.poll_ahead(context);
    }

    fn is_finished(&self) -> bool {
        self.left == 0
    }
}
