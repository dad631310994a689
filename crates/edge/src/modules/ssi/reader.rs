//! A page to text and commands. A command may be cut anywhere by the end of a piece: it is kept
//! until its end has come, and since names and values have their bounds, so has what is kept.

use bytes::Bytes;
use memchr::memmem;

/// What a page consists of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token {
    Text(Bytes),
    Command(Command),
    /// No command, for a reason that the log is told; with where it ended it has passed.
    Error(String),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) name: String,
    /// In order, and perhaps one twice.
    pub(super) parameters: Vec<(String, Vec<u8>)>,
    /// As it stands in the page.
    pub(super) source: Bytes,
}

pub(super) struct Reader {
    value_length: usize,
    /// Given and not yet read.
    rest: Bytes,
    /// Inside of what is no command: all is passed over up to its end.
    skipping: Option<String>,
}

const START: &[u8] = b"<!--#";
const END: &[u8] = b"-->";
/// nginx's bounds for names.
const COMMAND: usize = 32;
const PARAMETER: usize = 32;
/// And for how many parameters a command has.
const PARAMETERS: usize = 16;
/// Blanks between the words of a command count, too.
const BLANKS: usize = 4 << 10;

impl Reader {
    pub(super) fn new(value_length: usize) -> Reader {
        Reader { value_length, rest: Bytes::new(), skipping: None }
    }

    pub(super) fn feed(&mut self, piece: Bytes) {
        self.rest =
            if self.rest.is_empty() { piece } else { [&self.rest[..], &piece].concat().into() };
    }

    /// The next token; `None`: more is needed.
    pub(super) fn next(&mut self) -> Option<Token> {
        if self.skipping.is_some() {
            return self.skip();
        }
        if self.rest.is_empty() {
            return None;
        }
        let Some(start) = memmem::find(&self.rest, START) else {
            let kept = begun(&self.rest);
            let text = self.rest.split_to(self.rest.len() - kept);
            return (!text.is_empty()).then_some(Token::Text(text));
        };
        if start > 0 {
            return Some(Token::Text(self.rest.split_to(start)));
        }
        let limit = BLANKS + PARAMETERS * (PARAMETER + self.value_length.saturating_mul(2));
        match command(&self.rest, self.value_length) {
            Parsed::Done(mut command, end) => {
                command.source = self.rest.split_to(end);
                Some(Token::Command(command))
            }
            Parsed::More if self.rest.len() > limit => {
                self.wrong("too long SSI command".to_owned(), START.len())
            }
            Parsed::More => None,
            Parsed::Wrong(message, at) => self.wrong(message, at),
        }
    }

    /// What is left when nothing more comes: text that began as a command does.
    pub(super) fn end(&mut self) -> Option<Token> {
        let rest = std::mem::take(&mut self.rest);
        (self.skipping.is_none() && !rest.is_empty() && !rest.starts_with(START))
            .then_some(Token::Text(rest))
    }

    fn wrong(&mut self, message: String, at: usize) -> Option<Token> {
        self.rest = self.rest.split_off(at.min(self.rest.len()));
        self.skipping = Some(message);
        self.skip()
    }

    fn skip(&mut self) -> Option<Token> {
        match memmem::find(&self.rest, END) {
            Some(at) => {
                self.rest = self.rest.split_off(at + END.len());
                self.skipping.take().map(Token::Error)
            }
            None => {
                let kept = self.rest.len().min(END.len() - 1);
                self.rest = self.rest.split_off(self.rest.len() - kept);
                None
            }
        }
    }
}

/// How many bytes at the end may be the beginning of a command.
fn begun(text: &[u8]) -> usize {
    (1..START.len()).rev().find(|length| text.ends_with(&START[..*length])).unwrap_or(0)
}

enum Parsed {
    /// And where it ends.
    Done(Command, usize),
    More,
    /// Why, and how far it was read.
    Wrong(String, usize),
}

/// One command, from its `<!--#`.
fn command(text: &[u8], value_length: usize) -> Parsed {
    let mut cursor = Cursor { text, at: START.len() };
    let mut command = Command { name: String::new(), parameters: Vec::new(), source: Bytes::new() };
    match cursor.command(&mut command, value_length) {
        Ok(()) => Parsed::Done(command, cursor.at),
        Err(Stop::More) => Parsed::More,
        Err(Stop::Wrong(message)) => Parsed::Wrong(message, cursor.at),
    }
}

enum Stop {
    More,
    Wrong(String),
}

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Result<u8, Stop> {
        self.text.get(self.at).copied().ok_or(Stop::More)
    }

    fn blanks(&mut self) -> Result<u8, Stop> {
        while is_blank(self.peek()?) {
            self.at += 1;
        }
        self.peek()
    }

    fn command(&mut self, command: &mut Command, value_length: usize) -> Result<(), Stop> {
        self.blanks()?;
        let name = self.word(COMMAND, |byte| byte == b'-').map_err(|stop| match stop {
            Stop::Wrong(word) => Stop::Wrong(format!("the \"{word}...\" SSI command is too long")),
            more @ Stop::More => more,
        })?;
        command.name = name;
        while self.blanks()? != b'-' {
            self.parameter(command, value_length)?;
        }
        for expected in END {
            let byte = self.peek()?;
            if byte != *expected {
                return Err(Stop::Wrong(format!(
                    "unexpected \"{}\" symbol in \"{}\" SSI command",
                    shown(&[byte]),
                    command.name
                )));
            }
            self.at += 1;
        }
        Ok(())
    }

    fn parameter(&mut self, command: &mut Command, value_length: usize) -> Result<(), Stop> {
        let of = |what: String| format!("{what} in \"{}\" SSI command", command.name);
        let key = self.word(PARAMETER, |byte| matches!(byte, b'=' | b'-'));
        let key = key.map_err(|stop| match stop {
            Stop::Wrong(word) => Stop::Wrong(of(format!("too long \"{word}...\" parameter"))),
            more @ Stop::More => more,
        })?;
        let byte = self.blanks()?;
        if byte != b'=' {
            let what =
                format!("unexpected \"{}\" symbol after \"{key}\" parameter", shown(&[byte]));
            return Err(Stop::Wrong(of(what)));
        }
        self.at += 1;
        let quote = self.blanks()?;
        if !matches!(quote, b'"' | b'\'') {
            let what = format!(
                "unexpected \"{}\" symbol before value of \"{key}\" parameter",
                shown(&[quote])
            );
            return Err(Stop::Wrong(of(what)));
        }
        self.at += 1;
        let start = self.at;
        let mut quoted = false;
        loop {
            match self.peek()? {
                byte if byte == quote && !quoted => break,
                byte => quoted = byte == b'\\' && !quoted,
            }
            self.at += 1;
            if self.at - start > value_length {
                let value = shown(&self.text[start..self.at]);
                let what = format!("too long \"{value}...\" value of \"{key}\" parameter");
                return Err(Stop::Wrong(of(what)));
            }
        }
        let value = self.text[start..self.at].to_vec();
        self.at += 1;
        let byte = self.peek()?;
        if !is_blank(byte) && byte != b'-' {
            let what = format!(
                "unexpected \"{}\" symbol after \"{}\" value of \"{key}\" parameter",
                shown(&[byte]),
                shown(&value)
            );
            return Err(Stop::Wrong(of(what)));
        }
        if command.parameters.len() == PARAMETERS {
            let what = format!("too many SSI command parameters: \"{}\"", command.name);
            return Err(Stop::Wrong(what));
        }
        command.parameters.push((key, value));
        Ok(())
    }

    /// Up to a blank, or what ends it; at least one byte.
    fn word(&mut self, longest: usize, ends: impl Fn(u8) -> bool) -> Result<String, Stop> {
        let start = self.at;
        self.at += 1;
        while !is_blank(self.peek()?) && !ends(self.peek()?) {
            self.at += 1;
            if self.at - start > longest {
                return Err(Stop::Wrong(shown(&self.text[start..self.at])));
            }
        }
        Ok(shown(&self.text[start..self.at]))
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&str]) -> Vec<Token> {
        let mut reader = Reader::new(20);
        let mut tokens = Vec::new();
        for piece in pieces {
            reader.feed(Bytes::copy_from_slice(piece.as_bytes()));
            tokens.extend(std::iter::from_fn(|| reader.next()));
        }
        tokens.extend(reader.end());
        // Text in one piece however it came.
        let mut joined: Vec<Token> = Vec::new();
        for token in tokens {
            match (joined.last_mut(), token) {
                (Some(Token::Text(before)), Token::Text(text)) => {
                    *before = [&before[..], &text].concat().into();
                }
                (_, token) => joined.push(token),
            }
        }
        joined
    }

    fn text(text: &'static str) -> Token {
        Token::Text(text.into())
    }

    fn command(source: &'static str, name: &str, parameters: &[(&str, &str)]) -> Token {
        let parameters =
            parameters.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        Token::Command(Command { name: name.to_owned(), parameters, source: source.into() })
    }

    /// However the page is cut, it says the same.
    #[track_caller]
    fn check(page: &str, expected: &[Token]) {
        assert_eq!(read(&[page]), expected, "{page}");
        for at in 1..page.len() {
            let (one, other) = page.split_at(at);
            assert_eq!(read(&[one, other]), expected, "{one} | {other}");
        }
        let bytes: Vec<&str> = (0..page.len()).map(|at| &page[at..=at]).collect();
        assert_eq!(read(&bytes), expected, "{page}");
    }

    #[test]
    fn commands_among_text() {
        check("plain < text <!-- --> <!-", &[text("plain < text <!-- --> <!-")]);
        let source = "<!--#echo var=\"a\" -->";
        check(
            "x<!--#echo var=\"a\" -->y",
            &[text("x"), command(source, "echo", &[("var", "a")]), text("y")],
        );
        let source = "<!--# set var = 'a' value='\\'b\"'-->";
        let parameters = [("var", "a"), ("value", "\\'b\"")];
        check("<!--# set var = 'a' value='\\'b\"'-->", &[command(source, "set", &parameters)]);
        check("<<!--#else -->", &[text("<"), command("<!--#else -->", "else", &[])]);
        check("a<!--#echo var=", &[text("a")]);
    }

    #[test]
    fn what_is_no_command_is_passed_over() {
        let wrong = |message: &str| Token::Error(message.to_owned());
        check(
            "<!--#echo var -->x",
            &[
                wrong("unexpected \"-\" symbol after \"var\" parameter in \"echo\" SSI command"),
                text("x"),
            ],
        );
        check(
            "<!--#echo var=a -->x",
            &[
                wrong(
                    "unexpected \"a\" symbol before value of \"var\" parameter in \"echo\" SSI command",
                ),
                text("x"),
            ],
        );
        check("<!--#a -x-->", &[wrong("unexpected \"x\" symbol in \"a\" SSI command")]);
        let long = format!("<!--#{}-->x", "a".repeat(40));
        let message = format!("the \"{}...\" SSI command is too long", "a".repeat(33));
        check(&long, &[wrong(&message), text("x")]);
        let long = format!("<!--#a b=\"{}\" -->x", "c".repeat(30));
        let value = "c".repeat(21);
        let message =
            format!("too long \"{value}...\" value of \"b\" parameter in \"a\" SSI command");
        check(&long, &[wrong(&message), text("x")]);
    }

    #[test]
    fn a_command_without_an_end_is_not_kept_for_ever() {
        let mut reader = Reader::new(20);
        for _ in 0..1000 {
            reader.feed(Bytes::from_static(b"<!--#a                    "));
            while reader.next().is_some() {}
            assert!(reader.rest.len() < 20_000);
        }
    }
}
