//! The fields of a message, in the order and the spelling they came in.
//!
//! A list and not a hash map: nginx forwards order and case as they are, a request has some twenty
//! fields, and each is a slice of the buffer it was read into, so that nothing is copied.

use bytes::Bytes;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub name: Bytes,
    pub value: Bytes,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<Header>);

impl Headers {
    pub fn with_capacity(fields: usize) -> Headers {
        Headers(Vec::with_capacity(fields))
    }

    /// The first field of this name; names are compared without case.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        let same = |header: &&Header| header.is(name);
        self.0.iter().find(same).map(|header| &header.value)
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Bytes> {
        let same = move |header: &&Header| header.name.eq_ignore_ascii_case(name.as_bytes());
        self.0.iter().filter(same).map(|header| &header.value)
    }

    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Header> {
        self.0.iter()
    }

    /// Names and values.
    pub fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|header| (&header.name[..], &header.value[..]))
    }

    pub fn push(&mut self, name: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.0.push(Header { name: name.into(), value: value.into() });
    }

    /// One field of this name, instead of those there were.
    pub fn set(&mut self, name: &'static str, value: impl Into<Bytes>) {
        self.remove(name);
        self.push(name, value);
    }

    pub fn remove(&mut self, name: &str) {
        self.0.retain(|header| !header.name.eq_ignore_ascii_case(name.as_bytes()));
    }

    /// Another value for this name, in the place of the first there was; `None`: no such field.
    pub fn replace(&mut self, name: &'static str, value: Option<Bytes>) {
        match (self.0.iter_mut().find(|header| header.is(name)), value) {
            (Some(header), Some(value)) => header.value = value,
            (Some(_), None) => self.remove(name),
            (None, Some(value)) => self.push(name, value),
            (None, None) => (),
        }
    }

    pub fn retain(&mut self, keep: impl FnMut(&Header) -> bool) {
        self.0.retain(keep);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Header> for Headers {
    fn from_iter<I: IntoIterator<Item = Header>>(fields: I) -> Headers {
        Headers(fields.into_iter().collect())
    }
}

impl IntoIterator for Headers {
    type Item = Header;
    type IntoIter = std::vec::IntoIter<Header>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a Header;
    type IntoIter = std::slice::Iter<'a, Header>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Header {
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// A value made from what a request brought: a decoded path may have line ends in it, which would
/// begin another field behind this one. They become spaces (RFC 9110 §5.5).
pub fn one_line(value: Bytes) -> Bytes {
    if memchr::memchr3(b'\r', b'\n', 0, &value).is_none() {
        return value;
    }
    let mut value = value.to_vec();
    keep_to_one_line(&mut value);
    value.into()
}

/// The same in place.
pub fn keep_to_one_line(value: &mut [u8]) {
    for byte in value {
        if matches!(byte, b'\r' | b'\n' | 0) {
            *byte = b' ';
        }
    }
}

/// Names that are looked for in every message, compared without case. Most fields differ from all of
/// them in length, and are not compared at all.
#[derive(Clone, Debug, Default)]
pub struct NameSet {
    /// In lower case.
    names: Vec<Box<[u8]>>,
    /// Bit n: one of the names has n bytes, of 64 and more n modulo 64.
    lengths: u64,
}

impl NameSet {
    pub fn insert(&mut self, name: &str) {
        let name = name.to_ascii_lowercase().into_bytes();
        self.lengths |= 1 << (name.len() & 63);
        if !self.contains(&name) {
            self.names.push(name.into());
        }
    }

    pub fn contains(&self, name: &[u8]) -> bool {
        self.lengths >> (name.len() & 63) & 1 == 1
            && self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

impl<'a> FromIterator<&'a str> for NameSet {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> NameSet {
        let mut set = NameSet::default();
        names.into_iter().for_each(|name| set.insert(name));
        set
    }
}

/// Whether a comma-separated list (`Connection`, `Transfer-Encoding`) has this token in it.
pub fn has_token(list: &[u8], token: &str) -> bool {
    list.split(|byte| *byte == b',')
        .any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_case_and_values_keep_theirs() {
        let mut headers = Headers::default();
        headers.push("Set-Cookie", "a=A");
        headers.push("set-cookie", "b=B");
        assert_eq!(headers.get("SET-COOKIE").unwrap(), "a=A");
        assert_eq!(headers.all("Set-Cookie").count(), 2);
        headers.set("Set-Cookie", "c");
        assert_eq!(headers.all("set-cookie").collect::<Vec<_>>(), ["c"]);
    }

    #[test]
    fn a_value_is_one_line() {
        assert_eq!(one_line(Bytes::from_static(b"/a b")), "/a b");
        assert_eq!(one_line(Bytes::from_static(b"/a\r\nX: 1\0")), "/a  X: 1 ");
    }

    #[test]
    fn sets_of_names() {
        let set: NameSet = ["Date", "Server"].into_iter().collect();
        assert!(set.contains(b"DATE") && set.contains(b"server"));
        assert!(!set.contains(b"daze") && !set.contains(b"") && !set.contains(&[b'x'; 68]));
    }

    #[test]
    fn tokens_of_a_list() {
        assert!(has_token(b"keep-alive, Upgrade", "upgrade"));
        assert!(!has_token(b"keep-alive, Upgrades", "upgrade"));
    }
}
