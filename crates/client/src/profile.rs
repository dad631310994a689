//! What a browser sends: the headers of a request, by what the answer is wanted for.
//!
//! Sites act on these: Django compares `Referer` and `Origin`, caches look at `Accept-Encoding`,
//! frameworks at `Sec-Fetch-*`. The name is our own, in a browser's shape; compression is asked for
//! only as far as we can undo it. Must not know how a request is sent.

use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, HeaderMap, HeaderName, HeaderValue, ORIGIN, REFERER,
    UPGRADE_INSECURE_REQUESTS, USER_AGENT,
};
use url::{Host, Url};

use crate::story::Role;

const NAME: &str =
    concat!("Mozilla/5.0 (compatible; causeway-client/", env!("CARGO_PKG_VERSION"), ")");

/// How many connections a browser opens to one host.
pub const CONNECTIONS_PER_HOST: usize = 6;

/// The width a page is laid out for, which decides among the pictures of a `srcset`.
pub const VIEWPORT_WIDTH: f64 = 1280.0;

/// The headers of one request: the page it belongs to, and the page or stylesheet that names it. A
/// navigation has neither.
pub fn headers(role: Role, url: &Url, page: Option<&Url>, named_in: Option<&Url>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(USER_AGENT, NAME);
    set(ACCEPT, accept(role));
    set(ACCEPT_ENCODING, "gzip");
    set(ACCEPT_LANGUAGE, "en-US,en;q=0.9");
    if role == Role::Document {
        set(UPGRADE_INSECURE_REQUESTS, "1");
    }
    if is_trustworthy(url) {
        let (mode, destination) = match role {
            Role::Document => ("navigate", "document"),
            Role::Stylesheet => ("no-cors", "style"),
            Role::Script => ("no-cors", "script"),
            Role::Image | Role::Icon => ("no-cors", "image"),
            Role::Font => ("cors", "font"),
        };
        set(HeaderName::from_static("sec-fetch-site"), relation(url, page));
        set(HeaderName::from_static("sec-fetch-mode"), mode);
        set(HeaderName::from_static("sec-fetch-dest"), destination);
        if role == Role::Document {
            set(HeaderName::from_static("sec-fetch-user"), "?1");
        }
    }
    if let Some(referrer) = named_in.and_then(|named_in| referrer(url, named_in)) {
        headers.insert(REFERER, referrer);
    }
    // Fonts are the one kind here that is fetched with CORS always.
    if let Some(page) = page.filter(|page| role == Role::Font && page.origin() != url.origin())
        && let Ok(origin) = page.origin().ascii_serialization().try_into()
    {
        headers.insert(ORIGIN, origin);
    }
    headers
}

fn accept(role: Role) -> &'static str {
    match role {
        Role::Document => {
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
        }
        Role::Stylesheet => "text/css,*/*;q=0.1",
        Role::Image | Role::Icon => "image/avif,image/webp,image/svg+xml,image/*,*/*;q=0.8",
        Role::Script | Role::Font => "*/*",
    }
}

/// Secure Contexts §3.1: `https`, and whatever stays on this machine.
fn is_trustworthy(url: &Url) -> bool {
    url.scheme() == "https"
        || match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
}

fn relation(url: &Url, page: Option<&Url>) -> &'static str {
    match page {
        None => "none",
        Some(page) if page.origin() == url.origin() => "same-origin",
        Some(page) if same_site(page, url) => "same-site",
        Some(_) => "cross-site",
    }
}

/// The same scheme and host; a port makes no other site. (A browser counts `a.example.com` and
/// `b.example.com` as one site too, for which it carries the list of public suffixes.)
pub fn same_site(page: &Url, url: &Url) -> bool {
    page.scheme() == url.scheme() && page.host() == url.host()
}

/// Referrer Policy `strict-origin-when-cross-origin`, every browser's default.
fn referrer(url: &Url, page: &Url) -> Option<HeaderValue> {
    let downgrade = page.scheme() == "https" && url.scheme() == "http";
    let text = if downgrade {
        return None;
    } else if page.origin() == url.origin() {
        shown(page)
    } else {
        format!("{}/", page.origin().ascii_serialization())
    };
    HeaderValue::try_from(text).ok()
}

/// An address without its fragment and its credentials.
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_fragment(None);
    // Both refuse only on addresses that can not have credentials, where there is nothing to hide.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(role: Role, url: &str, page: Option<&str>, name: &str, expected: Option<&str>) {
        let page = page.map(|page| Url::parse(page).unwrap());
        let headers = headers(role, &Url::parse(url).unwrap(), page.as_ref(), page.as_ref());
        let value = headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(value, expected, "{name} of {url} from {page:?}");
    }

    #[test]
    fn a_navigation_comes_from_nowhere() {
        let url = "http://localhost:8000/";
        check(Role::Document, url, None, "referer", None);
        check(Role::Document, url, None, "sec-fetch-site", Some("none"));
        check(Role::Document, url, None, "upgrade-insecure-requests", Some("1"));
    }

    #[test]
    fn fetch_metadata_goes_to_trustworthy_origins_only() {
        check(Role::Script, "http://h/a.js", Some("http://h/"), "sec-fetch-dest", None);
        check(Role::Script, "https://h/a.js", Some("https://h/"), "sec-fetch-dest", Some("script"));
        check(
            Role::Script,
            "http://[::1]/a.js",
            Some("http://[::1]/"),
            "sec-fetch-mode",
            Some("no-cors"),
        );
    }

    #[test]
    fn the_referrer_says_less_to_strangers() {
        let page = Some("https://u:p@h/a?b#c");
        check(Role::Image, "https://h/i.png", page, "referer", Some("https://h/a?b"));
        check(Role::Image, "https://other/i.png", page, "referer", Some("https://h/"));
        check(Role::Image, "https://other/i.png", page, "origin", None);
        check(Role::Font, "https://other/i.woff", page, "origin", Some("https://h"));
        check(Role::Font, "https://h/i.woff", page, "origin", None);
        check(Role::Image, "http://h/i.png", page, "referer", None);
    }

    #[test]
    fn a_site_is_told_by_scheme_and_host() {
        let page = Some("http://127.0.0.1:8000/");
        check(Role::Image, "http://127.0.0.1:8000/a", page, "sec-fetch-site", Some("same-origin"));
        check(Role::Image, "http://127.0.0.1:9000/a", page, "sec-fetch-site", Some("same-site"));
        check(Role::Image, "http://127.0.0.2:8000/a", page, "sec-fetch-site", Some("cross-site"));
    }
}
