//! The head of a CGI response: what a FastCGI or a uwsgi application says before its body.

use bytes::Bytes;
use fastcgi::HeadReader;

pub(crate) fn run(data: &[u8]) {
    let Some((whole, part, rest)) = crate::cut(data) else { return };
    assert_eq!(read(&[whole]), read(&[part, rest]), "cut at {}", part.len());
}

type Read = (u16, Vec<(Vec<u8>, Vec<u8>)>, Vec<u8>);

/// Status, fields, and the body that came with it; `None`: refused, or not complete.
fn read(pieces: &[&[u8]]) -> Option<Read> {
    let mut reader = HeadReader::new(512);
    let mut read: Option<Read> = None;
    for piece in pieces {
        if let Some((_, _, body)) = &mut read {
            body.extend_from_slice(piece);
        } else if let Some((head, body)) = reader.push(Bytes::copy_from_slice(piece)).ok()? {
            assert!((100..1000).contains(&head.status), "{}", head.status);
            let fields = head.fields().map(|(name, value)| (name.to_vec(), value.to_vec()));
            read = Some((head.status, fields.collect(), body.to_vec()));
        }
    }
    read
}
