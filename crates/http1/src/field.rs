//! One field line, RFC 9112 §5, and the empty line that ends them.

use std::ops::Range;

use memchr::{memchr, memchr2};

use crate::Newline;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldLine {
    Field(Field),
    /// The empty line. The body begins at `end`.
    End {
        end: usize,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// In the sender's own spelling.
    pub name: Range<usize>,
    /// Without the white space around it.
    pub value: Range<usize>,
    pub kind: NameKind,
    pub newline: Newline,
    /// Where the next line begins.
    pub end: usize,
}

/// What a name is made of. CGI turns `-` into `_`, so the three are not equally safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    /// Letters, digits and hyphens.
    Plain,
    /// An underscore as well: `X_User` would become the same variable as `X-User`.
    Underscore,
    /// Any other visible character.
    Odd,
}

/// Why the head has no meaning: where a field ends, or what its name is, can not be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// A name that is empty, or holds a space or a control character. A folded line
    /// (RFC 9112 §5.2) is one too: it begins with a space.
    #[error("invalid field name")]
    Name,
    #[error("field line without a colon")]
    NoColon,
    /// NUL, or a CR that no LF follows.
    #[error("invalid field value")]
    Value,
}

/// Reads the line that begins at `at`. `None`: it is not complete.
pub fn field_line(buffer: &[u8], at: usize) -> Result<Option<FieldLine>, FieldError> {
    let line = &buffer[at..];
    let Some(length) = memchr(b'\n', line) else {
        // Refuse at once what no further byte can mend.
        return match line.first() {
            Some(byte) if *byte <= b' ' && *byte != b'\r' || *byte == 0x7f => Err(FieldError::Name),
            _ => Ok(None),
        };
    };
    let end = at + length + 1;
    let (newline, text) = match line[..length].strip_suffix(b"\r") {
        Some(text) => (Newline::CrLf, text),
        None => (Newline::Lf, &line[..length]),
    };
    if text.is_empty() {
        return Ok(Some(FieldLine::End { end }));
    }
    let (colon, kind) = name(text)?;
    let value = &text[colon + 1..];
    if memchr2(0, b'\r', value).is_some() {
        return Err(FieldError::Value);
    }
    let blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
    let leading = value.iter().take_while(blank).count();
    let trailing = value[leading..].iter().rev().take_while(blank).count();
    let start = at + colon + 1 + leading;
    Ok(Some(FieldLine::Field(Field {
        name: at..at + colon,
        value: start..at + colon + 1 + value.len() - trailing,
        kind,
        newline,
        end,
    })))
}

/// Where the name ends, and what it is made of.
fn name(text: &[u8]) -> Result<(usize, NameKind), FieldError> {
    // Most names are plain to their colon, and are read with one look a byte.
    let mut place = text.iter().position(|byte| !IS_PLAIN[usize::from(*byte)]);
    let mut kind = NameKind::Plain;
    while let Some(at) = place {
        match text[at] {
            b':' if at == 0 => return Err(FieldError::Name),
            b':' => return Ok((at, kind)),
            b'_' if kind == NameKind::Plain => kind = NameKind::Underscore,
            b'_' => (),
            0..=b' ' | 0x7f => return Err(FieldError::Name),
            _ => kind = NameKind::Odd,
        }
        let next = text[at + 1..].iter().position(|byte| !IS_PLAIN[usize::from(*byte)]);
        place = next.map(|next| at + 1 + next);
    }
    Err(FieldError::NoColon)
}

/// Letters, digits and the hyphen.
static IS_PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'-';
        byte += 1;
    }
    table
};

/// RFC 9110 §5.6.2.
pub fn is_token(name: &[u8]) -> bool {
    !name.is_empty()
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// RFC 9110 §5.5: no control characters but the tab.
pub fn is_field_value(value: &[u8]) -> bool {
    value.iter().all(|byte| *byte == b'\t' || (b' ' <= *byte && *byte != 0x7f))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, name: &str, value: &str, kind: NameKind) {
        let Some(FieldLine::Field(field)) = field_line(line.as_bytes(), 0).unwrap() else {
            panic!("{line:?} is a field");
        };
        assert_eq!((&line[field.name], &line[field.value], field.kind), (name, value, kind));
        assert_eq!(field.end, line.len());
        for cut in 0..line.len() {
            assert_eq!(field_line(&line.as_bytes()[..cut], 0), Ok(None), "cut at {cut}");
        }
    }

    #[test]
    fn fields() {
        check("Host: example\r\n", "Host", "example", NameKind::Plain);
        check("Host:example \t\r\n", "Host", "example", NameKind::Plain);
        check("X-Empty:\r\n", "X-Empty", "", NameKind::Plain);
        check("X-Blank:   \n", "X-Blank", "", NameKind::Plain);
        check("X_User: a\r\n", "X_User", "a", NameKind::Underscore);
        check("X.Y_Z: a\r\n", "X.Y_Z", "a", NameKind::Odd);
        check("X-Words: a b  c\r\n", "X-Words", "a b  c", NameKind::Plain);
    }

    #[test]
    fn the_empty_line_ends_them() {
        assert_eq!(field_line(b"\r\nbody", 0), Ok(Some(FieldLine::End { end: 2 })));
        assert_eq!(field_line(b"\nbody", 0), Ok(Some(FieldLine::End { end: 1 })));
        assert_eq!(field_line(b"\r", 0), Ok(None));
    }

    #[test]
    fn lines_without_meaning() {
        let refuse = |line: &str, error| assert_eq!(field_line(line.as_bytes(), 0), Err(error));
        refuse(" folded\r\n", FieldError::Name);
        refuse("\tfolded", FieldError::Name);
        refuse(": no name\r\n", FieldError::Name);
        refuse("Na me: x\r\n", FieldError::Name);
        refuse("Host : x\r\n", FieldError::Name);
        refuse("no colon\r\n", FieldError::Name);
        refuse("nocolon\r\n", FieldError::NoColon);
        refuse("X: a\rb\r\n", FieldError::Value);
        refuse("X: a\0b\r\n", FieldError::Value);
    }
}
