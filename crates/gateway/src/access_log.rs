//! `--access-logfile`: a line for each request, in gunicorn's atoms.
//!
//! The format is compiled once. Lines gather in memory and are written when the thread has nothing
//! else ready to do, so that under load many leave in one write.

use std::{cell::RefCell, fmt::Write as _, io, rc::Rc, time::Duration};

use crate::{
    clock::AccessDate,
    dispatch::params,
    front::Head,
    gateway::Gateway,
    listen::Local,
    log::{Sink, Standard},
    settings::Destination,
    story::{Peer, Story},
};

pub(crate) struct AccessLog {
    format: Format,
    sink: RefCell<Sink>,
    waiting: RefCell<Vec<u8>>,
}

/// Beyond this, lines are written at once: the log may not grow without bound in memory.
const MOST_WAITING: usize = 64 * 1024;

/// A compiled format.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pieces: Vec<Piece>,
    /// Whether it asks for fields of the response.
    pub(crate) needs_response: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Atom(char),
    RequestField(Vec<u8>),
    ResponseField(Vec<u8>),
    Environ(Vec<u8>),
}

const ATOMS: &str = "hlutrmUqHsBbfaTDMLp";

impl Format {
    /// Refuses what gunicorn would print as `-` for ever.
    pub(crate) fn read(text: &str) -> Result<Format, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            let (before, tail) = rest.split_at(at);
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            if let Some(after) = tail.strip_prefix("%%") {
                pieces.push(Piece::Text("%".to_owned()));
                rest = after;
                continue;
            }
            let end = tail.find(")s").filter(|_| tail.starts_with("%("));
            let end = end.ok_or_else(|| format!("\"{tail}\" does not begin with an %(atom)s"))?;
            pieces.push(
                atom(&tail[2..end]).ok_or_else(|| {
                    format!("\"{}\" is no atom of the access log", &tail[..end + 2])
                })?,
            );
            rest = &tail[end + 2..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        let needs_response = pieces.iter().any(|piece| matches!(piece, Piece::ResponseField(_)));
        Ok(Format { pieces, needs_response })
    }
}

fn atom(name: &str) -> Option<Piece> {
    if let Some((field, kind)) = name.strip_prefix('{').and_then(|name| name.split_once('}')) {
        let field = field.as_bytes().to_owned();
        return match kind {
            "i" => Some(Piece::RequestField(field)),
            "o" => Some(Piece::ResponseField(field)),
            "e" => Some(Piece::Environ(field)),
            _ => None,
        };
    }
    let mut letters = name.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) if ATOMS.contains(letter) => Some(Piece::Atom(letter)),
        _ => None,
    }
}

impl AccessLog {
    pub(crate) fn open(destination: &Destination, format: &str) -> io::Result<AccessLog> {
        Ok(AccessLog {
            format: Format::read(format).expect("the settings read it before"),
            sink: RefCell::new(Sink::open(destination, Standard::Output)?),
            waiting: RefCell::default(),
        })
    }

    pub(crate) fn needs_response(&self) -> bool {
        self.format.needs_response
    }

    pub(crate) fn record(&self, gateway: &Gateway, local: &Local, head: &Head, story: &Story) {
        let mut line = Line { gateway, local, head, story, took: story.age() };
        let mut waiting = self.waiting.borrow_mut();
        let was_empty = waiting.is_empty();
        for piece in &self.format.pieces {
            line.write(piece, &mut waiting);
        }
        if story.trace.is_some() {
            waiting.extend_from_slice(story.trace_suffix().to_string().as_bytes());
        }
        waiting.push(b'\n');
        let is_full = waiting.len() >= MOST_WAITING;
        drop(waiting);
        if is_full {
            self.flush();
        } else if was_empty {
            gateway.access_filled.notify_one();
        }
    }

    pub(crate) fn flush(&self) {
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.is_empty() {
            self.sink.borrow_mut().write(&waiting);
            waiting.clear();
        }
    }

    pub(crate) fn reopen(&self) -> io::Result<()> {
        self.flush();
        self.sink.borrow_mut().reopen()
    }
}

/// Writes what waits, whenever something does. Runs for as long as the process does.
pub(crate) async fn keep_writing(gateway: Rc<Gateway>) {
    loop {
        gateway.access_filled.notified().await;
        // Whatever is ready now comes first, and its lines leave in the same write.
        tokio::task::yield_now().await;
        if let Some(access) = gateway.access() {
            access.flush();
        }
    }
}

struct Line<'a> {
    gateway: &'a Gateway,
    local: &'a Local,
    head: &'a Head,
    story: &'a Story,
    took: Duration,
}

impl Line<'_> {
    fn write(&mut self, piece: &Piece, out: &mut Vec<u8>) {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
            Piece::Atom(letter) => self.atom(*letter, out),
            Piece::RequestField(name) => value(self.head.field(name), out),
            Piece::ResponseField(name) => {
                value(field_of(&self.story.response_fields, name), out);
            }
            Piece::Environ(name) => {
                let environ = params::list(self.gateway, self.local, self.head, self.story);
                let found = environ.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                value(found.map(|(_, value)| &value[..]), out);
            }
        }
    }

    fn atom(&self, letter: char, out: &mut Vec<u8>) {
        let head = self.head;
        let mut text = String::new();
        let micros = self.took.as_micros();
        // Writing to a String does not fail.
        let _ = match letter {
            'h' => match self.story.peer {
                Peer::Unix => Ok(()),
                Peer::Tcp(address) => write!(text, "{}", address.ip()),
            },
            't' => write!(text, "[{AccessDate}]"),
            's' => write!(text, "{}", self.story.status),
            'b' | 'B' => write!(text, "{}", self.story.sent),
            'T' => write!(text, "{}", self.took.as_secs()),
            'M' => write!(text, "{}", micros / 1000),
            'D' => write!(text, "{micros}"),
            'L' => write!(text, "{}.{:06}", micros / 1_000_000, micros % 1_000_000),
            'p' => write!(text, "<{}>", self.story.worker.unwrap_or_else(std::process::id)),
            'u' => {
                let user = head.field(b"authorization").and_then(basic_user);
                return value(user.as_deref(), out);
            }
            'r' => {
                escaped(head.method(), out);
                out.push(b' ');
                escaped(head.target(), out);
                out.push(b' ');
                return out.extend_from_slice(head.protocol());
            }
            'm' => return escaped(head.method(), out),
            'U' => return escaped(&params::unquote(head.path()), out),
            'q' => return escaped(head.query(), out),
            'H' => return out.extend_from_slice(head.protocol()),
            'f' => return value(head.field(b"referer"), out),
            'a' => return value(head.field(b"user-agent"), out),
            _ => write!(text, "-"),
        };
        out.extend_from_slice(text.as_bytes());
    }
}

fn value(value: Option<&[u8]>, out: &mut Vec<u8>) {
    match value {
        None => out.push(b'-'),
        Some(value) => escaped(value, out),
    }
}

/// Quotes as gunicorn escapes them; control characters too, so that a line stays one line.
fn escaped(value: &[u8], out: &mut Vec<u8>) {
    for byte in value {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            0..0x20 | 0x7f => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
            byte => out.push(*byte),
        }
    }
}

/// From a block of `Name: value` lines.
fn field_of<'a>(block: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    block.split(|byte| *byte == b'\n').find_map(|line| {
        let (field, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        field.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
    })
}

/// The user of HTTP's Basic authentication.
fn basic_user(value: &[u8]) -> Option<Vec<u8>> {
    let (scheme, code) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = base64(code.trim_ascii())?;
    let user = decoded.split(|byte| *byte == b':').next()?;
    (!user.is_empty()).then(|| user.to_owned())
}

fn base64(code: &[u8]) -> Option<Vec<u8>> {
    let digits = code.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    let mut bytes = Vec::with_capacity(digits * 3 / 4);
    let (mut gathered, mut bits) = (0_u32, 0);
    for digit in &code[..digits] {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        gathered = gathered << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((gathered >> bits) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_compiled() {
        let format = Format::read("%(h)s 100%% \"%({X-Id}i)s\"").unwrap();
        assert_eq!(
            format.pieces,
            [
                Piece::Atom('h'),
                Piece::Text(" 100".into()),
                Piece::Text("%".into()),
                Piece::Text(" \"".into()),
                Piece::RequestField(b"X-Id".to_vec()),
                Piece::Text("\"".into()),
            ]
        );
        assert!(Format::read("%({etag}o)s").unwrap().needs_response);
    }

    #[test]
    fn what_is_no_atom_is_refused() {
        for text in ["%(zz)s", "%h", "%(h)", "%({x}q)s", "100%"] {
            assert!(Format::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_line_stays_one_line() {
        let mut out = Vec::new();
        escaped(b"a\"b\nc\x7f", &mut out);
        assert_eq!(out, b"a\\\"b\\x0ac\\x7f");
    }

    #[test]
    fn basic_users() {
        assert_eq!(basic_user(b"Basic YWxpY2U6c2VjcmV0"), Some(b"alice".to_vec()));
        assert_eq!(basic_user(b"basic Ym9iOg=="), Some(b"bob".to_vec()));
        assert_eq!(basic_user(b"Bearer YWxpY2U6"), None);
        assert_eq!(basic_user(b"Basic !!"), None);
    }

    #[test]
    fn fields_of_a_response() {
        let block = b"Content-Type: text/html\r\nETag: \"x\"\r\n";
        assert_eq!(field_of(block, b"etag"), Some(&b"\"x\""[..]));
        assert_eq!(field_of(block, b"content"), None);
    }
}
