//! Bytes to the lines of a head. Must not know what a field means.

use std::ops::Range;

use bytes::BytesMut;
use http1::{
    FieldError, FieldLine, Newline, RequestLine, RequestLineError, Version, field_line,
    is_field_value, is_token, request_line,
};

use super::{Head, Refusal, Scheme, bad, invalid_header, meaning};
use crate::{front::tls, settings::Settings};

/// The bounds of a head, and whether the peer may speak for others.
pub(crate) struct Limits {
    pub(super) line: usize,
    pub(super) fields: usize,
    pub(super) field: usize,
    pub(super) trusted: bool,
    /// Unless one who is trusted says otherwise.
    pub(super) scheme: Scheme,
}

impl Limits {
    pub(crate) fn new(settings: &Settings, trusted: bool, scheme: Scheme) -> Limits {
        /// The longest line gunicorn's own parser takes.
        const LONGEST: usize = 8190;
        Limits {
            line: settings.limit_request_line.unwrap_or(LONGEST).min(LONGEST),
            fields: settings.limit_request_fields,
            field: settings.limit_request_field_size,
            trusted,
            scheme,
        }
    }
}

/// Reads one head. What was read stays read: a client that sends byte by byte is not read anew from
/// the start each time.
pub(crate) struct HeadReader<'a> {
    limits: &'a Limits,
    line: Option<RequestLine>,
    at: usize,
    fields: Vec<(Range<usize>, Range<usize>)>,
}

impl<'a> HeadReader<'a> {
    pub(crate) fn new(limits: &'a Limits) -> HeadReader<'a> {
        HeadReader { limits, line: None, at: 0, fields: Vec::with_capacity(16) }
    }

    /// Takes the head from the front of `buffer` once all of it is there.
    pub(crate) fn read(&mut self, buffer: &mut BytesMut) -> Result<Option<Head>, Refusal> {
        if self.line.is_none() {
            let Some(line) = self.request_line(buffer)? else { return Ok(None) };
            self.at = line.end;
            self.line = Some(line);
        }
        while let Some(line) = self.field(buffer)? {
            let field = match line {
                FieldLine::Field(field) => field,
                FieldLine::End { end } => {
                    let line = self.line.take().expect("it was read before the fields");
                    let bytes = buffer.split_to(end).freeze();
                    let fields = std::mem::take(&mut self.fields);
                    return meaning::interpret(bytes, line, fields, self.limits).map(Some);
                }
            };
            let name = &buffer[field.name.clone()];
            if !is_token(name) {
                let name = name.escape_ascii();
                return Err(bad(format!("Invalid HTTP header name: '{name}'")));
            }
            if !is_field_value(&buffer[field.value.clone()]) {
                return Err(invalid_header(&name.escape_ascii().to_string()));
            }
            if self.fields.len() == self.limits.fields {
                return Err(too_large("limit request headers fields"));
            }
            self.fields.push((field.name, field.value));
            self.at = field.end;
        }
        Ok(None)
    }

    fn request_line(&self, buffer: &[u8]) -> Result<Option<RequestLine>, Refusal> {
        if buffer.first() == Some(&tls::HANDSHAKE) {
            return Err(bad("TLS was sent to a port that speaks plain HTTP (certfile is not set)"));
        }
        // RFC 9112 §2.2: one empty line before it, from clients that end a body with a line end.
        let start = match buffer {
            [b'\r', b'\n', b'\r' | b'\n', ..] | [b'\n', ..] | [b'\r', 0..=9 | 11..=255, ..] => {
                return Err(bad("Invalid HTTP request line: ''"));
            }
            [b'\r', b'\n', ..] => 2,
            _ => 0,
        };
        let shown = |line: &[u8]| {
            const MOST: usize = 120;
            let end = line.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let line = &line[..end.unwrap_or(line.len()).min(MOST)];
            line.escape_ascii().to_string()
        };
        let invalid = || bad(format!("Invalid HTTP request line: '{}'", shown(&buffer[start..])));
        let line = match request_line(buffer) {
            Ok(line) => line,
            Err(RequestLineError::Method) => {
                let method = buffer[start..].split(|byte| *byte == b' ').next();
                let method = shown(method.unwrap_or_default());
                return Err(bad(format!("Invalid HTTP method: '{method}'")));
            }
            Err(RequestLineError::Version | RequestLineError::UnsupportedVersion) => {
                return Err(bad(format!("Invalid HTTP Version: '{}'", shown(&buffer[start..]))));
            }
            Err(RequestLineError::Target) => return Err(invalid()),
        };
        let length = line.as_ref().map_or(buffer.len() - start, |line| line.end - start - 2);
        if length > self.limits.line {
            let limit = self.limits.line;
            return Err(Refusal::new(
                414,
                format!("Request Line is too large ({length} > {limit})"),
            ));
        }
        let Some(line) = line else { return Ok(None) };
        if line.newline == Newline::Lf || !line.single_spaces || line.version == Version::Http09 {
            return Err(invalid());
        }
        if !(3..=20).contains(&line.method.len()) {
            let method = shown(&buffer[line.method]);
            return Err(bad(format!("Invalid HTTP method: '{method}'")));
        }
        // RFC 9112 §3.2: everything else is sent percent-encoded.
        if !buffer[line.target.clone()].iter().all(u8::is_ascii_graphic) {
            return Err(invalid());
        }
        Ok(Some(line))
    }

    fn field(&self, buffer: &[u8]) -> Result<Option<FieldLine>, Refusal> {
        let line = match field_line(buffer, self.at) {
            Ok(line) => line,
            Err(error) => return Err(self.refused_field(buffer, error)),
        };
        let end = match &line {
            None => buffer.len(),
            Some(FieldLine::Field(field)) => field.end,
            Some(FieldLine::End { end }) => *end,
        };
        if end - self.at > self.limits.field {
            return Err(too_large("limit request headers fields size"));
        }
        let is_bare = match &line {
            None => false,
            Some(FieldLine::Field(field)) => field.newline == Newline::Lf,
            Some(FieldLine::End { end }) => end - self.at != 2,
        };
        if is_bare {
            return Err(bad("Invalid HTTP Header: 'bare LF as line terminator'"));
        }
        Ok(line)
    }

    fn refused_field(&self, buffer: &[u8], error: FieldError) -> Refusal {
        let line = buffer[self.at..].split(|byte| *byte == b'\n').next().unwrap_or_default();
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        let name = &name[..name.len().min(120)];
        match error {
            FieldError::Name if matches!(line.first(), Some(b' ' | b'\t')) => {
                let name = self.fields.last().map_or(&b""[..], |(name, _)| &buffer[name.clone()]);
                let name = name.escape_ascii();
                bad(format!("Obsolete line folding is unacceptable: '{name}'"))
            }
            FieldError::Name => bad(format!("Invalid HTTP header name: '{}'", name.escape_ascii())),
            FieldError::NoColon | FieldError::Value => {
                invalid_header(&name.escape_ascii().to_string())
            }
        }
    }
}

fn too_large(what: &str) -> Refusal {
    Refusal::new(431, format!("Error parsing headers: '{what}'"))
}
