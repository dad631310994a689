//! What gunicorn's atoms say of one request: as text of a line, or as members of the dictionary that
//! Python's formatters read.
//!
//! gunicorn reads bytes as Latin-1 and writes UTF-8, so what is not ASCII comes out in that form here
//! too: a log stays valid UTF-8 whatever clients send. Only control characters differ: those are
//! escaped, so that a line stays one line.

use std::{io::Write, time::Duration};

use super::format::{Atom, LETTERS, Layout, NUMBERS};
use crate::{
    clock::AccessDate,
    dispatch::params,
    front::Head,
    gateway::Gateway,
    listen::Local,
    story::{Peer, Story},
};

pub(super) struct Atoms<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) local: &'a Local,
    pub(super) head: &'a Head,
    pub(super) story: &'a Story,
    pub(super) took: Duration,
}

/// How a value stands where it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quoting {
    /// gunicorn's, for lines.
    Line,
    /// JSON's, inside a string.
    Json,
}

impl Atoms<'_> {
    /// Appends one atom to a line.
    pub(super) fn write(&self, atom: &Atom, layout: Layout, out: &mut Vec<u8>) {
        if layout.is_plain() {
            return self.value(atom, Quoting::Line, out);
        }
        let mut value = Vec::new();
        self.value(atom, Quoting::Line, &mut value);
        layout.write(&String::from_utf8_lossy(&value), out);
    }

    fn value(&self, atom: &Atom, quoting: Quoting, out: &mut Vec<u8>) {
        let field = |value: Option<&[u8]>, out: &mut Vec<u8>| match value {
            None => out.push(b'-'),
            Some(value) => latin1(value, quoting, out),
        };
        match atom {
            Atom::Letter(letter) => self.letter(*letter, quoting, out),
            // Of several, a dictionary keeps the last.
            Atom::RequestField(name) => {
                let same = |(field, _): &(&[u8], &[u8])| field.eq_ignore_ascii_case(name);
                field(self.head.fields().filter(same).last().map(|(_, value)| value), out);
            }
            Atom::ResponseField(name) => {
                let same = |(field, _): &(&[u8], &[u8])| field.eq_ignore_ascii_case(name);
                field(self.response_fields().filter(same).last().map(|(_, value)| value), out);
            }
            Atom::Environ(name) => {
                let environ = self.environ();
                let found = environ.iter().rev().find(|(key, _)| key.eq_ignore_ascii_case(name));
                field(found.map(|(_, value)| &value[..]), out);
            }
        }
    }

    fn letter(&self, letter: char, quoting: Quoting, out: &mut Vec<u8>) {
        let (head, micros) = (self.head, self.took.as_micros());
        // Writing to a Vec does not fail.
        let _ = match letter {
            'h' => match self.story.peer {
                Peer::Unix => Ok(()),
                Peer::Tcp(address) => write!(out, "{}", address.ip()),
            },
            't' => write!(out, "[{AccessDate}]"),
            's' => write!(out, "{}", self.story.status),
            'b' | 'B' => write!(out, "{}", self.story.sent),
            'T' => write!(out, "{}", self.took.as_secs()),
            'M' => write!(out, "{}", micros / 1000),
            'D' => write!(out, "{micros}"),
            'L' => write!(out, "{}.{:06}", micros / 1_000_000, micros % 1_000_000),
            'p' => write!(out, "<{}>", self.pid()),
            'u' => {
                let user = head.field(b"authorization").and_then(basic_user);
                user.as_deref()
                    .unwrap_or("-")
                    .chars()
                    .for_each(|letter| quoted(letter, quoting, out));
                return;
            }
            'r' => {
                latin1(head.method(), quoting, out);
                out.push(b' ');
                latin1(head.target(), quoting, out);
                out.push(b' ');
                return latin1(head.protocol(), quoting, out);
            }
            'm' => return latin1(head.method(), quoting, out),
            'U' => return latin1(&self.path(), quoting, out),
            'q' => return latin1(head.query(), quoting, out),
            'H' => return latin1(head.protocol(), quoting, out),
            'f' => return self.joined(b"referer", quoting, out),
            'a' => return self.joined(b"user-agent", quoting, out),
            _ => write!(out, "-"),
        };
    }

    /// As environ has a field: all of its values, or `-`.
    fn joined(&self, name: &[u8], quoting: Quoting, out: &mut Vec<u8>) {
        let same = |(field, _): &(&[u8], &[u8])| field.eq_ignore_ascii_case(name);
        let mut values = self.head.fields().filter(same).map(|(_, value)| value);
        latin1(values.next().unwrap_or(b"-"), quoting, out);
        for value in values {
            out.push(b',');
            latin1(value, quoting, out);
        }
    }

    /// The worker's, or ours where none had it.
    pub(super) fn pid(&self) -> u32 {
        self.story.worker.unwrap_or_else(std::process::id)
    }

    /// `PATH_INFO`.
    fn path(&self) -> Vec<u8> {
        let settings = self.gateway.settings();
        let script_name = self.head.script_name().unwrap_or(settings.script_name.as_bytes());
        let path = self.head.path();
        params::unquote(path.strip_prefix(script_name).unwrap_or(path)).into_owned()
    }

    fn response_fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.story.response_fields.split(|byte| *byte == b'\n').filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((&line[..colon], line[colon + 1..].trim_ascii()))
        })
    }

    /// With what the app-host adds that has a form as text.
    fn environ(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut environ = params::list(self.gateway, self.local, self.head, self.story);
        let settings = self.gateway.settings();
        let truth = |is: bool| if is { "True" } else { "False" };
        let constants = [
            ("wsgi.version", "(1, 0)"),
            ("wsgi.multithread", truth(settings.threads > 1)),
            ("wsgi.multiprocess", truth(settings.workers > 1)),
            ("wsgi.run_once", "False"),
            ("wsgi.input_terminated", "True"),
        ];
        environ.extend(constants.map(|(name, value)| (name.into(), value.into())));
        environ
    }

    /// Appends all of them as a JSON object, under gunicorn's keys.
    pub(super) fn write_json(&self, out: &mut Vec<u8>) {
        let mut before = b'{';
        let mut key = |name: &[u8], kind: &str, out: &mut Vec<u8>| {
            out.push(std::mem::replace(&mut before, b','));
            out.push(b'"');
            if kind.is_empty() {
                out.extend_from_slice(name);
            } else {
                out.push(b'{');
                latin1(&name.to_ascii_lowercase(), Quoting::Json, out);
                out.push(b'}');
                out.extend_from_slice(kind.as_bytes());
            }
            out.extend_from_slice(b"\":");
        };
        let text = |value: &[u8], out: &mut Vec<u8>| {
            out.push(b'"');
            latin1(value, Quoting::Json, out);
            out.push(b'"');
        };
        for letter in LETTERS.chars() {
            key(&[letter as u8], "", out);
            let is_text = !NUMBERS.contains(letter);
            out.extend(is_text.then_some(b'"'));
            self.letter(letter, Quoting::Json, out);
            out.extend(is_text.then_some(b'"'));
        }
        for (name, value) in self.head.fields() {
            key(name, "i", out);
            text(value, out);
        }
        for (name, value) in self.response_fields() {
            key(name, "o", out);
            text(value, out);
        }
        for (name, value) in self.environ() {
            key(&name, "e", out);
            text(&value, out);
        }
        out.push(b'}');
    }
}

fn latin1(value: &[u8], quoting: Quoting, out: &mut Vec<u8>) {
    for byte in value {
        quoted(char::from(*byte), quoting, out);
    }
}

fn quoted(letter: char, quoting: Quoting, out: &mut Vec<u8>) {
    // Writing to a Vec does not fail.
    let _ = match (quoting, letter) {
        (_, '"') => out.write_all(b"\\\""),
        (Quoting::Json, '\\') => out.write_all(b"\\\\"),
        (Quoting::Json, '\0'..='\x1f' | '\x7f') => write!(out, "\\u{:04x}", u32::from(letter)),
        // A tab breaks no line.
        (Quoting::Line, '\0'..='\x08' | '\x0a'..='\x1f' | '\x7f') => {
            write!(out, "\\x{:02x}", u32::from(letter))
        }
        (_, letter) if letter.is_ascii() => out.write_all(&[letter as u8]),
        (_, letter) => write!(out, "{letter}"),
    };
}

/// The user of HTTP's Basic authentication.
fn basic_user(value: &[u8]) -> Option<String> {
    let scheme = value.get(..5)?;
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let space = value.iter().position(|byte| *byte == b' ')?;
    let decoded = base64(value[space + 1..].trim_ascii())?;
    let user = decoded.split(|byte| *byte == b':').next()?.to_vec();
    String::from_utf8(user).ok().filter(|user| !user.is_empty())
}

/// As Python's `b64decode`: what is no digit is passed over, and padding must be there.
fn base64(code: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(code.len() * 3 / 4);
    let (mut gathered, mut digits, mut padding) = (0_u32, 0_u32, 0);
    for digit in code {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padding += 1;
                if digits % 4 >= 2 && digits % 4 + padding >= 4 {
                    return Some(bytes);
                }
                continue;
            }
            _ => continue,
        };
        padding = 0;
        gathered = gathered << 6 | u32::from(value);
        digits += 1;
        if digits % 4 != 1 {
            bytes.push((gathered >> (6 - 2 * ((digits - 1) % 4))) as u8);
        }
    }
    digits.is_multiple_of(4).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line() {
        let mut out = Vec::new();
        latin1(b"a\"b\nc\x7f\t\\\xe9", Quoting::Line, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "a\\\"b\\x0ac\\x7f\t\\é");
        let mut out = b"\"".to_vec();
        latin1(b"a\"b\nc\x7f\t\\\xe9", Quoting::Json, &mut out);
        out.push(b'"');
        let read: String = serde_json::from_slice(&out).unwrap();
        assert_eq!(read, "a\"b\nc\x7f\t\\é");
    }

    #[test]
    fn basic_users() {
        for (value, user) in [
            ("Basic YWxpY2U6c2VjcmV0", Some("alice")),
            ("basic Ym9iOg==", Some("bob")),
            ("Basic Ym 9i\tOg==", Some("bob")),
            ("Basic Ym9iOg", None),
            ("Basic w6k6eA==", Some("é")),
            ("Basic 6Tp4", None),
            ("Basic OnNlY3JldA==", None),
            ("Bearer YWxpY2U6", None),
            ("Basic", None),
            ("Basic !!", None),
        ] {
            assert_eq!(basic_user(value.as_bytes()).as_deref(), user, "{value}");
        }
    }
}
