//! Patterns of locations, rewrites, server names and maps, by nginx's own engine (PCRE2), so that
//! a pattern means and captures here what it means and captures there.

use std::ops::Range;

use bytes::Bytes;

use crate::{
    conf::{ConfError, Span},
    exchange::Exchange,
    vars::{Names, VarId},
};

#[derive(Clone, Debug)]
pub struct Regex {
    compiled: pcre2::bytes::Regex,
    /// `(?<name>...)`: the variable it sets and the group that holds its value.
    named: Vec<(VarId, usize)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    Sensitive,
    Insensitive,
}

/// What the last pattern that matched has captured: `$1` to `$9`.
#[derive(Clone, Debug, Default)]
pub struct Captures {
    subject: Bytes,
    groups: Vec<Option<Range<usize>>>,
}

impl Captures {
    fn of(subject: &Bytes, found: &pcre2::bytes::Captures<'_>) -> Captures {
        let groups = (0..found.len())
            .map(|group| found.get(group).map(|found| found.start()..found.end()))
            .collect();
        Captures { subject: subject.clone(), groups }
    }

    pub fn get(&self, group: usize) -> Option<Bytes> {
        let range = self.groups.get(group)?.clone()?;
        Some(self.subject.slice(range))
    }
}

impl Regex {
    pub fn compile(
        pattern: &str,
        case: Case,
        span: &Span,
        names: &mut Names,
    ) -> Result<Regex, ConfError> {
        let compiled = pcre2::bytes::RegexBuilder::new()
            .caseless(case == Case::Insensitive)
            .jit_if_available(true)
            .build(pattern)
            .map_err(|error| span.error(refusal(pattern, &error)))?;
        let groups = compiled.capture_names().iter().enumerate();
        let named = groups
            .filter_map(|(group, name)| Some((names.capture(name.as_ref()?, span), group)))
            .collect();
        Ok(Regex { compiled, named })
    }

    /// Whether the pattern captures anything, so that a match must be kept.
    pub fn captures(&self) -> bool {
        self.compiled.captures_len() > 1
    }

    /// How many groups it captures.
    pub fn groups(&self) -> usize {
        self.compiled.captures_len() - 1
    }

    /// Matches for the caller alone: `$1` stays what it was.
    pub fn capture(&self, subject: &Bytes) -> Option<Captures> {
        let captures = self.compiled.captures(subject).ok().flatten()?;
        Some(Captures::of(subject, &captures))
    }

    /// Matches without keeping what was captured.
    pub fn is_match(&self, subject: &[u8]) -> bool {
        // An error is a pattern that ran out of its match limit: no match, as in nginx.
        self.compiled.is_match(subject).unwrap_or(false)
    }

    /// Matches, and from then on `$1` and the named captures are this match's.
    pub fn matches(&self, exchange: &Exchange, subject: &Bytes) -> bool {
        if !self.captures() {
            let matched = self.is_match(subject);
            if matched {
                exchange.set_captures(Captures::default());
            }
            return matched;
        }
        let Ok(Some(captures)) = self.compiled.captures(subject) else { return false };
        let captures = Captures::of(subject, &captures);
        for (id, group) in &self.named {
            exchange.set_var(*id, captures.get(*group).unwrap_or_default());
        }
        exchange.set_captures(captures);
        true
    }
}

/// What is wrong with a pattern, as nginx words it.
fn refusal(pattern: &str, error: &pcre2::Error) -> String {
    let at = error.offset().unwrap_or(0);
    let rest = pattern.get(at..).unwrap_or_default();
    let what = error.to_string();
    let what = what.rsplit(": ").next().unwrap_or_default();
    let place = if rest.is_empty() { String::new() } else { format!(" at \"{rest}\"") };
    format!("pcre2_compile() failed: {what} in \"{pattern}\"{place}")
}

/// What a pattern has found that is used once.
pub struct Found {
    pub groups: Vec<Option<Bytes>>,
    pub named: Vec<(String, Bytes)>,
}

/// Matches a pattern that no configuration knows of: one in a page.
pub fn find_once(pattern: &str, subject: &Bytes) -> Result<Option<Found>, String> {
    let compiled = pcre2::bytes::Regex::new(pattern).map_err(|error| refusal(pattern, &error))?;
    let Ok(Some(captures)) = compiled.captures(subject) else { return Ok(None) };
    let group = |place| captures.get(place).map(|found| subject.slice_ref(found.as_bytes()));
    let names = compiled.capture_names().iter().enumerate();
    let named =
        names.filter_map(|(place, name)| Some((name.clone()?, group(place).unwrap_or_default())));
    let groups = (0..captures.len()).map(group).collect();
    Ok(Some(Found { groups, named: named.collect() }))
}
