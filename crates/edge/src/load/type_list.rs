//! A list of content types, as `gzip_types`, `charset_types` and `ssi_types` give it.

use super::{Args, List};

#[derive(Clone, Default)]
pub struct TypeList(List<String>);

impl TypeList {
    /// The words of a directive.
    pub fn add(&mut self, args: &Args<'_>) {
        for word in args.words() {
            self.0.push(word.text.to_ascii_lowercase());
        }
    }

    pub fn inherit(&mut self, outer: &TypeList) {
        self.0.inherit(&outer.0);
    }

    /// Whether a type, compared without its parameters, is one of them. The first of `defaults` is
    /// one of any list; the others stand for a list that nobody has written. `*` is every type.
    pub fn has(&self, kind: &[u8], defaults: &[&str]) -> bool {
        let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let is = |listed: &str| kind.eq_ignore_ascii_case(listed.as_bytes());
        if self.0.is_empty() {
            return defaults.iter().any(|listed| is(listed));
        }
        defaults.first().is_some_and(|listed| is(listed))
            || self.0.iter().any(|listed| listed == "*" || is(listed))
    }
}

/// What most families take up unasked.
pub const HTML: &[&str] = &["text/html"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_compared_without_their_parameters() {
        let mut types = TypeList::default();
        assert!(types.has(b"text/html; charset=utf-8", HTML));
        assert!(!types.has(b"text/css", HTML));
        assert!(types.has(b"text/xml", &["text/html", "text/xml"]));
        types.0.push("text/css".to_owned());
        assert!(types.has(b"TEXT/CSS", HTML));
        assert!(types.has(b"text/html", HTML));
        assert!(!types.has(b"text/xml", &["text/html", "text/xml"]));
        types.0.push("*".to_owned());
        assert!(types.has(b"image/png", HTML));
    }
}
