//! A request target to the path that locations are compared with: percent-decoded, `//` merged,
//! `.` and `..` resolved (RFC 3986 §5.2.4, nginx's `merge_slashes`).
//!
//! Decoded before it is resolved, once, so that `%2e%2e/` is as much a step up as `../`.

use std::borrow::Cow;

use bytes::Bytes;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
    /// Begins with `/`, holds no `.` or `..` segment, and no NUL.
    pub path: Bytes,
    /// What follows the `?`, as it came; `None` without one.
    pub args: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    #[error("no path")]
    NoPath,
    #[error("invalid percent-encoding")]
    Percent,
    /// A NUL would end a file's name early.
    #[error("zero byte")]
    Zero,
    #[error("path above the root")]
    AboveRoot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slashes {
    Merge,
    Keep,
}

/// `target` is origin form: `/path?args`. A fragment, which no browser sends, is dropped.
pub fn normalise(target: &Bytes, slashes: Slashes) -> Result<Uri, UriError> {
    if target.first() != Some(&b'/') {
        return Err(UriError::NoPath);
    }
    let path_end = target.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let (path, args) = match path_end {
        None => (target.clone(), None),
        Some(at) if target[at] == b'#' => (target.slice(..at), None),
        Some(at) => {
            let fragment = target[at..].iter().position(|byte| *byte == b'#');
            let end = fragment.map_or(target.len(), |length| at + length);
            (target.slice(..at), Some(target.slice(at + 1..end)))
        }
    };
    let path = if is_plain(&path) { path } else { resolve(&decode(&path)?, slashes)?.into() };
    Ok(Uri { path, args })
}

/// A place that a server behind this one names (`X-Accel-Redirect`): decoded, and nothing resolved.
/// Who means what he says has no need of `..`, so that it is refused, as nginx does.
pub fn named(target: &Bytes) -> Result<Uri, UriError> {
    if target.first() != Some(&b'/') {
        return Err(UriError::NoPath);
    }
    let (path, args) = split_args(target);
    let path = if memchr::memchr2(b'%', 0, &path).is_some() { decode(&path)?.into() } else { path };
    if path.split(|byte| *byte == b'/').any(|segment| segment == b"..") {
        return Err(UriError::AboveRoot);
    }
    Ok(Uri { path, args: Some(args) })
}

/// Nothing to decode, merge or resolve: the usual path, taken without a copy.
fn is_plain(path: &[u8]) -> bool {
    let mut previous = 0;
    for byte in path {
        match byte {
            b'%' | 0 => return false,
            b'/' | b'.' if previous == b'/' => return false,
            _ => previous = *byte,
        }
    }
    true
}

/// `%XX` to the byte it stands for.
pub fn decode(path: &[u8]) -> Result<Vec<u8>, UriError> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((byte, tail)) = rest.split_first() {
        let (byte, tail) = match (byte, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digit = |digit: &u8| char::from(*digit).to_digit(16).ok_or(UriError::Percent);
                ((digit(high)? << 4 | digit(low)?) as u8, tail)
            }
            (b'%', _) => return Err(UriError::Percent),
            (byte, tail) => (*byte, tail),
        };
        if byte == 0 {
            return Err(UriError::Zero);
        }
        decoded.push(byte);
        rest = tail;
    }
    Ok(decoded)
}

/// `.` and `..` segments, and, if wanted, empty ones, taken out of a decoded path.
pub fn resolve(path: &[u8], slashes: Slashes) -> Result<Vec<u8>, UriError> {
    let mut resolved: Vec<u8> = Vec::with_capacity(path.len());
    let segments: Vec<&[u8]> = path[1..].split(|byte| *byte == b'/').collect();
    let last = segments.len() - 1;
    for (place, segment) in segments.iter().enumerate() {
        match *segment {
            b"" if slashes == Slashes::Merge && place != last => continue,
            b"." => (),
            b".." => {
                let parent = resolved.iter().rposition(|byte| *byte == b'/');
                resolved.truncate(parent.ok_or(UriError::AboveRoot)?);
            }
            segment => {
                resolved.push(b'/');
                resolved.extend_from_slice(segment);
                continue;
            }
        }
        // `/a/.` and `/a/b/..` name a folder.
        if place == last {
            resolved.push(b'/');
        }
    }
    if resolved.is_empty() {
        resolved.push(b'/');
    }
    Ok(resolved)
}

/// A configured URI's path and arguments, as they stand.
pub fn split_args(uri: &Bytes) -> (Bytes, Bytes) {
    match uri.iter().position(|byte| *byte == b'?') {
        Some(at) => (uri.slice(..at), uri.slice(at + 1..)),
        None => (uri.clone(), Bytes::new()),
    }
}

/// The bytes of a decoded path that must be written as `%XX` to stand in a target again, as nginx
/// escapes a URI: controls, what is not ASCII, and those that mean something or break a line.
pub fn escape_into(path: &[u8], escaped: &mut Vec<u8>) {
    escape(path, b" \"#%<>?\\^`{|}", escaped);
}

/// The same for a part of a query string, where `&`, `+` and `;` mean something too.
pub fn escape_args_into(text: &[u8], escaped: &mut Vec<u8>) {
    escape(text, b" \"#%&+;<>?\\^`{|}", escaped);
}

/// Text as the value of a link in a page.
pub fn escape_link_into(text: &[u8], escaped: &mut Vec<u8>) {
    escape(text, b" \"#%'<>\\^`{|}", escaped);
}

/// A name as one part of a path: all that could mean something elsewhere is escaped.
pub fn escape_component_into(text: &[u8], escaped: &mut Vec<u8>) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    escape_unless(text, plain, escaped);
}

fn escape(text: &[u8], special: &[u8], escaped: &mut Vec<u8>) {
    escape_unless(text, |byte| (b' '..0x7f).contains(&byte) && !special.contains(&byte), escaped);
}

fn escape_unless(text: &[u8], plain: impl Fn(u8) -> bool, escaped: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text {
        if plain(*byte) {
            escaped.push(*byte);
        } else {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            escaped.extend_from_slice(&[b'%', high, low]);
        }
    }
}

/// A word of a request's first line that is made from what another request brought: what would end
/// the word, or the line, is written as `%XX`.
pub fn one_word(word: &[u8]) -> Cow<'_, [u8]> {
    let ends = |byte: u8| byte <= b' ' || byte == 0x7f;
    if !word.iter().copied().any(ends) {
        return Cow::Borrowed(word);
    }
    let mut escaped = Vec::with_capacity(word.len() + 16);
    escape_unless(word, |byte| !ends(byte), &mut escaped);
    Cow::Owned(escaped)
}

/// Text as it may stand in HTML, inside of an attribute too.
pub fn escape_html_into(text: &[u8], escaped: &mut Vec<u8>) {
    for byte in text {
        match byte {
            b'<' => escaped.extend_from_slice(b"&lt;"),
            b'>' => escaped.extend_from_slice(b"&gt;"),
            b'&' => escaped.extend_from_slice(b"&amp;"),
            b'"' => escaped.extend_from_slice(b"&quot;"),
            _ => escaped.push(*byte),
        }
    }
}

/// A redirect's address, after captures were escaped for it: up to the `?`, what need not be
/// written as `%XX` is not.
pub fn unescape_redirect(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, tail)) = rest.split_first() {
        if *byte == b'?' {
            plain.extend_from_slice(rest);
            break;
        }
        let digit = |digit: &u8| char::from(*digit).to_digit(16);
        let decoded = match (byte, tail) {
            (b'%', [high, low, ..]) => digit(high).zip(digit(low)).map(|(h, l)| (h << 4 | l) as u8),
            _ => None,
        };
        match decoded {
            Some(decoded @ b'&'..=b'~') => {
                plain.push(decoded);
                rest = &tail[2..];
            }
            Some(_) => {
                plain.extend_from_slice(&rest[..3]);
                rest = &tail[2..];
            }
            None => {
                plain.push(*byte);
                rest = tail;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(target: &'static str, path: &str, args: Option<&str>) {
        let uri = normalise(&Bytes::from_static(target.as_bytes()), Slashes::Merge).unwrap();
        assert_eq!(uri.path, path.as_bytes(), "{target}");
        assert_eq!(uri.args.as_deref(), args.map(str::as_bytes), "{target}");
    }

    #[track_caller]
    fn refuse(target: &'static str, error: UriError) {
        let target = Bytes::from_static(target.as_bytes());
        assert_eq!(normalise(&target, Slashes::Merge), Err(error));
    }

    #[test]
    fn plain_paths_are_not_touched() {
        check("/", "/", None);
        check("/a/b.c?d=e?f", "/a/b.c", Some("d=e?f"));
        check("/a?", "/a", Some(""));
        check("/a?b#c", "/a", Some("b"));
        check("/a#c?b", "/a", None);
    }

    #[test]
    fn segments_are_resolved_after_decoding() {
        check("/a//b", "/a/b", None);
        check("/a/./b/../c", "/a/c", None);
        check("/a/b/..", "/a/", None);
        check("/a/.", "/a/", None);
        check("/a/%2e%2e/b", "/b", None);
        check("/a%2fb", "/a/b", None);
        check("/a%2f..%2fb", "/b", None);
        check("/a/...", "/a/...", None);
        check("/%ED%8C%8C", "/\u{d30c}", None);
        check("/a%20b%3fc", "/a b?c", None);
        check("/a/", "/a/", None);
        check("//", "/", None);
        check("/..a/.b", "/..a/.b", None);
    }

    #[test]
    fn what_names_nothing_is_refused() {
        refuse("/..", UriError::AboveRoot);
        refuse("/a/../../b", UriError::AboveRoot);
        refuse("/%2e%2e/etc/passwd", UriError::AboveRoot);
        refuse("/%00", UriError::Zero);
        refuse("/%2", UriError::Percent);
        refuse("/%zz", UriError::Percent);
        refuse("a", UriError::NoPath);
    }

    #[test]
    fn slashes_can_be_kept() {
        let uri = normalise(&Bytes::from_static(b"/a//b/../c//"), Slashes::Keep).unwrap();
        assert_eq!(uri.path, "/a//c//");
    }
}
