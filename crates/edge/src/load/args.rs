//! The words of one directive, and the readers that turn them into values.

use std::{path::PathBuf, time::Duration};

use super::{
    module::{Block, Module},
    read::{Draft, Loader},
};
use crate::{
    conf::{ConfError, Node, Word},
    regex::{Case, Regex},
    vars::Template,
};

pub struct Args<'a> {
    pub node: &'a Node,
    /// The kind of block the directive stands in.
    pub block: Block,
    pub loader: &'a mut Loader,
    pub(super) scopes: &'a mut Vec<Draft>,
}

/// One of a location's unnamed locations.
#[derive(Clone, Copy, Debug)]
pub struct Scope(pub(crate) usize);

impl Args<'_> {
    pub fn words(&self) -> &[Word] {
        &self.node.words
    }

    pub fn len(&self) -> usize {
        self.node.words.len()
    }

    pub fn is_empty(&self) -> bool {
        self.node.words.is_empty()
    }

    /// The word at `index`; the directive's arity says that it is there.
    pub fn word(&self, index: usize) -> &str {
        &self.node.words[index].text
    }

    pub fn get(&self, index: usize) -> Option<&str> {
        self.node.words.get(index).map(|word| word.text.as_str())
    }

    /// A string with `$names`, compiled once.
    pub fn template(&mut self, index: usize) -> Result<Template, ConfError> {
        let word = &self.node.words[index];
        Template::compile(&word.text, &word.span, &mut self.loader.names)
    }

    /// A string of the family's own making, with `$names`, at this directive's place.
    pub fn template_of(&mut self, text: &str) -> Result<Template, ConfError> {
        Template::compile(text, &self.node.name.span, &mut self.loader.names)
    }

    pub fn regex(&mut self, pattern: &str, case: Case) -> Result<Regex, ConfError> {
        Regex::compile(pattern, case, &self.node.name.span, &mut self.loader.names)
    }

    /// The directive's own braces, read as an unnamed location inside this one.
    pub fn scope(&mut self, kind: Block) -> Result<Scope, ConfError> {
        let nodes = self.node.block.as_deref().unwrap_or_default();
        let draft = self.loader.block(kind, nodes)?;
        self.scopes.push(draft);
        Ok(Scope(self.scopes.len() - 1))
    }

    /// What a family has read in an unnamed location.
    pub fn family<M: Module>(&mut self, scope: Scope) -> &mut M {
        self.scopes[scope.0].family()
    }

    /// `on` or `off`.
    pub fn flag(&self) -> Result<bool, ConfError> {
        match self.word(0) {
            word if word.eq_ignore_ascii_case("on") => Ok(true),
            word if word.eq_ignore_ascii_case("off") => Ok(false),
            word => Err(self.complain(format!(
                "invalid value \"{word}\" in \"{}\" directive, it must be \"on\" or \"off\"",
                self.node.name.text
            ))),
        }
    }

    pub fn number<N: std::str::FromStr>(&self, index: usize) -> Result<N, ConfError> {
        let word = self.word(index);
        let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| word.parse().ok()).flatten();
        number.ok_or_else(|| self.refuse("invalid number"))
    }

    /// Bytes: `512`, `8k`, `1m`, `1g`.
    pub fn size(&self, index: usize) -> Result<u64, ConfError> {
        parse_size(self.word(index)).ok_or_else(|| self.refuse("invalid value"))
    }

    /// A size that variables may say: one without them is looked at here.
    pub fn rate(&mut self, index: usize) -> Result<Template, ConfError> {
        let rate = self.template(index)?;
        if rate.as_literal().is_some() {
            self.size(index)?;
        }
        Ok(rate)
    }

    /// `30`, `30s`, `500ms`, `1m`, `1h 30m` is one word: `1h30m`.
    pub fn time(&self, index: usize) -> Result<Duration, ConfError> {
        parse_time(self.word(index)).ok_or_else(|| self.refuse("invalid value"))
    }

    /// A file's name, relative to the prefix (`-p`).
    pub fn path(&self, index: usize) -> PathBuf {
        self.loader.prefix.join(self.word(index))
    }

    /// A file's name, relative to the configuration's own folder.
    pub fn conf_path(&self, index: usize) -> PathBuf {
        self.loader.folder.join(self.word(index))
    }

    /// `NAME_temp`: where the temporary files of a `NAME_pass` go unless it is said. It is made before
    /// the server answers.
    pub fn temporary_folder(&mut self) {
        let family = self.node.name.text.trim_end_matches("_pass");
        self.loader.folders.push(self.loader.prefix.join(format!("{family}_temp")));
    }

    /// `"NAME" directive MESSAGE`, as nginx says it; setters never repeat their own name.
    pub fn refuse(&self, message: &str) -> ConfError {
        let name = &self.node.name;
        name.span.error(format!("\"{}\" directive {message}", name.text))
    }

    /// A complaint in words of its own, at the directive's place.
    pub fn complain(&self, message: impl Into<String>) -> ConfError {
        self.node.name.span.error(message)
    }

    /// `invalid parameter "WORD"`.
    pub fn invalid_parameter(&self, index: usize) -> ConfError {
        let word = &self.node.words[index];
        word.span.error(format!("invalid parameter \"{}\"", word.text))
    }
}

/// nginx's sizes. No fraction, no space, no letter but k, m and g.
pub fn parse_size(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 1 << 10),
        b'm' | b'M' => (&text[..text.len() - 1], 1 << 20),
        b'g' | b'G' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// nginx's times: a number in seconds, or numbers with units from the largest to the smallest.
pub fn parse_time(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 8] = [
        ("y", 31_536_000_000),
        ("M", 2_592_000_000),
        ("w", 604_800_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    let mut rest = text;
    let mut total: u64 = 0;
    let mut allowed = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = if letters == 0 { "s" } else { &rest[..letters] };
        let place = UNITS.iter().position(|(name, _)| *name == unit)?;
        if place < allowed {
            return None;
        }
        allowed = place + 1;
        total = total.checked_add(number.checked_mul(UNITS[place].1)?)?;
        rest = rest[letters..].trim_start();
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("512"), Some(512));
        assert_eq!(parse_size("8k"), Some(8192));
        assert_eq!(parse_size("1M"), Some(1 << 20));
        for bad in ["", "k", "1.5m", "-1", "1kb", "99999999999999999999g"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }

    #[test]
    fn times() {
        let millis = |text| parse_time(text).map(|time| time.as_millis());
        assert_eq!(millis("30"), Some(30_000));
        assert_eq!(millis("500ms"), Some(500));
        assert_eq!(millis("1h30m"), Some(5_400_000));
        assert_eq!(millis("1m 30s"), Some(90_000));
        assert_eq!(millis("1d"), Some(86_400_000));
        for bad in ["", "s", "1x", "1m1h", "-1"] {
            assert_eq!(millis(bad), None, "{bad}");
        }
    }
}
