//! `--access-logformat`, compiled once: text, and gunicorn's atoms between it.
//!
//! Python's `%` does the formatting there, so an atom may have a width and a precision. What gunicorn
//! would print as `-` for ever, or as a traceback for each request, is refused here by its name. Must
//! not know where values come from.

/// A compiled format.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Format {
    pub(super) pieces: Vec<Piece>,
    /// Whether it asks for fields of the response.
    pub(super) needs_response: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Atom(Atom, Layout),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Atom {
    /// One of `LETTERS`.
    Letter(char),
    RequestField(Vec<u8>),
    ResponseField(Vec<u8>),
    Environ(Vec<u8>),
}

/// In the order of gunicorn's manual.
pub(super) const LETTERS: &str = "hlutrmUqHsBbfaTDMLp";
/// Those that are numbers in Python.
pub(super) const NUMBERS: &str = "TDMB";
/// Nobody's column is wider.
const WIDEST: usize = 4096;

/// What stands between `)` and the conversion's letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// In characters; 0: as wide as the value.
    width: usize,
    /// The most characters of a text, the fewest digits of a number.
    precision: Option<usize>,
    left: bool,
    zeros: bool,
    number: bool,
}

impl Layout {
    pub(super) fn is_plain(self) -> bool {
        self.width == 0 && self.precision.is_none()
    }

    /// Appends `value`, as Python would lay it out.
    pub(super) fn write(self, value: &str, out: &mut Vec<u8>) {
        let length = value.chars().count();
        let (zeros, shown) = match (self.number, self.precision) {
            (true, digits) => {
                let wanted = digits.unwrap_or(0);
                let wanted = if self.zeros && !self.left { wanted.max(self.width) } else { wanted };
                (wanted.saturating_sub(length), length)
            }
            (false, most) => (0, most.unwrap_or(length).min(length)),
        };
        let blanks = self.width.saturating_sub(zeros + shown);
        let mut pad = |byte: u8, count: usize| out.resize(out.len() + count, byte);
        if !self.left {
            pad(b' ', blanks);
        }
        pad(b'0', zeros);
        let end = value.char_indices().nth(shown).map_or(value.len(), |(at, _)| at);
        out.extend_from_slice(&value.as_bytes()[..end]);
        if self.left {
            out.resize(out.len() + blanks, b' ');
        }
    }
}

impl Format {
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
            let close = tail.find(')').filter(|_| tail.starts_with("%("));
            let close =
                close.ok_or_else(|| format!("\"{tail}\" does not begin with an %(atom)s"))?;
            let name = &tail[2..close];
            let atom =
                atom(name).ok_or_else(|| format!("\"%({name})s\" is no atom of the access log"))?;
            let (layout, length) = layout(&tail[close + 1..], &atom).ok_or_else(|| {
                format!("\"%({name})\" is followed by no conversion it can have, as s")
            })?;
            pieces.push(Piece::Atom(atom, layout));
            rest = &tail[close + 1 + length..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        let is_response = |piece: &Piece| matches!(piece, Piece::Atom(Atom::ResponseField(_), _));
        let needs_response = pieces.iter().any(is_response);
        Ok(Format { pieces, needs_response })
    }
}

fn atom(name: &str) -> Option<Atom> {
    if let Some((field, kind)) = name.strip_prefix('{').and_then(|name| name.split_once('}')) {
        let field = field.as_bytes().to_owned();
        return match kind {
            "i" | "I" => Some(Atom::RequestField(field)),
            "o" | "O" => Some(Atom::ResponseField(field)),
            "e" | "E" => Some(Atom::Environ(field)),
            _ => None,
        };
    }
    let mut letters = name.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) if LETTERS.contains(letter) => Some(Atom::Letter(letter)),
        _ => None,
    }
}

/// Flags, width, precision and the conversion itself; and how long all of it is.
fn layout(text: &str, atom: &Atom) -> Option<(Layout, usize)> {
    let mut layout = Layout::default();
    let flags = text.len() - text.trim_start_matches(['-', '0']).len();
    layout.left = text[..flags].contains('-');
    layout.zeros = text[..flags].contains('0');
    let (width, rest) = digits(&text[flags..])?;
    layout.width = width.unwrap_or(0);
    let mut rest = rest;
    if let Some(after) = rest.strip_prefix('.') {
        let (precision, after) = digits(after)?;
        layout.precision = Some(precision.unwrap_or(0));
        rest = after;
    }
    layout.number = match rest.chars().next()? {
        's' => false,
        'd' | 'i' | 'u' => true,
        _ => return None,
    };
    let is_number = matches!(atom, Atom::Letter(letter) if NUMBERS.contains(*letter));
    (is_number || !layout.number).then_some((layout, text.len() - rest.len() + 1))
}

fn digits(text: &str) -> Option<(Option<usize>, &str)> {
    let rest = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let digits = &text[..text.len() - rest.len()];
    if digits.is_empty() {
        return Some((None, rest));
    }
    let number = digits.parse().ok().filter(|number| *number <= WIDEST)?;
    Some((Some(number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_compiled() {
        let format = Format::read("%(h)s 100%% \"%({X-Id}i)s\"").unwrap();
        let plain = Layout::default();
        assert_eq!(
            format.pieces,
            [
                Piece::Atom(Atom::Letter('h'), plain),
                Piece::Text(" 100".into()),
                Piece::Text("%".into()),
                Piece::Text(" \"".into()),
                Piece::Atom(Atom::RequestField(b"X-Id".to_vec()), plain),
                Piece::Text("\"".into()),
            ]
        );
        assert!(Format::read("%({etag}o)s").unwrap().needs_response);
    }

    #[test]
    fn what_is_no_atom_is_refused() {
        for text in ["%(zz)s", "%h", "%(h)", "%({x}q)s", "100%", "%(s)d", "%(h)x", "%(h)99999s"] {
            assert!(Format::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn layouts_are_pythons() {
        let check = |conversion: &str, value: &str, expected: &str| {
            let format = Format::read(&format!("%(D){conversion}")).unwrap();
            let Piece::Atom(_, layout) = &format.pieces[0] else { panic!("{conversion}") };
            let mut out = Vec::new();
            layout.write(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{conversion}");
        };
        check("s", "é", "é");
        check("5s", "éa", "   éa");
        check("-5s", "ab", "ab   ");
        check("05s", "ab", "   ab");
        check(".1s", "éa", "é");
        check("4.1s", "éa", "   é");
        check("d", "12", "12");
        check("05d", "12", "00012");
        check("-05d", "12", "12   ");
        check("6.3d", "12", "   012");
    }
}
