//! What is printed of all visits: pictures and tables for people, JSON for programs; and the exit code.

use std::io::{self, Write};

use serde::Serialize;

use crate::answered::{Hop, Kind};
use crate::ladder;
use crate::story::{Source, Story};
use crate::table;
use crate::terminal::Terminal;
use crate::timing::flow;
use crate::visit::Visit;

/// How it went, for whoever started the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Fetched,
    /// The page came, and it or something it names was refused or broke.
    Refused,
    /// The page did not come.
    PageFailed,
}

impl Outcome {
    pub fn exit_code(self) -> u8 {
        match self {
            Outcome::Fetched => 0,
            Outcome::Refused => 1,
            Outcome::PageFailed => 2,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pictures {
    Drawn,
    None,
}

pub fn outcome(visits: &[Visit]) -> Outcome {
    if visits.iter().any(|visit| visit.page().error.is_some()) {
        Outcome::PageFailed
    } else if visits.iter().flat_map(|visit| &visit.requests).any(Story::failed) {
        Outcome::Refused
    } else {
        Outcome::Fetched
    }
}

/// The sentence for standard error, where the page did not come.
pub fn complaint(visits: &[Visit]) -> Option<String> {
    let page = visits.iter().map(Visit::page).find(|page| page.error.is_some())?;
    let error = page.error.as_deref().unwrap_or_default();
    Some(format!("could not fetch \"{}\": {error}", page.url))
}

pub fn print(
    out: &mut impl Write,
    visits: &[Visit],
    pictures: Pictures,
    terminal: Terminal,
) -> io::Result<()> {
    for visit in visits {
        // A lone failure is said once, on standard error.
        if visit.requests.len() == 1 && visit.page().status.is_none() {
            continue;
        }
        if visits.len() > 1 {
            writeln!(out, "visit {}", visit.number)?;
            writeln!(out)?;
        }
        if pictures == Pictures::Drawn {
            for story in pictured(visit) {
                ladder::draw(out, story, &flow(story), terminal)?;
                writeln!(out)?;
            }
        }
        table::write(out, visit, terminal)?;
        if visits.len() > 1 && visit.number < visits.len() as u32 {
            writeln!(out)?;
        }
    }
    Ok(())
}

/// The page, and beside it the first request of the other kind: static, as it stops at the edge.
fn pictured(visit: &Visit) -> Vec<&Story> {
    let page = visit.page();
    let mut pictured: Vec<&Story> = Vec::new();
    if page.status.is_some() {
        pictured.push(page);
    }
    let stopped_at_edge = |story: &&Story| {
        story.answered.kind == Kind::Static
            && story.answered.by.as_deref() == Some(Hop::Edge.name())
            && story.source != Source::Cache
    };
    if page.answered.kind != Kind::Static {
        pictured.extend(visit.requests.iter().find(stopped_at_edge));
    }
    pictured
}

#[derive(Serialize)]
struct Document<'a> {
    url: &'a str,
    exit_code: u8,
    visits: Vec<VisitWithTotals>,
}

#[derive(Serialize)]
struct VisitWithTotals {
    #[serde(flatten)]
    visit: Visit,
    totals: Totals,
}

#[derive(Serialize)]
struct Totals {
    requests: usize,
    #[serde(rename = "static")]
    of_files: usize,
    dynamic: usize,
    unknown: usize,
    from_cache: usize,
    failed: usize,
    body_bytes: u64,
}

impl Totals {
    fn of(stories: &[Story]) -> Totals {
        let kind = |kind| stories.iter().filter(|story| story.answered.kind == kind).count();
        Totals {
            requests: stories.len(),
            of_files: kind(Kind::Static),
            dynamic: kind(Kind::Dynamic),
            unknown: kind(Kind::Unknown),
            from_cache: stories.iter().filter(|story| story.source != Source::Network).count(),
            failed: stories.iter().filter(|story| story.failed()).count(),
            body_bytes: stories.iter().map(|story| story.body_bytes).sum(),
        }
    }
}

pub fn print_json(
    out: &mut impl Write,
    url: &str,
    visits: &[Visit],
    pictures: Pictures,
) -> io::Result<()> {
    let with_totals = |visit: &Visit| {
        let mut visit = visit.clone();
        let answered = visit.requests.iter_mut().filter(|story| story.status.is_some());
        if pictures == Pictures::Drawn {
            answered.for_each(|story| story.flow = Some(flow(story)));
        }
        let totals = Totals::of(&visit.requests);
        VisitWithTotals { visit, totals }
    };
    let document = Document {
        url,
        exit_code: outcome(visits).exit_code(),
        visits: visits.iter().map(with_totals).collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::tests::story;
    use crate::story::{Cause, Role};

    fn check(page: (Option<u16>, Option<&str>), image: u16, cause: Cause, expected: Outcome) {
        let mut document = story(Role::Document, "http://h/");
        document.status = page.0;
        document.error = page.1.map(str::to_owned);
        let mut picture = story(Role::Image, "http://h/i.png");
        picture.status = Some(image);
        picture.cause = cause;
        let requests = vec![document, picture];
        let visits = [Visit { number: 1, requests, total_ms: 1.0, notes: Vec::new() }];
        assert_eq!(outcome(&visits), expected);
    }

    #[test]
    fn the_exit_code_says_how_it_went() {
        let named = || Cause::Named("http://h/".into());
        check((Some(200), None), 200, named(), Outcome::Fetched);
        check((Some(200), None), 404, named(), Outcome::Refused);
        check((Some(200), None), 404, Cause::Habit, Outcome::Fetched);
        check((Some(500), None), 200, named(), Outcome::Refused);
        check((None, Some("refused")), 200, named(), Outcome::PageFailed);
        check((Some(200), Some("broke off")), 200, named(), Outcome::PageFailed);
    }
}
