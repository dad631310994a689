//! Bytes to the lines of a head. Must not know what a field means.

use std::{ops::Range, rc::Rc};

use bytes::BytesMut;
use http1::{
    FieldError, FieldLine, Newline, RequestLine, RequestLineError, Unconventional, Version,
    field_line, is_field_value, is_token, unconventional_request_line,
};

use super::{Head, Refusal, Scheme, bad, invalid_header, leniency, meaning};
use crate::{front::tls, settings::Settings};

/// Where `--limit-request-line 0` ends, which is "no limit".
const LONGEST_LINE: usize = 64 * 1024;
/// All of a head, with something for what each field costs besides: what a worker takes of it as
/// variables is bounded, too. gunicorn's own limits allow less.
const LARGEST_HEAD: usize = 900 * 1024;
const FIELD_OVERHEAD: usize = 8;

/// How the heads of one connection are read: the settings when it came, and who is at its other end.
pub(crate) struct Limits {
    pub(super) settings: Rc<Settings>,
    /// Whether the peer may speak for others.
    pub(super) trusted: bool,
    /// How the connection itself came, where no trusted peer says otherwise.
    pub(super) scheme: Scheme,
}

impl Limits {
    pub(crate) fn new(settings: &Rc<Settings>, trusted: bool, scheme: Scheme) -> Limits {
        Limits { settings: Rc::clone(settings), trusted, scheme }
    }

    fn line(&self) -> usize {
        self.settings.limit_request_line.unwrap_or(LONGEST_LINE).min(LONGEST_LINE)
    }
}

/// Reads one head. What was read stays read: a client that sends byte by byte is not read anew from
/// the start each time.
pub(crate) struct HeadReader<'a> {
    limits: &'a Limits,
    line: Option<RequestLine>,
    /// Where the next line begins, and where the last field does.
    at: usize,
    field_at: usize,
    /// There is no line end between `at` and here.
    searched: usize,
    fields: Vec<(Range<usize>, Range<usize>)>,
}

impl<'a> HeadReader<'a> {
    pub(crate) fn new(limits: &'a Limits) -> HeadReader<'a> {
        let fields = Vec::with_capacity(16);
        HeadReader { limits, line: None, at: 0, field_at: 0, searched: 0, fields }
    }

    /// Takes the head from the front of `buffer` once all of it is there.
    pub(crate) fn read(&mut self, buffer: &mut BytesMut) -> Result<Option<Head>, Refusal> {
        if self.line.is_none() {
            let Some(line) = self.request_line(buffer)? else { return Ok(None) };
            self.at = line.end;
            if self.limits.settings.casefold_http_method {
                buffer[line.method.clone()].make_ascii_uppercase();
            }
            self.line = Some(line);
        }
        loop {
            if self.limits.settings.permit_obsolete_folding
                && matches!(buffer.get(self.at), Some(b' ' | b'\t'))
                && let Some((_, value)) = self.fields.last_mut()
            {
                let next = leniency::unfold(buffer, value, self.at)?;
                self.bound_field(buffer, self.field_at, next.unwrap_or(buffer.len()))?;
                let Some(next) = next else { return Ok(None) };
                self.at = next;
                continue;
            }
            let Some(line) = self.field(buffer)? else { return Ok(None) };
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
            let most = self.limits.settings.limit_request_fields;
            if self.fields.len() == most {
                let why = format!("there are more than --limit-request-fields allows, {most}");
                return Err(too_large("limit request headers fields").explained(why));
            }
            self.field_at = self.at;
            self.fields.push((field.name, field.value));
            self.at = field.end;
        }
    }

    fn request_line(&self, buffer: &[u8]) -> Result<Option<RequestLine>, Refusal> {
        let settings = &self.limits.settings;
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
        let taken = Unconventional {
            method: settings.permit_unconventional_http_method,
            version: settings.permit_unconventional_http_version,
        };
        let line = match unconventional_request_line(buffer, taken) {
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
        // Of an incomplete line, the last two bytes may be its end already.
        let end = line.as_ref().map_or(buffer.len(), |line| line.end);
        let length = (end - start).saturating_sub(2);
        let limit = self.limits.line();
        if length > limit {
            return Err(Refusal::new(
                414,
                format!("Request Line is too large ({length} > {limit})"),
            ));
        }
        let Some(line) = line else { return Ok(None) };
        if line.newline == Newline::Lf || !line.single_spaces || line.version == Version::Http09 {
            return Err(invalid());
        }
        // RFC 9112 §2.3: one digit each.
        if line.version_text.len() != "HTTP/1.1".len() {
            let version = shown(&buffer[line.version_text]);
            return Err(bad(format!("Invalid HTTP Version: '{version}'")));
        }
        if !taken.method && !(3..=20).contains(&line.method.len()) {
            let method = shown(&buffer[line.method]);
            return Err(bad(format!("Invalid HTTP method: '{method}'")));
        }
        // RFC 9112 §3.2: everything else is sent percent-encoded.
        if !buffer[line.target.clone()].iter().all(u8::is_ascii_graphic) {
            return Err(invalid());
        }
        Ok(Some(line))
    }

    fn field(&mut self, buffer: &mut [u8]) -> Result<Option<FieldLine>, Refusal> {
        // A first look is worth it in any case: some lines can not become good any more.
        let is_looked_at = self.searched > self.at;
        if is_looked_at && memchr::memchr(b'\n', &buffer[self.searched..]).is_none() {
            self.searched = buffer.len();
            return self.bound_field(buffer, self.at, buffer.len()).map(|()| None);
        }
        if self.limits.settings.strip_header_spaces {
            leniency::close_up_name(&mut buffer[self.at..]);
        }
        let line = match field_line(buffer, self.at) {
            Ok(line) => line,
            Err(error) => return Err(self.refused_field(buffer, error)),
        };
        let end = match &line {
            None => buffer.len(),
            Some(FieldLine::Field(field)) => field.end,
            Some(FieldLine::End { end }) => *end,
        };
        self.bound_field(buffer, self.at, end)?;
        let is_bare = match &line {
            None => {
                self.searched = buffer.len();
                false
            }
            Some(FieldLine::Field(field)) => field.newline == Newline::Lf,
            Some(FieldLine::End { end }) => end - self.at != 2,
        };
        if is_bare {
            return Err(bad("Invalid HTTP Header: 'bare LF as line terminator'"));
        }
        Ok(line)
    }

    /// A field that goes on to `end` so far, and the head with it.
    fn bound_field(&self, buffer: &[u8], start: usize, end: usize) -> Result<(), Refusal> {
        let most = self.limits.settings.limit_request_field_size;
        if end - start > most {
            let line = &buffer[start..end];
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            let name = name[..name.len().min(120)].escape_ascii();
            let why = format!("\"{name}\" is longer than --limit-request-field_size, {most} bytes");
            return Err(too_large("limit request headers fields size").explained(why));
        }
        if end + FIELD_OVERHEAD * self.fields.len() > LARGEST_HEAD {
            return Err(too_large("max buffer headers"));
        }
        Ok(())
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
