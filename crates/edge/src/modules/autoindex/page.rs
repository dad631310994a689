//! A folder's entries as a page, byte for byte as nginx writes it: scripts read these.

use std::fmt::Write;

use bytes::Bytes;

use super::folder::{Entry, Kind};
use crate::{clock, log::Escape, uri};

pub(super) enum Format {
    Html { title: Bytes, is_utf8: bool, sizes: Sizes, times: Times },
    Xml,
    Json { callback: Option<Bytes> },
}

/// `autoindex_exact_size`.
#[derive(Clone, Copy)]
pub(super) enum Sizes {
    Exact,
    Rounded,
}

/// `autoindex_localtime`.
#[derive(Clone, Copy)]
pub(super) enum Times {
    Utc,
    Local,
}

/// So many characters of a name are shown.
const COLUMN: usize = 50;
/// Of a longer one so many, and what says that there is more.
const SHORTENED: usize = COLUMN - 3;

pub(super) struct Page(Vec<u8>);

impl Page {
    pub(super) fn of(entries: &[Entry], format: &Format) -> Bytes {
        let mut page = Page(Vec::with_capacity(256 + entries.len() * 128));
        match format {
            Format::Html { title, is_utf8, sizes, times } => {
                page.html(entries, title, *is_utf8, *sizes, *times);
            }
            Format::Xml => page.xml(entries),
            Format::Json { callback } => page.json(entries, callback.as_deref()),
        }
        page.0.into()
    }

    fn html(&mut self, entries: &[Entry], title: &[u8], is_utf8: bool, sizes: Sizes, times: Times) {
        let offset = match times {
            Times::Utc => 0,
            Times::Local => i64::from(jiff::Zoned::now().offset().seconds()),
        };
        self.add("<html>\r\n<head><title>Index of ");
        uri::escape_html_into(title, &mut self.0);
        self.add("</title></head>\r\n<body>\r\n<h1>Index of ");
        uri::escape_html_into(title, &mut self.0);
        self.add("</h1><hr><pre><a href=\"../\">../</a>\r\n");
        for entry in entries {
            let is_folder = entry.kind == Kind::Folder;
            self.add("<a href=\"");
            uri::escape_component_into(&entry.name, &mut self.0);
            self.add(if is_folder { "/\">" } else { "\">" });
            let text = is_utf8.then(|| std::str::from_utf8(&entry.name).ok()).flatten();
            let mut length = text.map_or(entry.name.len(), |text| text.chars().count());
            if length > COLUMN {
                let end = text.and_then(|text| text.char_indices().nth(SHORTENED));
                let end = end.map_or(SHORTENED, |(place, _)| place);
                uri::escape_html_into(&entry.name[..end], &mut self.0);
                self.add("..&gt;</a>");
            } else {
                uri::escape_html_into(&entry.name, &mut self.0);
                if is_folder && length < COLUMN {
                    self.add("/");
                    length += 1;
                }
                self.add("</a>");
                self.0.resize(self.0.len() + COLUMN - length, b' ');
            }
            self.time(" %d-%b-%Y %H:%M ", entry.modified + offset);
            let size = match (is_folder, sizes) {
                (true, Sizes::Exact) => format!("{:>19}", "-"),
                (false, Sizes::Exact) => format!("{:>19}", entry.size),
                (true, Sizes::Rounded) => format!("{:>7}", "-"),
                (false, Sizes::Rounded) => rounded(entry.size),
            };
            self.add(&size);
            self.add("\r\n");
        }
        self.add("</pre><hr></body>\r\n</html>\r\n");
    }

    fn xml(&mut self, entries: &[Entry]) {
        self.add("<?xml version=\"1.0\"?>\r\n<list>\r\n");
        for entry in entries {
            let kind = entry.kind.name();
            self.add("<");
            self.add(kind);
            self.time(" mtime=\"%Y-%m-%dT%H:%M:%SZ\"", entry.modified);
            if entry.kind == Kind::File {
                self.add(&format!(" size=\"{}\"", entry.size));
            }
            self.add(">");
            uri::escape_html_into(&entry.name, &mut self.0);
            self.add(&format!("</{kind}>\r\n"));
        }
        self.add("</list>\r\n");
    }

    fn json(&mut self, entries: &[Entry], callback: Option<&[u8]>) {
        if let Some(name) = callback {
            self.add("/* callback */\r\n");
            self.0.extend_from_slice(name);
            self.add("(");
        }
        self.add("[");
        for (place, entry) in entries.iter().enumerate() {
            self.add(if place == 0 { "\r\n{ \"name\":\"" } else { ",\r\n{ \"name\":\"" });
            Escape::Json.write(Some(&entry.name), &mut self.0);
            self.add(&format!("\", \"type\":\"{}\", \"mtime\":\"", entry.kind.name()));
            let modified = u64::try_from(entry.modified).unwrap_or(0);
            clock::http_date_of(modified, |date| self.add(date));
            self.add("\"");
            if entry.kind == Kind::File {
                self.add(&format!(", \"size\":{}", entry.size));
            }
            self.add(" }");
        }
        self.add("\r\n]");
        if callback.is_some() {
            self.add(");");
        }
    }

    fn add(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    fn time(&mut self, format: &str, second: i64) {
        let time = jiff::Timestamp::from_second(second).unwrap_or_default();
        let mut text = String::new();
        let written = write!(text, "{}", time.strftime(format));
        self.add(if written.is_ok() { &text } else { "-" });
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Folder => "directory",
            Kind::File => "file",
            Kind::Other => "other",
        }
    }
}

/// `  1234`, `    12K`, to the nearest.
fn rounded(size: u64) -> String {
    let scale = |shift: u32, letter| format!("{:>6}{letter}", (size + (1 << (shift - 1))) >> shift);
    match size {
        0x4000_0000.. => scale(30, 'G'),
        0x0010_0000.. => scale(20, 'M'),
        10_000.. => scale(10, 'K'),
        _ => format!("{size:>7}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, kind: Kind, size: u64) -> Entry {
        Entry { name: name.into(), kind, size, modified: 0 }
    }

    #[test]
    fn sizes_are_rounded_as_they_are_read() {
        let check = |size, expected: &str| assert_eq!(rounded(size), expected, "{size}");
        check(0, "      0");
        check(9999, "   9999");
        check(10_000, "    10K");
        check(10_752, "    11K");
        check(10_751, "    10K");
        check((1 << 20) - 1, "  1024K");
        check(1 << 20, "     1M");
        check(3 << 29, "     2G");
        check(3 << 30, "     3G");
    }

    #[test]
    fn a_row_of_html() {
        let format = Format::Html {
            title: "/<a>/".into(),
            is_utf8: true,
            sizes: Sizes::Rounded,
            times: Times::Utc,
        };
        let entries = [entry("folder", Kind::Folder, 4096), entry(&"я".repeat(51), Kind::File, 7)];
        let page = String::from_utf8(Page::of(&entries, &format).to_vec()).unwrap();
        assert!(page.contains("<h1>Index of /&lt;a&gt;/</h1>"), "{page}");
        let row = format!("<a href=\"folder/\">folder/</a>{:43} 01-Jan-1970 00:00       -\r\n", "");
        assert!(page.contains(&row), "{page}");
        let row = format!("\">{}..&gt;</a> 01-Jan-1970 00:00       7\r\n", "я".repeat(47));
        assert!(page.contains(&row), "{page}");
    }

    #[test]
    fn objects_of_json() {
        let callback = Some(Bytes::from_static(b"f"));
        let page = Page::of(&[entry("a\"\n", Kind::Other, 0)], &Format::Json { callback });
        let expected = "/* callback */\r\nf([\r\n{ \"name\":\"a\\\"\\n\", \"type\":\"other\", \
                        \"mtime\":\"Thu, 01 Jan 1970 00:00:00 GMT\" }\r\n]);";
        assert_eq!(page, expected);
        assert_eq!(Page::of(&[], &Format::Json { callback: None }), "[\r\n]");
    }
}
