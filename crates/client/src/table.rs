//! The list of a visit's requests, and what they come to together.

use std::collections::BTreeSet;
use std::io::{self, Write};

use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, LineStyle, Table,
    TableStyle, Width,
};
use url::Url;

use crate::answered::{Certainty, Kind};
use crate::story::{Cause, Role, Source, Story};
use crate::terminal::{Charset, Colour, Terminal};
use crate::visit::Visit;

const NUMBERS_FROM: usize = 4;
const NARROWEST_ADDRESS: u16 = 20;

pub fn write(out: &mut impl Write, visit: &Visit, terminal: Terminal) -> io::Result<()> {
    let mut table = Table::new();
    let under_header = match terminal.charset {
        Charset::Unicode => '─',
        Charset::Ascii => '-',
    };
    let separator = LineStyle::none().fill(under_header).junction(under_header);
    table.load_style(TableStyle::new().header_separator(separator));
    if let Some(width) = terminal.width {
        table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table.force_no_tty();
    if terminal.colour == Colour::Always {
        table.enforce_styling();
    }
    table.set_header(["resource", "as", "kind", "answered by", "status", "size", "time"]);
    let page = Url::parse(&visit.page().url).ok();
    for story in &visit.requests {
        table.add_row(row(story, page.as_ref(), terminal));
    }
    // Addresses are long and can be broken; the other columns are short and are not.
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_constraint(match at {
            0 => ColumnConstraint::LowerBoundary(Width::Fixed(NARROWEST_ADDRESS)),
            _ => ColumnConstraint::ContentWidth,
        });
    }
    for column in table.column_iter_mut().skip(NUMBERS_FROM) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    writeln!(out, "{}", totals(visit))?;
    for line in remarks(visit) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn row(story: &Story, page: Option<&Url>, terminal: Terminal) -> Vec<Cell> {
    let painted = |cell: Cell, color: Color| match terminal.colour {
        Colour::Always => cell.fg(color),
        Colour::Never => cell,
    };
    let kind = Cell::new(story.answered.kind());
    let kind = match story.answered.kind {
        Kind::Static => painted(kind, Color::DarkGreen),
        Kind::Dynamic => painted(kind, Color::DarkMagenta),
        Kind::Unknown => kind,
    };
    let status = Cell::new(status(story));
    let status = if story.failed() {
        painted(status, Color::Red).add_attribute(Attribute::Bold)
    } else {
        status
    };
    vec![
        Cell::new(resource(story, page, terminal.charset)),
        Cell::new(shape(story.role)),
        kind,
        Cell::new(story.answered.by()),
        status,
        Cell::new(size(story)),
        Cell::new(time(story)),
    ]
}

/// As developers call them.
fn shape(role: Role) -> &'static str {
    match role {
        Role::Document => "page",
        Role::Stylesheet => "css",
        Role::Script => "js",
        Role::Image => "image",
        Role::Icon => "icon",
        Role::Font => "font",
    }
}

/// The path is enough on the page's own origin.
fn resource(story: &Story, page: Option<&Url>, charset: Charset) -> String {
    let origin = page.map(|page| page.origin().ascii_serialization()).unwrap_or_default();
    let address = match story.url.strip_prefix(&origin) {
        Some(path) if path.starts_with('/') => path,
        _ => &story.url,
    };
    let arrow = match (&story.cause, charset) {
        (Cause::Redirect(_), Charset::Unicode) => "↳ ",
        (Cause::Redirect(_), Charset::Ascii) => "-> ",
        _ => "",
    };
    format!("{arrow}{address}")
}

fn status(story: &Story) -> String {
    match (story.status, &story.error) {
        (Some(status), None) => status.to_string(),
        (Some(status), Some(_)) => format!("{status}, failed"),
        (None, _) => "failed".to_owned(),
    }
}

fn size(story: &Story) -> String {
    match (story.source, story.status) {
        (Source::Cache, _) => "in cache".to_owned(),
        (_, None) => String::new(),
        _ => bytes(story.body_bytes),
    }
}

fn time(story: &Story) -> String {
    match story.source {
        Source::Cache => String::new(),
        _ => format!("{:.1} ms", story.timing.total),
    }
}

/// With decimal prefixes, as browsers show them.
pub fn bytes(count: u64) -> String {
    let count_as_float = count as f64;
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count_as_float / 1e3),
        _ => format!("{:.1} MB", count_as_float / 1e6),
    }
}

fn totals(visit: &Visit) -> String {
    let count =
        |wanted: Kind| visit.requests.iter().filter(|story| story.answered.kind == wanted).count();
    let mut parts = vec![match visit.requests.len() {
        1 => "1 request".to_owned(),
        count => format!("{count} requests"),
    }];
    for (kind, count) in [
        (Kind::Static, count(Kind::Static)),
        (Kind::Dynamic, count(Kind::Dynamic)),
        (Kind::Unknown, count(Kind::Unknown)),
    ] {
        if count > 0 {
            parts.push(format!("{count} {kind}"));
        }
    }
    let from_cache = visit.requests.iter().filter(|story| story.source != Source::Network).count();
    if from_cache > 0 {
        parts.push(format!("{from_cache} from the cache"));
    }
    let failed = visit.requests.iter().filter(|story| story.failed()).count();
    if failed > 0 {
        parts.push(format!("{failed} failed"));
    }
    let size = visit.requests.iter().map(|story| story.body_bytes).sum();
    format!("{}; {} over the wire in {:.1} ms", parts.join(", "), bytes(size), visit.total_ms)
}

/// What the rows have no room for: why something failed, and what a guess rests on.
fn remarks(visit: &Visit) -> Vec<String> {
    let failed = visit.requests.iter().filter_map(|story| {
        story.error.as_ref().map(|error| format!("could not fetch \"{}\": {error}", story.url))
    });
    let mut remarks: Vec<String> = failed.collect();
    let habit = |story: &&Story| story.cause == Cause::Habit && story.status >= Some(400);
    if visit.requests.iter().any(|story| habit(&story)) {
        remarks.push(
            "the page names no icon; as a browser does, /favicon.ico was asked for, and its absence is no failure"
                .to_owned(),
        );
    }
    let unsure = visit.requests.iter().filter(|story| {
        story.status.is_some()
            && (story.answered.certainty == Certainty::Guess
                || story.answered.kind == Kind::Unknown)
    });
    let reasons: BTreeSet<String> = unsure.map(|story| story.answered.reason()).collect();
    remarks.extend(reasons);
    remarks.extend(visit.notes.iter().map(|note| format!("note: {note}")));
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::tests::story;
    use crate::timing::tests::timed;

    const PLAIN: Terminal =
        Terminal { width: None, colour: Colour::Never, charset: Charset::Unicode };

    fn visit() -> Visit {
        let mut moved = story(Role::Document, "http://h/");
        moved.status = Some(302);
        moved.timing.total = 1.0;
        let whole = "application;dur=1, app-host;dur=2, gateway;dur=3, edge;dur=4";
        let mut page = timed("http://h/question/", 12.34, whole, "");
        page.cause = Cause::Redirect("http://h/".into());
        page.body_bytes = 4321;
        let file = "Last-Modified: Sun, 22 Nov 2026 12:00:00 GMT";
        let mut css = timed("http://h/a.css", 0.86, "edge;dur=0.2", file);
        css.role = Role::Stylesheet;
        css.body_bytes = 999;
        let mut broken = story(Role::Image, "http://other/b.png");
        broken.status = None;
        broken.error = Some("nothing listens at other port 80".into());
        Visit { number: 1, requests: vec![moved, page, css, broken], total_ms: 20.0, notes: vec![] }
    }

    fn check(terminal: Terminal, expected: &str) {
        let mut written = Vec::new();
        write(&mut written, &visit(), terminal).unwrap();
        let written = String::from_utf8(written).unwrap();
        assert_eq!(written.trim_end(), expected.trim_matches('\n'), "\n{written}");
    }

    #[test]
    fn sizes_read_as_in_a_browser() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_250), "1.2 kB");
        assert_eq!(bytes(10_485_760), "10.5 MB");
    }

    #[test]
    fn a_visit_is_a_table_with_its_totals() {
        check(
            PLAIN,
            r#"
 resource             as      kind      answered by   status     size      time
────────────────────────────────────────────────────────────────────────────────
 /                    page    unknown   unknown          302      0 B    1.0 ms
 ↳ /question/         page    dynamic   application      200   4.3 kB   12.3 ms
 /a.css               css     static    edge             200    999 B    0.9 ms
 http://other/b.png   image   unknown   unknown       failed             0.0 ms
4 requests, 1 static, 1 dynamic, 2 unknown, 1 failed; 5.3 kB over the wire in 20.0 ms
could not fetch "http://other/b.png": nothing listens at other port 80
unknown, unknown: no evidence
"#,
        );
    }

    #[test]
    fn a_narrow_terminal_and_a_plain_one_get_it_too() {
        check(
            Terminal { width: Some(70), charset: Charset::Ascii, ..PLAIN },
            r#"
 resource             as      kind      answered by   status     size      time
--------------------------------------------------------------------------------
 /                    page    unknown   unknown          302      0 B    1.0 ms
 -> /question/        page    dynamic   application      200   4.3 kB   12.3 ms
 /a.css               css     static    edge             200    999 B    0.9 ms
 http://other/b.png   image   unknown   unknown       failed             0.0 ms
4 requests, 1 static, 1 dynamic, 2 unknown, 1 failed; 5.3 kB over the wire in 20.0 ms
could not fetch "http://other/b.png": nothing listens at other port 80
unknown, unknown: no evidence
"#,
        );
    }
}
