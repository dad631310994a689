//! What an `if` asks: a variable, a comparison, a pattern, or a file.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

use crate::{
    body::file::{self, Kind, Opening},
    conf::ConfError,
    exchange::Exchange,
    load::Args,
    log::Level,
    modules::static_files::failure,
    regex::{Captures, Case, Regex},
    vars::{Template, VarId},
};

pub(super) struct Condition {
    test: Test,
    /// The operator began with `!`.
    negative: bool,
}

enum Test {
    /// Neither empty nor `0`.
    Variable(VarId),
    Equal(VarId, Template),
    Pattern {
        subject: VarId,
        regex: Regex,
        pattern: String,
    },
    File(FileTest, Template),
}

#[derive(Clone, Copy)]
enum FileTest {
    Regular,
    Folder,
    Exists,
    Executable,
}

impl Condition {
    /// `($name)`, `($name OPERATOR value)` or `(-f path)`: the brackets stand at the first and the
    /// last word, or are words of their own.
    pub(super) fn read(args: &mut Args<'_>) -> Result<Condition, ConfError> {
        let words: Vec<String> = args.words().iter().map(|word| word.text.clone()).collect();
        let invalid =
            |args: &Args<'_>, word: &str| args.complain(format!("invalid condition \"{word}\""));
        let mut inner: Vec<&str> = words.iter().map(String::as_str).collect();
        let Some(first) = inner[0].strip_prefix('(') else {
            return Err(invalid(args, inner[0]));
        };
        inner[0] = first;
        let last = inner.len() - 1;
        let Some(end) = inner[last].strip_suffix(')') else {
            return Err(invalid(args, inner[last]));
        };
        inner[last] = end;
        let inner = inner.strip_prefix(&[""]).unwrap_or(&inner);
        let inner = inner.strip_suffix(&[""]).filter(|rest| !rest.is_empty()).unwrap_or(inner);
        let Some((first, rest)) = inner.split_first() else { return Err(invalid(args, "")) };
        let name = first.strip_prefix('$').filter(|name| !name.is_empty());
        match (name, rest) {
            (Some(name), []) => {
                let subject = args.loader.names.id(name, &args.node.name.span);
                Ok(Condition { test: Test::Variable(subject), negative: false })
            }
            (Some(name), [operator, value]) => {
                let subject = args.loader.names.id(name, &args.node.name.span);
                Condition::compare(args, subject, operator, value)
            }
            (None, [path]) if first.starts_with('-') || first.starts_with("!-") => {
                let test = match first.trim_start_matches('!') {
                    "-f" => FileTest::Regular,
                    "-d" => FileTest::Folder,
                    "-e" => FileTest::Exists,
                    "-x" => FileTest::Executable,
                    _ => return Err(invalid(args, first)),
                };
                let path = args.template_of(path)?;
                let negative = first.starts_with('!');
                Ok(Condition { test: Test::File(test, path), negative })
            }
            _ => Err(invalid(args, first)),
        }
    }

    fn compare(
        args: &mut Args<'_>,
        subject: VarId,
        operator: &str,
        value: &str,
    ) -> Result<Condition, ConfError> {
        let negative = operator.starts_with('!');
        let case = match operator {
            "=" | "!=" => {
                let value = args.template_of(value)?;
                return Ok(Condition { test: Test::Equal(subject, value), negative });
            }
            "~" | "!~" => Case::Sensitive,
            "~*" | "!~*" => Case::Insensitive,
            _ => return Err(args.complain(format!("unexpected \"{operator}\" in condition"))),
        };
        let regex = args.regex(value, case)?;
        let test = Test::Pattern { subject, regex, pattern: value.to_owned() };
        Ok(Condition { test, negative })
    }

    pub(super) fn holds(&self, exchange: &Exchange, rewrite_log: bool, how: &Opening) -> bool {
        let value = |id: &VarId| exchange.var(*id).unwrap_or_default();
        let holds = match &self.test {
            Test::Variable(id) => !matches!(&value(id)[..], b"" | b"0"),
            Test::Equal(id, other) => value(id) == other.render(exchange),
            Test::Pattern { subject, regex, pattern } => {
                let subject = value(subject);
                let matched = regex.matches(exchange, &subject);
                if !matched {
                    // What an earlier pattern captured is gone, as in nginx.
                    exchange.set_captures(Captures::default());
                }
                if rewrite_log {
                    log_match(exchange, pattern, matched, &subject);
                }
                matched
            }
            Test::File(test, path) => test.holds(&path.render(exchange), exchange, how),
        };
        holds != self.negative
    }
}

impl FileTest {
    fn holds(self, path: &[u8], exchange: &Exchange, how: &Opening) -> bool {
        if path.contains(&0) {
            return false;
        }
        let path = Path::new(OsStr::from_bytes(path));
        match (file::look(path, &how.of(exchange)), self) {
            (Ok(seen), FileTest::Regular) => seen.kind == Kind::Regular,
            (Ok(seen), FileTest::Folder) => seen.kind == Kind::Directory,
            (Ok(_), FileTest::Exists) => true,
            (Ok(seen), FileTest::Executable) => seen.is_executable(),
            (Err(error), _) if file::is_absent(&error) => false,
            (Err(error), _) => {
                exchange.log(Level::Crit, &failure(path, &error));
                false
            }
        }
    }
}

/// What `rewrite_log` says of a pattern.
pub(super) fn log_match(exchange: &Exchange, pattern: &str, matched: bool, subject: &[u8]) {
    let verb = if matched { "matches" } else { "does not match" };
    let subject = String::from_utf8_lossy(subject);
    exchange.log(Level::Notice, &format!("\"{pattern}\" {verb} \"{subject}\""));
}
