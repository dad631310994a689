//! The words of a configuration that differ from one run to the next: `@{listen}`, `@{upstreams}`. A file
//! of somebody's own needs none of them: what it says literally is exchanged as the topology's `replace`
//! tells.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};

/// Names and what they stand for.
pub type Words = BTreeMap<&'static str, String>;

/// Puts the values where the text names them, and refuses a name it does not know.
pub fn fill(text: &str, words: &Words) -> Result<String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("@{") {
        let (name, after) = after.split_once('}').context("\"@{\" without \"}\"")?;
        let value = words.get(name).with_context(|| {
            let known: Vec<&str> = words.keys().copied().collect();
            format!("unknown \"@{{{name}}}\": there are {}", known.join(", "))
        })?;
        filled.push_str(before);
        filled.push_str(value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Exchanges literally. What is not there can not be exchanged, and is an error: the file has changed.
pub fn replace(text: &str, pairs: &BTreeMap<String, String>, words: &Words) -> Result<String> {
    let mut replaced = text.to_owned();
    for (left, right) in pairs {
        ensure!(replaced.contains(left.as_str()), "replace: \"{left}\" is not in the file");
        replaced = replaced.replace(left.as_str(), &fill(right, words)?);
    }
    Ok(replaced)
}

/// Whether a name is meant by a pattern in which `*` stands for any letters.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|name| {
            name.char_indices()
                .map(|(at, _)| at)
                .chain([name.len()])
                .any(|at| matches(rest, &name[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_filled_in_and_unknown_ones_refused() {
        let words = Words::from([("port", "80".to_owned())]);
        assert_eq!(fill("listen @{port};", &words).unwrap(), "listen 80;");
        let error = fill("@{prot}", &words).unwrap_err().to_string();
        assert_eq!(error, "unknown \"@{prot}\": there are port");
        assert!(fill("@{port", &words).is_err());
    }

    #[test]
    fn a_star_stands_for_any_letters() {
        for (pattern, name, expected) in [
            ("static.hurl", "static.hurl", true),
            ("static_*.hurl", "static_files.hurl", true),
            ("static_*.hurl", "static_.hurl", true),
            ("static_*.hurl", "pages.hurl", false),
            ("*", "anything", true),
            ("*a*é", "banané", true),
            ("a*", "ba", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn what_is_exchanged_must_be_there() {
        let words = Words::from([("port", "81".to_owned())]);
        let pairs = BTreeMap::from([("listen 80".to_owned(), "listen @{port}".to_owned())]);
        assert_eq!(replace("listen 80;", &pairs, &words).unwrap(), "listen 81;");
        assert!(
            replace("listen 8000;", &BTreeMap::from([("x".to_owned(), String::new())]), &words)
                .is_err()
        );
    }
}
