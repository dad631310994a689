//! Bytes to words, by nginx's rules: a `{` inside `${name}` is part of the word, a `}` is one only
//! at a word's beginning, a backslash keeps the next character from meaning anything.

use std::sync::Arc;

use super::{ConfError, Span};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    Word(String),
    Semicolon,
    Open,
    Close,
}

/// All words of one file, each with its place, and the place where the file ends.
pub fn words(text: &str, file: &Arc<str>) -> Result<(Vec<(Token, Span)>, Span), ConfError> {
    let mut lexer = Lexer { rest: text.chars().peekable(), file, line: 1 };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next()? {
        tokens.push(token);
    }
    Ok((tokens, lexer.span()))
}

struct Lexer<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    file: &'a Arc<str>,
    line: u32,
}

impl Lexer<'_> {
    fn span(&self) -> Span {
        Span::new(self.file, self.line)
    }

    fn take(&mut self) -> Option<char> {
        let next = self.rest.next();
        if next == Some('\n') {
            self.line += 1;
        }
        next
    }

    fn next(&mut self) -> Result<Option<(Token, Span)>, ConfError> {
        while let Some(next) = self.rest.peek().copied() {
            match next {
                ' ' | '\t' | '\r' | '\n' => {
                    self.take();
                }
                '#' => while self.take().is_some_and(|taken| taken != '\n') {},
                _ => break,
            }
        }
        let span = self.span();
        let Some(first) = self.rest.peek().copied() else { return Ok(None) };
        let token = match first {
            ';' => Token::Semicolon,
            '{' => Token::Open,
            '}' => Token::Close,
            '"' | '\'' => return self.quoted(first, span).map(Some),
            _ => return self.plain(span).map(Some),
        };
        self.take();
        Ok(Some((token, span)))
    }

    fn plain(&mut self, span: Span) -> Result<(Token, Span), ConfError> {
        let mut word = String::new();
        let mut after_dollar = false;
        loop {
            match self.rest.peek().copied() {
                None => return Err(self.span().error(END_OF_FILE)),
                Some(' ' | '\t' | '\r' | '\n' | ';') => break,
                Some('{') if !after_dollar => break,
                Some('\\') => self.escape(&mut word),
                Some(next) => {
                    after_dollar = next == '$';
                    word.push(next);
                    self.take();
                }
            }
        }
        Ok((Token::Word(word), span))
    }

    fn quoted(&mut self, quote: char, span: Span) -> Result<(Token, Span), ConfError> {
        self.take();
        let mut word = String::new();
        loop {
            match self.rest.peek().copied() {
                None => return Err(self.span().error(END_OF_FILE)),
                Some('\\') => self.escape(&mut word),
                Some(next) => {
                    self.take();
                    if next == quote {
                        break;
                    }
                    word.push(next);
                }
            }
        }
        // `"a"b` is a slip, not a word; `("$x" = "y")` is how conditions end.
        match self.rest.peek().copied() {
            None | Some(' ' | '\t' | '\r' | '\n' | ';' | '{' | ')') => {
                Ok((Token::Word(word), span))
            }
            Some(next) => Err(self.span().error(format!("unexpected \"{next}\""))),
        }
    }

    /// `\"`, `\'` and `\\` lose the backslash, `\t`, `\r` and `\n` become what they stand for;
    /// before anything else the backslash stays, for the regular expression it is part of.
    fn escape(&mut self, word: &mut String) {
        self.take();
        match self.take() {
            Some(kept @ ('"' | '\'' | '\\')) => word.push(kept),
            Some('t') => word.push('\t'),
            Some('r') => word.push('\r'),
            Some('n') => word.push('\n'),
            Some(other) => word.extend(['\\', other]),
            None => word.push('\\'),
        }
    }
}

pub(super) const END_OF_FILE: &str = "unexpected end of file, expecting \";\" or \"}\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let (tokens, _) = words(text, &"f".into()).unwrap();
        let text = |token: &Token| match token {
            Token::Word(word) => format!("<{word}>"),
            Token::Semicolon => ";".into(),
            Token::Open => "{".into(),
            Token::Close => "}".into(),
        };
        let tokens: Vec<String> = tokens.iter().map(|(token, _)| text(token)).collect();
        assert_eq!(tokens, expected);
    }

    #[test]
    fn words_and_marks() {
        check("a b; # c\n d {e;}", &["<a>", "<b>", ";", "<d>", "{", "<e>", ";", "}"]);
        check("listen 80;listen 81;", &["<listen>", "<80>", ";", "<listen>", "<81>", ";"]);
    }

    #[test]
    fn a_brace_after_a_dollar_belongs_to_the_word() {
        check("a ${b}c{", &["<a>", "<${b}c>", "{"]);
    }

    #[test]
    fn a_closing_brace_ends_no_word() {
        check("a b}c;", &["<a>", "<b}c>", ";"]);
    }

    #[test]
    fn quotes_and_escapes() {
        check(r#"a "b ; c" 'd "e"' "f\"g";"#, &["<a>", "<b ; c>", "<d \"e\">", "<f\"g>", ";"]);
        check(r"a \.php$ b\;c \t;", &["<a>", "<\\.php$>", "<b\\;c>", "<\t>", ";"]);
        check("a '#' b#c;", &["<a>", "<#>", "<b#c>", ";"]);
    }

    #[test]
    fn a_slip_after_a_quote_is_named_with_its_line() {
        let error = words("\n\"a\"b;", &"f".into()).unwrap_err();
        assert_eq!(error.to_string(), "unexpected \"b\" in f:2");
    }

    #[test]
    fn lines_are_counted_inside_quotes() {
        let (tokens, end) = words("\"a\nb\" c;\n\n", &"f".into()).unwrap();
        assert_eq!(tokens[1].1.to_string(), "f:2");
        assert_eq!(end.to_string(), "f:4");
    }
}
