//! The stream that comes out of the compressor. It is flushed whenever its source pauses, so that
//! what a slow application has said so far reaches the client although the compressor would like to
//! see more.

use std::{
    cell::Cell,
    io::{self, Write},
    rc::Rc,
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
    ratio: Rc<Ratio>,
}

/// How many bytes have become how many: `$gzip_ratio`.
#[derive(Default)]
pub(super) struct Ratio {
    taken: Cell<u64>,
    given: Cell<u64>,
}

impl Ratio {
    fn give(&self, piece: Vec<u8>) -> Bytes {
        self.given.set(self.given.get() + piece.len() as u64);
        piece.into()
    }

    /// `2.13`, to the nearest.
    pub(super) fn text(&self) -> Option<Bytes> {
        let (taken, given) = (self.taken.get(), self.given.get());
        let thousandths = u128::from(taken) * 1000 / u128::from(Some(given).filter(|it| *it > 0)?);
        let hundredths = (thousandths + 5) / 10;
        Some(format!("{}.{:02}", hundredths / 100, hundredths % 100).into())
    }
}

impl Compressed {
    pub(super) fn new(source: Box<dyn Source>, level: u32, ratio: &Rc<Ratio>) -> Compressed {
        // 3 is Unix.
        let builder = GzBuilder::new().operating_system(3);
        let encoder = Some(builder.write(Vec::new(), Compression::new(level)));
        Compressed { source, encoder, holds: false, ratio: Rc::clone(ratio) }
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
                    self.ratio.taken.set(self.ratio.taken.get() + piece.len() as u64);
                    if encoder.get_ref().len() >= OUTPUT {
                        let piece = std::mem::take(encoder.get_mut());
                        return Poll::Ready(Some(Ok(self.ratio.give(piece))));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    self.encoder = None;
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(None) => {
                    let end = self.encoder.take().map(GzEncoder::finish);
                    return Poll::Ready(end.map(|end| end.map(|last| self.ratio.give(last))));
                }
                Poll::Pending => {
                    if self.holds {
                        self.holds = false;
                        if let Err(error) = encoder.flush() {
                            return Poll::Ready(Some(Err(error)));
                        }
                        // The source has noted who waits; what it has given so far goes out.
                        let piece = std::mem::take(encoder.get_mut());
                        return Poll::Ready(Some(Ok(self.ratio.give(piece))));
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

    #[test]
    fn ratios() {
        let check = |taken, given, expected: Option<&str>| {
            let ratio = Ratio { taken: Cell::new(taken), given: Cell::new(given) };
            assert_eq!(ratio.text().as_deref(), expected.map(str::as_bytes), "{taken}/{given}");
        };
        check(0, 0, None);
        check(17, 8, Some("2.13"));
        check(1999, 1000, Some("2.00"));
        check(1, 20, Some("0.05"));
        check(1004, 1000, Some("1.00"));
    }

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
        let mut compressed = Compressed::new(Box::new(slow), 1, &Rc::default());
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
