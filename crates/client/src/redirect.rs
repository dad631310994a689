//! Where an answer sends the browser next, if anywhere. Decides; does not fetch.

use url::Url;

/// `None`: the answer is the end of the way. Only GETs are made, so every redirect is followed by one.
pub fn next(status: u16, location: Option<&[u8]>, from: &Url) -> Result<Option<Url>, String> {
    let (301 | 302 | 303 | 307 | 308, Some(location)) = (status, location) else {
        return Ok(None);
    };
    // Servers send addresses in UTF-8 unescaped too; joining escapes them.
    let text = String::from_utf8_lossy(location);
    let mut to = from
        .join(&text)
        .map_err(|error| format!("it is redirected to \"{text}\", which is no address: {error}"))?;
    if !matches!(to.scheme(), "http" | "https") {
        return Err(format!(
            "it is redirected to \"{text}\", and only http and https are spoken here"
        ));
    }
    // RFC 9110 §10.2.2: a fragment is inherited where the new address has none.
    if to.fragment().is_none() {
        to.set_fragment(from.fragment());
    }
    Ok(Some(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, location: Option<&str>, expected: Result<Option<&str>, &str>) {
        let from = Url::parse("http://h/a/b?c#d").unwrap();
        let next = next(status, location.map(str::as_bytes), &from);
        let next = next.map(|to| to.map(|to| to.to_string()));
        let expected = expected.map(|to| to.map(str::to_owned)).map_err(str::to_owned);
        assert_eq!(next, expected, "{status} {location:?}");
    }

    #[test]
    fn a_location_is_read_from_where_it_was_sent() {
        for status in [301, 302, 303, 307, 308] {
            check(status, Some("/login?next=/"), Ok(Some("http://h/login?next=/#d")));
        }
        check(302, Some("e#f"), Ok(Some("http://h/a/e#f")));
        check(302, Some("//other:81/"), Ok(Some("http://other:81/#d")));
        check(302, Some("/질문"), Ok(Some("http://h/%EC%A7%88%EB%AC%B8#d")));
    }

    #[test]
    fn other_answers_are_the_end() {
        check(200, Some("/"), Ok(None));
        check(304, Some("/"), Ok(None));
        check(302, None, Ok(None));
    }

    #[test]
    fn what_can_not_be_followed_is_said() {
        check(
            302,
            Some("ftp://h/"),
            Err("it is redirected to \"ftp://h/\", and only http and https are spoken here"),
        );
        check(
            302,
            Some("http://"),
            Err("it is redirected to \"http://\", which is no address: empty host"),
        );
    }
}
