//! The stream that comes out of the compressor. It is flushed whenever its source pauses, so that
//! what a slow application has said so far reaches the client although the compressor would like to
//! see more.

use std::{
    io::{self, Write},
    task::{Context, Poll},
};

use bytes::Bytes;
use flate2::{Compression, GzBuilder, write::GzEncoder};

use crate::response::Source;

pub(super) struct Compressed {
    source: Box<dyn Source>,
    /// `None` after the end.
    encoder: Option<GzEncoder<Vec<u8>>>,
    /// Something was taken in since the last flush.
    holds: bool,
}

impl Compressed {
    pub(super) fn new(source: Box<dyn Source>, level: u32) -> Compressed {
        // 3 is Unix.
        let builder = GzBuilder::new().operating_system(3);
        let encoder = Some(builder.write(Vec::new(), Compression::new(level)));
        Compressed { source, encoder, holds: false }
    }
}

/// Compressed bytes go out in pieces of about this size.
const OUTPUT: usize = 16 << 10;

impl Source for Compressed {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Some(encoder) = &mut self.encoder else { return Poll::Ready(None) };
        loop {
            match self.source.poll_chunk(context) {
                Poll::Ready(Some(Ok(piece))) => {
                    if let Err(error) = encoder.write_all(&piece) {
                        return Poll::Ready(Some(Err(error)));
                    }
                    self.holds = true;
                    if encoder.get_ref().len() >= OUTPUT {
                        return Poll::Ready(Some(Ok(std::mem::take(encoder.get_mut()).into())));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    self.encoder = None;
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(None) => {
                    let end = self.encoder.take().map(GzEncoder::finish);
                    return Poll::Ready(end.map(|end| end.map(Bytes::from)));
                }
                Poll::Pending => {
                    if self.holds {
                        self.holds = false;
                        if let Err(error) = encoder.flush() {
                            return Poll::Ready(Some(Err(error)));
                        }
                        // The source has noted who waits; what it has given so far goes out.
                        return Poll::Ready(Some(Ok(std::mem::take(encoder.get_mut()).into())));
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    /// A slow client must not hold the source, compressed or not.
    fn poll_ahead(&mut self, context: &mut Context<'_>) {
        self.source.poll_ahead(context);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// A source that pauses between its pieces.
    struct Slow(Vec<Option<&'static str>>);

    impl Source for Slow {
        fn poll_chunk(&mut self, _context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
            match self.0.pop() {
                None => Poll::Ready(None),
                Some(None) => Poll::Pending,
                Some(Some(text)) => Poll::Ready(Some(Ok(text.into()))),
            }
        }
    }

    #[test]
    fn a_pause_lets_out_what_was_said() {
        let slow = Slow(vec![Some("world"), None, Some("hello, ")]);
        let mut compressed = Compressed::new(Box::new(slow), 1);
        let mut context = Context::from_waker(std::task::Waker::noop());
        let Poll::Ready(Some(Ok(first))) = compressed.poll_chunk(&mut context) else {
            panic!("nothing came")
        };
        let mut text = [0; 7];
        flate2::read::MultiGzDecoder::new(&first[..]).read_exact(&mut text).unwrap();
        assert_eq!(&text, b"hello, ");
        let mut whole = first.to_vec();
        while let Poll::Ready(Some(Ok(piece))) = compressed.poll_chunk(&mut context) {
            whole.extend_from_slice(&piece);
        }
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(&whole[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello, world");
    }
}
