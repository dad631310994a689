//! An answer, read from a stream into `Answer`, which holds what has come so far even if the rest
//! never does.

use std::io;

use bytes::{Bytes, BytesMut};
use http1::{FieldLine, Version, field_line, status_line};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::Notify;

use super::exchange::{Cause, Field, Framing, Head, field_values};

/// Heads beyond any server's own limit, so that a large one is seen and not refused here.
const MAX_HEAD: usize = 1 << 20;
const MAX_INTERIM: usize = 64;
const MAX_CHUNK_LINE: usize = 4096;

/// What has come so far.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) interim: Vec<Head>,
    pub(super) head: Option<Head>,
    pub(super) framing: Option<Framing>,
    pub(super) body: BytesMut,
    pub(super) trailers: Vec<Field>,
}

/// A stream, and what was read from it but belongs to what comes next.
pub(super) struct Reading<'a, R> {
    pub(super) stream: R,
    pub(super) unread: &'a mut BytesMut,
    pub(super) max_body: usize,
}

impl<R: AsyncRead + Unpin> Reading<'_, R> {
    /// Reads the answer to a request of `method`. `proceed` is told of a 100, which says that the
    /// body may be sent.
    pub(super) async fn answer(
        &mut self,
        method: &str,
        answer: &mut Answer,
        proceed: &Notify,
    ) -> Result<(), Cause> {
        let head = loop {
            let head = self.head().await?;
            // 101 changes what is spoken, so it is the last that can be read.
            if head.status >= 200 || head.status == 101 {
                break head;
            }
            if head.status == 100 {
                proceed.notify_one();
            }
            answer.interim.push(head);
            if answer.interim.len() > MAX_INTERIM {
                return Err(Cause::Malformed(format!("more than {MAX_INTERIM} interim answers")));
            }
        };
        let framing = framing(method, &head);
        answer.head = Some(head);
        match framing? {
            Body::None => answer.framing = Some(Framing::None),
            Body::Length(length) => {
                answer.framing = Some(Framing::Length);
                self.length(length, &mut answer.body).await?;
            }
            Body::Chunked => {
                answer.framing = Some(Framing::Chunked);
                answer.trailers = self.chunks(&mut answer.body).await?;
            }
            Body::UntilClose => {
                answer.framing = Some(Framing::UntilClose);
                loop {
                    self.fits(answer.body.len(), self.unread.len() as u64)?;
                    answer.body.extend_from_slice(&self.unread.split());
                    if !self.more().await? {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    async fn head(&mut self) -> Result<Head, Cause> {
        let malformed = |what: &dyn std::fmt::Display, unread: &BytesMut| {
            let start = String::from_utf8_lossy(&unread[..unread.len().min(80)]).into_owned();
            Cause::Malformed(format!("{what} in {start:?}"))
        };
        let line = loop {
            match status_line(self.unread).map_err(|error| malformed(&error, self.unread))? {
                Some(line) => break line,
                None => self.more_of_head().await?,
            }
        };
        let reason = String::from_utf8_lossy(&self.unread[line.reason.clone()]).into_owned();
        let mut fields = Vec::new();
        let mut at = line.end;
        let end = loop {
            match field_line(self.unread, at) {
                Err(error) => {
                    let rest = BytesMut::from(&self.unread[at..]);
                    return Err(malformed(&error, &rest));
                }
                Ok(None) => self.more_of_head().await?,
                Ok(Some(FieldLine::End { end })) => break end,
                Ok(Some(FieldLine::Field(field))) => {
                    at = field.end;
                    fields.push(Field {
                        name: String::from_utf8_lossy(&self.unread[field.name]).into_owned(),
                        value: Bytes::copy_from_slice(&self.unread[field.value]),
                    });
                }
            }
        };
        let _head = self.unread.split_to(end);
        Ok(Head { version: line.version, status: line.status, reason, fields })
    }

    async fn more_of_head(&mut self) -> Result<(), Cause> {
        if self.unread.len() > MAX_HEAD {
            return Err(Cause::TooLarge { part: "head", limit: MAX_HEAD });
        }
        if self.more().await? {
            return Ok(());
        }
        Err(match self.unread.len() {
            0 => Cause::NoAnswer,
            bytes => Cause::HeadCut { bytes },
        })
    }

    async fn length(&mut self, length: u64, body: &mut BytesMut) -> Result<(), Cause> {
        self.fits(body.len(), length)?;
        let (start, mut left) = (body.len(), length);
        loop {
            let here = usize::try_from(left).unwrap_or(usize::MAX).min(self.unread.len());
            body.extend_from_slice(&self.unread.split_to(here));
            left -= here as u64;
            if left == 0 {
                return Ok(());
            }
            if !self.more().await? {
                return Err(Cause::BodyCut { got: (body.len() - start) as u64, expected: length });
            }
        }
    }

    async fn chunks(&mut self, body: &mut BytesMut) -> Result<Vec<Field>, Cause> {
        loop {
            let line = self.line(body.len()).await?;
            let text = String::from_utf8_lossy(&line).into_owned();
            let digits = text.split(';').next().unwrap_or_default().trim_end();
            // `from_str_radix` would take a sign, too.
            let size = Some(digits)
                .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
                .and_then(|digits| u64::from_str_radix(digits, 16).ok())
                .ok_or_else(|| Cause::Malformed(format!("no chunk size in {text:?}")))?;
            if size == 0 {
                return self.trailers(body.len()).await;
            }
            let got = body.len();
            self.length(size, body).await.map_err(|cause| match cause {
                Cause::BodyCut { .. } => Cause::ChunksCut { got: body.len() as u64 },
                cause => cause,
            })?;
            let end = self.line(got).await?;
            if !end.is_empty() {
                let text = String::from_utf8_lossy(&end).into_owned();
                return Err(Cause::Malformed(format!("a chunk goes on with {text:?}")));
            }
        }
    }

    async fn trailers(&mut self, got: usize) -> Result<Vec<Field>, Cause> {
        let (mut fields, mut bytes) = (Vec::new(), 0);
        loop {
            let mut line = self.line(got).await?;
            if line.is_empty() {
                return Ok(fields);
            }
            bytes += line.len();
            if bytes > MAX_HEAD {
                return Err(Cause::TooLarge { part: "trailer", limit: MAX_HEAD });
            }
            line.extend_from_slice(b"\r\n");
            match field_line(&line, 0) {
                Ok(Some(FieldLine::Field(field))) => fields.push(Field {
                    name: String::from_utf8_lossy(&line[field.name]).into_owned(),
                    value: Bytes::copy_from_slice(&line[field.value]),
                }),
                _ => return Err(Cause::Malformed("an invalid trailer field".to_owned())),
            }
        }
    }

    /// The next line of chunked framing, without its end.
    async fn line(&mut self, got: usize) -> Result<BytesMut, Cause> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let mut line = self.unread.split_to(end + 1);
                let Some(end) = end.checked_sub(1).filter(|end| line[*end] == b'\r') else {
                    return Err(Cause::Malformed("a bare line feed in chunked framing".to_owned()));
                };
                line.truncate(end);
                return Ok(line);
            }
            if self.unread.len() > MAX_CHUNK_LINE {
                return Err(Cause::TooLarge { part: "chunk size", limit: MAX_CHUNK_LINE });
            }
            if !self.more().await? {
                return Err(Cause::ChunksCut { got: got as u64 });
            }
        }
    }

    fn fits(&self, got: usize, more: u64) -> Result<(), Cause> {
        if got as u64 + more > self.max_body as u64 {
            return Err(Cause::TooLarge { part: "body", limit: self.max_body });
        }
        Ok(())
    }

    /// Reads once; `false` at the end of the stream.
    async fn more(&mut self) -> Result<bool, Cause> {
        self.unread.reserve(64 * 1024);
        match self.stream.read_buf(self.unread).await {
            Ok(read) => Ok(read > 0),
            // TLS without its closing alert ends like any other cut connection.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(Cause::Io(error)),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Body {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

fn framing(method: &str, head: &Head) -> Result<Body, Cause> {
    if method == "HEAD" || matches!(head.status, 101 | 204 | 304) {
        return Ok(Body::None);
    }
    let codings: Vec<_> = field_values(&head.fields, "transfer-encoding").collect();
    match codings[..] {
        [] => {}
        [coding] if coding.value.eq_ignore_ascii_case(b"chunked") => return Ok(Body::Chunked),
        [first, ..] => {
            return Err(Cause::Malformed(format!("transfer coding \"{}\"", first.text())));
        }
    }
    let mut lengths = field_values(&head.fields, "content-length");
    let Some(first) = lengths.next() else { return Ok(Body::UntilClose) };
    let text = first.text();
    if lengths.any(|other| other.value != first.value)
        || !text.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err(Cause::Malformed(format!("content length \"{text}\"")));
    }
    let length =
        text.parse().map_err(|_| Cause::Malformed(format!("content length \"{text}\"")))?;
    Ok(Body::Length(length))
}

/// Whether a message says, by its version and fields, that its connection ends with it.
pub(super) fn says_close(version: Version, fields: &[Field]) -> bool {
    let has = |option: &str| {
        field_values(fields, "connection").any(|field| {
            field.text().split(',').any(|word| word.trim().eq_ignore_ascii_case(option))
        })
    };
    has("close") || version != Version::Http11 && !has("keep-alive")
}
