//! What a page names that a browser fetches with it: stylesheets, icons, scripts, pictures.
//!
//! Read by an HTML parser as browsers have one, so that a tag in a comment, in a script or within
//! `noscript` names nothing. Left out, because there is no layout and no script: `picture` with its
//! sources, preloads, frames, audio and video, and what scripts would fetch. Fetches nothing.

use scraper::{ElementRef, Html, Selector};
use url::Url;

use crate::profile::VIEWPORT_WIDTH;
use crate::story::Role;
use crate::stylesheet;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub role: Role,
    pub url: Url,
}

pub struct Page {
    pub resources: Vec<Resource>,
    pub names_an_icon: bool,
}

/// What the page at this address names, in its own order. An address may be named more than once.
pub fn of_page(html: &str, address: &Url) -> Page {
    let document = Html::parse_document(html);
    let base = base(&document, address);
    let mut page = Page { resources: Vec::new(), names_an_icon: false };
    let selector = Selector::parse("link, script[src], img, style, [style]")
        .expect("the selector is written here, and is a selector");
    for element in document.select(&selector) {
        let mut push = |role, text: &str| page.resources.extend(resource(role, text, &base));
        match element.value().name() {
            "link" => {
                let Some(role) = role_of_link(element) else { continue };
                push(role, element.attr("href").unwrap_or_default());
                page.names_an_icon |= role == Role::Icon;
            }
            "script" if is_script(element) => {
                push(Role::Script, element.attr("src").unwrap_or_default());
            }
            "img" => push(Role::Image, picture(element)),
            "style" => {
                let css: String = element.text().collect();
                for (role, text) in stylesheet::named_by(&css) {
                    push(role, &text);
                }
            }
            _ => {}
        }
        let css = element.attr("style").unwrap_or_default();
        page.resources.extend(of_stylesheet(css, &base));
    }
    page
}

/// What the stylesheet at this address names.
pub fn of_stylesheet(css: &str, address: &Url) -> Vec<Resource> {
    let named = stylesheet::named_by(css);
    named.iter().filter_map(|(role, text)| resource(*role, text, address)).collect()
}

/// The first `<base href>` counts, and is itself read from the page's own address.
fn base(document: &Html, address: &Url) -> Url {
    let selector = Selector::parse("base[href]").expect("the selector is a selector");
    let href = document.select(&selector).next().and_then(|base| base.attr("href"));
    href.and_then(|href| address.join(href.trim()).ok()).unwrap_or_else(|| address.clone())
}

fn role_of_link(link: ElementRef<'_>) -> Option<Role> {
    if link.attr("disabled").is_some() {
        return None;
    }
    let relations = link.attr("rel").unwrap_or_default().to_ascii_lowercase();
    let mut relations = relations.split_ascii_whitespace();
    relations.find_map(|relation| match relation {
        "stylesheet" => Some(Role::Stylesheet),
        "icon" => Some(Role::Icon),
        _ => None,
    })
}

/// A `script` of another type is data, and one marked `nomodule` is for browsers of old: neither's
/// address is fetched.
fn is_script(script: ElementRef<'_>) -> bool {
    if script.attr("nomodule").is_some() {
        return false;
    }
    let kind = script.attr("type").unwrap_or_default().trim().to_ascii_lowercase();
    matches!(kind.as_str(), "" | "module") || kind.ends_with("javascript")
}

/// The one picture a browser picks from `srcset` and `src`, on a plain screen.
fn picture(image: ElementRef<'_>) -> &str {
    let source = image.attr("src").unwrap_or_default();
    let Some(set) = image.attr("srcset") else { return source };
    let mut candidates = candidates(set);
    // Without widths, `src` is the candidate for 1x.
    let has_widths = set.split(',').any(|candidate| candidate.trim_end().ends_with('w'));
    if !source.trim().is_empty() && !has_widths {
        candidates.push((source, 1.0));
    }
    candidates.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    let sharp_enough = candidates.iter().find(|(_, density)| *density >= 1.0);
    sharp_enough.or(candidates.last()).map_or(source, |(address, _)| *address)
}

/// The addresses of a `srcset` with the density each has on this screen.
fn candidates(set: &str) -> Vec<(&str, f64)> {
    let mut candidates = Vec::new();
    let mut rest = set;
    loop {
        rest = rest.trim_start_matches(|next: char| next.is_ascii_whitespace() || next == ',');
        let end = rest.find(|next: char| next.is_ascii_whitespace()).unwrap_or(rest.len());
        let (address, after) = rest.split_at(end);
        if address.is_empty() {
            return candidates;
        }
        // An address may contain commas; one at its end closes the candidate.
        let (address, descriptor, after) = match address.strip_suffix(',') {
            Some(address) => (address, "", after),
            None => match after.split_once(',') {
                Some((descriptor, after)) => (address, descriptor, after),
                None => (address, after, ""),
            },
        };
        let descriptor = descriptor.trim();
        let number = |suffix| descriptor.strip_suffix(suffix)?.parse::<f64>().ok();
        let density = number('x').or_else(|| Some(number('w')? / VIEWPORT_WIDTH));
        if let Some(density) = density.or(descriptor.is_empty().then_some(1.0)) {
            candidates.push((address, density));
        }
        rest = after;
    }
}

/// `None` for what is no address, is empty, or needs no request (`data:`).
fn resource(role: Role, text: &str, base: &Url) -> Option<Resource> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    let mut url = base.join(text).ok()?;
    url.set_fragment(None);
    matches!(url.scheme(), "http" | "https").then_some(Resource { role, url })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of `role path`; the address is cut where it is the page's own origin.
    fn check(html: &str, expected: &[&str]) {
        let page = of_page(html, &Url::parse("http://h/q/list?page=1").unwrap());
        let line = |resource: &Resource| {
            let address = resource.url.as_str();
            format!(
                "{} {}",
                resource.role.name(),
                address.strip_prefix("http://h").unwrap_or(address)
            )
        };
        let named: Vec<_> = page.resources.iter().map(line).collect();
        assert_eq!(named, expected, "{html}");
    }

    #[test]
    fn a_page_names_its_parts_in_order() {
        check(
            "<link rel='Stylesheet' href=/static/a.css><link rel='shortcut icon' href='i.png'>\
             <script src=b.js></script><img src='../c.png'><img src='//other/d.png'>",
            &[
                "stylesheet /static/a.css",
                "icon /q/i.png",
                "script /q/b.js",
                "image /c.png",
                "image http://other/d.png",
            ],
        );
    }

    #[test]
    fn what_needs_no_request_is_not_named() {
        check(
            "<!-- <img src=a.png> --><script>'<img src=b.png>'</script><img src='data:,x'><img src=''>\
             <script type=application/json src=c.json></script><link rel=canonical href=/d>\
             <noscript><img src=n.png></noscript><link rel=stylesheet href=o.css disabled>\
             <script nomodule src=p.js></script><link rel=stylesheet><img src='#e'><a href=/f></a><img src='http://['>",
            &[],
        );
    }

    #[test]
    fn the_base_moves_every_address() {
        check("<base href='/s/'><base href='/t/'><img src=a.png>", &["image /s/a.png"]);
    }

    #[test]
    fn one_picture_of_a_set_is_fetched() {
        check("<img src=1.png srcset='2.png 2x, 3.png 3x'>", &["image /q/1.png"]);
        check("<img srcset='2.png 2x, 3.png 3x'>", &["image /q/2.png"]);
        check("<img src=s.png srcset='a.png 640w,b.png 1280w, c.png 1920w'>", &["image /q/b.png"]);
        check("<img srcset='a,b.png 640w, c.png 800w'>", &["image /q/c.png"]);
        check("<img src=1.png srcset='x.png, '>", &["image /q/x.png"]);
        check("<img src=1.png srcset=' , '>", &["image /q/1.png"]);
    }

    #[test]
    fn styles_within_the_page_count() {
        check(
            "<style>@import 'a.css'; b{background:url(c.png)}</style><p style='background:url(d.png)'>",
            &["stylesheet /q/a.css", "image /q/c.png", "image /q/d.png"],
        );
    }

    #[test]
    fn a_fragment_makes_no_other_resource() {
        check("<img src='a.svg#b'><img src='a.svg#c'>", &["image /q/a.svg", "image /q/a.svg"]);
    }

    #[test]
    fn a_page_without_an_icon_is_known_as_one() {
        let address = Url::parse("http://h/").unwrap();
        assert!(!of_page("<p>", &address).names_an_icon);
        assert!(of_page("<link rel=icon href='data:,'>", &address).names_an_icon);
    }
}
