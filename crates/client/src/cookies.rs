//! The cookie jar: RFC 6265 by the library's store, and one rule of browsers on top.
//!
//! Cookies neither go to nor come from another site's css, js and images: a cookie without
//! `SameSite` is `Lax` to every browser of today. Lives as long as the process; writes no file.

use reqwest::cookie::{CookieStore as _, Jar};
use reqwest::header::{HeaderMap, HeaderValue, SET_COOKIE};
use url::Url;

use crate::profile::same_site;

#[derive(Default)]
pub struct Cookies {
    jar: Jar,
}

impl Cookies {
    /// The `Cookie` header for a request, if there is anything to send. A navigation has no `page`.
    pub fn header(&self, url: &Url, page: Option<&Url>) -> Option<HeaderValue> {
        allowed(url, page).then(|| self.jar.cookies(url)).flatten()
    }

    /// Keeps what an answer sets.
    pub fn keep(&self, url: &Url, page: Option<&Url>, headers: &HeaderMap) {
        if allowed(url, page) {
            self.jar.set_cookies(&mut headers.get_all(SET_COOKIE).iter(), url);
        }
    }
}

fn allowed(url: &Url, page: Option<&Url>) -> bool {
    page.is_none_or(|page| same_site(page, url))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    /// Sets these cookies at one address and looks at what is sent to another.
    fn check(set: &[&str], at: &str, to: &str, page: Option<&str>, expected: Option<&str>) {
        let cookies = Cookies::default();
        let mut headers = HeaderMap::new();
        for cookie in set {
            headers.append(SET_COOKIE, cookie.parse().unwrap());
        }
        cookies.keep(&url(at), None, &headers);
        let sent = cookies.header(&url(to), page.map(url).as_ref());
        let sent = sent.map(|value| {
            let mut pairs: Vec<_> =
                value.to_str().unwrap().split("; ").map(str::to_owned).collect();
            pairs.sort();
            pairs.join("; ")
        });
        assert_eq!(sent.as_deref(), expected, "{set:?} at {at} to {to}");
    }

    #[test]
    fn what_was_set_is_sent_back_where_it_belongs() {
        let set = ["csrftoken=a; Path=/; Max-Age=60", "sessionid=b; HttpOnly; Path=/account"];
        let at = "http://127.0.0.1:8000/account/login";
        check(&set, at, "http://127.0.0.1:8000/account/", None, Some("csrftoken=a; sessionid=b"));
        check(&set, at, "http://127.0.0.1:8000/", None, Some("csrftoken=a"));
        check(&set, at, "http://127.0.0.2:8000/", None, None);
    }

    #[test]
    fn what_was_deleted_or_is_for_https_is_not() {
        check(&["a=b; Max-Age=0"], "http://h/", "http://h/", None, None);
        check(&["a=b; Secure"], "https://h/", "http://h/", None, None);
        check(&["a=b; Secure"], "https://h/", "https://h/", None, Some("a=b"));
    }

    #[test]
    fn another_sites_picture_gets_no_cookies() {
        let set = ["a=b"];
        check(&set, "http://h/", "http://h/i.png", Some("http://h/"), Some("a=b"));
        check(&set, "http://h/", "http://h/i.png", Some("http://elsewhere/"), None);
    }

    #[test]
    fn nonsense_is_passed_over() {
        check(&["", "=", ";;;", "ok=1"], "http://h/", "http://h/", None, Some("ok=1"));
    }
}
