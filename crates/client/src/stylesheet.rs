//! What a stylesheet names: `@import`, and `url()` of pictures and fonts.
//!
//! CSS Syntax §4 as far as strings, comments, escapes and `url(` go; what lies between them is passed
//! over. A browser fetches a picture or a font only when an element of the page uses its rule; here
//! every one named is fetched, since there is no layout. Must not know addresses: texts out.

use crate::story::Role;

/// An address as the stylesheet writes it, and what it is for.
pub type Named = (Role, String);

pub fn named_by(css: &str) -> Vec<Named> {
    Scanner { rest: css, importing: false, named: Vec::new() }.run()
}

struct Scanner<'a> {
    rest: &'a str,
    /// Between `@import` and the address it is followed by.
    importing: bool,
    named: Vec<Named>,
}

impl Scanner<'_> {
    fn run(mut self) -> Vec<Named> {
        while let Some(first) = self.rest.chars().next() {
            if self.rest.starts_with("/*") {
                self.rest = self.rest[2..].split_once("*/").map_or("", |(_, after)| after);
            } else if matches!(first, '"' | '\'') {
                let text = self.string(first);
                if self.importing {
                    self.push(text);
                }
            } else if starts_with_ignoring_case(self.rest, "url(") {
                self.rest = self.rest[4..].trim_start();
                let text = self.address();
                self.push(text);
            } else if starts_with_ignoring_case(self.rest, "@import") {
                self.rest = &self.rest[7..];
                self.importing = true;
            } else if is_name(first) {
                // A whole name at once, so that the end of `my-url(` is not read as `url(`.
                let end = self.rest.find(|next| !is_name(next)).unwrap_or(self.rest.len());
                self.rest = &self.rest[end..];
            } else {
                self.importing &= !matches!(first, ';' | '{');
                self.rest = &self.rest[first.len_utf8()..];
            }
        }
        self.named
    }

    /// Within `url(`: a string, or bare text up to the bracket.
    fn address(&mut self) -> String {
        match self.rest.chars().next() {
            Some(quote @ ('"' | '\'')) => self.string(quote),
            _ => self.until(|next| next == ')' || next.is_whitespace()),
        }
    }

    fn string(&mut self, quote: char) -> String {
        self.rest = &self.rest[1..];
        // An unescaped line end closes a string that was left open.
        self.until(|next| next == quote || next == '\n')
    }

    /// Up to the end and past it, with escapes undone.
    fn until(&mut self, is_end: impl Fn(char) -> bool) -> String {
        let mut text = String::new();
        let mut rest = self.rest.chars();
        while let Some(next) = rest.next() {
            if is_end(next) {
                break;
            }
            if next == '\\' {
                let (escaped, after) = unescaped(rest.as_str());
                text.extend(escaped);
                rest = after.chars();
            } else {
                text.push(next);
            }
        }
        self.rest = rest.as_str();
        text
    }

    fn push(&mut self, address: String) {
        let role = if self.importing { Role::Stylesheet } else { role_of(&address) };
        self.importing = false;
        if !address.is_empty() {
            self.named.push((role, address));
        }
    }
}

/// After a backslash: a code point in hex, a line end that counts for nothing, or the character itself.
fn unescaped(rest: &str) -> (Option<char>, &str) {
    let hex = rest.bytes().take(6).take_while(u8::is_ascii_hexdigit).count();
    if hex > 0 {
        let point = u32::from_str_radix(&rest[..hex], 16).ok().and_then(char::from_u32);
        let after = &rest[hex..];
        let after = after.strip_prefix(char::is_whitespace).unwrap_or(after);
        return (Some(point.unwrap_or(char::REPLACEMENT_CHARACTER)), after);
    }
    let mut rest = rest.chars();
    let character = rest.next().filter(|&character| character != '\n');
    (character, rest.as_str())
}

/// By the name's end: a rule does not say what it wants.
fn role_of(address: &str) -> Role {
    let path = address.split(['?', '#']).next().unwrap_or(address).to_ascii_lowercase();
    let is_font = [".woff2", ".woff", ".ttf", ".otf", ".eot"].iter().any(|end| path.ends_with(end));
    if is_font { Role::Font } else { Role::Image }
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '-' | '_') || !character.is_ascii()
}

fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(css: &str, expected: &[(Role, &str)]) {
        let named = named_by(css);
        let named: Vec<_> = named.iter().map(|(role, text)| (*role, text.as_str())).collect();
        assert_eq!(named, expected, "{css}");
    }

    #[test]
    fn pictures_and_fonts_are_named_by_url() {
        check("a{background:url(a.png)}", &[(Role::Image, "a.png")]);
        check("a{background:URL( \"a b.png\" )}", &[(Role::Image, "a b.png")]);
        check(
            "a{b:url('a.svg#x') , url(b.gif )}",
            &[(Role::Image, "a.svg#x"), (Role::Image, "b.gif")],
        );
        check(
            "@font-face{src:url(/f.woff2?v=1) format(\"woff2\")}",
            &[(Role::Font, "/f.woff2?v=1")],
        );
    }

    #[test]
    fn imports_are_stylesheets_in_either_form() {
        check("@import \"a.css\";", &[(Role::Stylesheet, "a.css")]);
        check(
            "@IMPORT url(b.css) print;a{b:url(c)}",
            &[(Role::Stylesheet, "b.css"), (Role::Image, "c")],
        );
        check("@import ; a{content:\"x\"}", &[]);
    }

    #[test]
    fn comments_strings_and_longer_names_name_nothing() {
        check("/* url(a.png) */ a{content:\"url(b.png)\"}", &[]);
        check("a{b:my-url(c.png)}", &[]);
        check("a{b:url()}", &[]);
    }

    #[test]
    fn escapes_are_undone() {
        check("a{b:url(a\\)b.png)}", &[(Role::Image, "a)b.png")]);
        check("a{b:url(\"\\61 b\\\nc.png\")}", &[(Role::Image, "abc.png")]);
        check("a{b:url(\\110000)}", &[(Role::Image, "\u{fffd}")]);
    }

    #[test]
    fn a_stylesheet_cut_anywhere_is_read_to_its_end() {
        let css = "@import 'ä.css';/* ü */a{b:url( \"질문\\61 .png\" );c:url(d\\)e)}";
        for end in (0..=css.len()).filter(|&end| css.is_char_boundary(end)) {
            named_by(&css[..end]);
        }
    }
}
