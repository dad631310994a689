//! What two deployments may differ in. Each mask says of what, and why that is no difference to an
//! application or to who visits it; a comparison lists every mask it used. Everything else is a failure.
//!
//! A mask with a pattern makes two values equal where only what matches differs, so both must be there; what
//! a group in it catches is not masked.
//! One without a pattern covers whatever is found in its place, so one side may have nothing at all.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use regex::bytes::{Captures, Regex};
use serde::Deserialize;

use crate::file::Difference;

/// Where a difference is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Where {
    Status,
    Reason,
    /// Of the answer: `HTTP/1.0` or `HTTP/1.1`.
    Version,
    /// The spelling of a field's name.
    Spelling,
    /// A field of the answer, by its name in small letters.
    Header(String),
    Trailer(String),
    /// The answers of the 1xx kind.
    Interim,
    Body,
    /// Where a body ends: by its length, in chunks, by the end of the connection.
    Framing,
    /// Of a body that is the same but for what is masked.
    Length,
    /// A body that is not compared as it was sent, because only what it was compressed from is the same.
    Compression,
    /// Whether it was a new one, and whether it was kept.
    Connection,
    /// No whole answer came, or no answer.
    Broken,
    /// How many requests came of one, as redirects are followed.
    Redirects,
    /// How often the application was asked.
    Calls,
    /// What of the request's body the application read.
    Input,
    /// An entry of environ: a string, a number, the class of anything else.
    Environ(String),
    /// An entry that is empty on one side and is not there on the other.
    Absent,
    /// Whatever there is: a file of the suite that a topology says it differs in.
    Anything,
    /// The variables of its own process that a server puts into environ.
    Inherited,
}

/// One thing that may differ.
#[derive(Clone, Debug)]
pub struct Mask {
    pub place: Place,
    pub pattern: Option<Regex>,
    pub because: String,
    /// The file of a suite it is meant for, with `*` for any letters; all of them when there is none.
    pub suite: Option<String>,
}

/// Where a mask lies. Names may have `*` in them, for any letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(Where);

/// A mask as a file tells of it: exactly one of the first keys, and why.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    header: Option<String>,
    trailer: Option<String>,
    environ: Option<String>,
    /// A pattern.
    body: Option<String>,
    /// One of the places that have no name.
    place: Option<Unnamed>,
    /// A pattern for a header, trailer or entry of environ.
    value: Option<String>,
    suite: Option<String>,
    because: String,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Unnamed {
    Status,
    Reason,
    Version,
    Spelling,
    Interim,
    Body,
    Framing,
    Length,
    Compression,
    Connection,
    Broken,
    Redirects,
    Calls,
    Input,
    Absent,
    Anything,
    Inherited,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    mask: Vec<Entry>,
}

/// Those of a file: `[[mask]] header = "X-Served-By" because = "…"`.
pub fn read(file: &Path) -> Result<Vec<Mask>> {
    let about = || format!("masks \"{}\"", file.display());
    let text = fs::read_to_string(file).with_context(about)?;
    let entries: File = toml::from_str(&text).with_context(about)?;
    let masks = entries.mask.iter().map(Mask::of);
    masks.collect::<Result<Vec<Mask>>>().with_context(about)
}

impl Mask {
    pub(crate) fn of(entry: &Entry) -> Result<Mask> {
        let named = [
            entry.header.as_ref().map(|name| Where::Header(name.to_ascii_lowercase())),
            entry.trailer.as_ref().map(|name| Where::Trailer(name.to_ascii_lowercase())),
            entry.environ.as_ref().map(|name| Where::Environ(name.clone())),
            entry.body.as_ref().map(|_| Where::Body),
            entry.place.map(Unnamed::place),
        ];
        let mut places = named.into_iter().flatten();
        let (Some(place), None) = (places.next(), places.next()) else {
            bail!(
                "a mask has one of header, trailer, environ, body, place: because \"{}\"",
                entry.because
            );
        };
        let has_values = matches!(place, Where::Header(_) | Where::Trailer(_) | Where::Environ(_));
        ensure!(
            entry.value.is_none() || has_values,
            "value = \"{}\" belongs to a header, trailer or environ",
            entry.value.as_deref().unwrap_or_default()
        );
        let pattern = entry.value.as_ref().or(entry.body.as_ref());
        let pattern = pattern.map(|pattern| {
            Regex::new(pattern).with_context(|| format!("\"{pattern}\" is no regular expression"))
        });
        Ok(Mask {
            place: Place(place),
            pattern: pattern.transpose()?,
            because: entry.because.clone(),
            suite: entry.suite.clone(),
        })
    }

    /// For a file of the suite in which a topology differs.
    pub(crate) fn of_difference(differs: &Difference) -> Mask {
        Mask {
            place: Place(Where::Anything),
            pattern: None,
            because: differs.because.clone(),
            suite: Some(differs.suite.clone()),
        }
    }

    pub(crate) fn lies_on(&self, place: &Where) -> bool {
        let named = |mask: &str, name: &str| crate::words::matches(mask, name);
        match (&self.place.0, place) {
            (Where::Header(mask), Where::Header(name))
            | (Where::Trailer(mask), Where::Trailer(name))
            | (Where::Environ(mask), Where::Environ(name)) => named(mask, name),
            (Where::Anything, _) => true,
            (mask, place) => mask == place,
        }
    }

    /// The value without what matches, but for what the pattern's first group caught; nothing when nothing
    /// matches.
    pub(crate) fn over(&self, value: &[u8]) -> Option<Vec<u8>> {
        let pattern = self.pattern.as_ref()?;
        let kept = |found: &Captures<'_>| -> Vec<u8> {
            found.get(1).map(|group| group.as_bytes().to_vec()).unwrap_or_default()
        };
        pattern.is_match(value).then(|| pattern.replace_all(value, kept).into_owned())
    }
}

impl Unnamed {
    fn place(self) -> Where {
        match self {
            Unnamed::Status => Where::Status,
            Unnamed::Reason => Where::Reason,
            Unnamed::Version => Where::Version,
            Unnamed::Spelling => Where::Spelling,
            Unnamed::Interim => Where::Interim,
            Unnamed::Body => Where::Body,
            Unnamed::Framing => Where::Framing,
            Unnamed::Length => Where::Length,
            Unnamed::Compression => Where::Compression,
            Unnamed::Connection => Where::Connection,
            Unnamed::Broken => Where::Broken,
            Unnamed::Redirects => Where::Redirects,
            Unnamed::Calls => Where::Calls,
            Unnamed::Input => Where::Input,
            Unnamed::Absent => Where::Absent,
            Unnamed::Anything => Where::Anything,
            Unnamed::Inherited => Where::Inherited,
        }
    }
}

impl std::fmt::Display for Where {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Where::Header(name) => write!(out, "header {name}"),
            Where::Trailer(name) => write!(out, "trailer {name}"),
            Where::Environ(name) => write!(out, "environ {name}"),
            Where::Status => out.write_str("status"),
            Where::Reason => out.write_str("reason"),
            Where::Version => out.write_str("version"),
            Where::Spelling => out.write_str("spelling"),
            Where::Interim => out.write_str("interim answers"),
            Where::Body => out.write_str("body"),
            Where::Framing => out.write_str("framing"),
            Where::Length => out.write_str("length of a masked body"),
            Where::Compression => out.write_str("compression"),
            Where::Connection => out.write_str("connection"),
            Where::Broken => out.write_str("answer"),
            Where::Redirects => out.write_str("redirects"),
            Where::Calls => out.write_str("calls of the application"),
            Where::Input => out.write_str("request body as the application read it"),
            Where::Anything => out.write_str("anything"),
            Where::Absent => out.write_str("empty or absent entries of environ"),
            Where::Inherited => out.write_str("variables of the server's process in environ"),
        }
    }
}

impl std::fmt::Display for Mask {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}", self.place.0)?;
        if let Some(pattern) = &self.pattern {
            write!(out, " /{pattern}/")?;
        }
        if let Some(suite) = &self.suite {
            write!(out, " in {suite}")?;
        }
        Ok(())
    }
}
