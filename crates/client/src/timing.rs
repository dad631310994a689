//! How the time of one request was shared among the hops.
//!
//! Each hop reports the time from having the request head to having a response head to send, so a
//! hop's own part is its figure less that of the nearest hop behind it that reported, and what the
//! edge does not account for is the browser's and the network's. Must not know how it is drawn.

use serde::Serialize;
use trace::{SERVER_TIMING, parse_server_timing};

use crate::answered::{Hop, Kind};
use crate::story::{Headers, HopTime, Source, Story};

/// The gateway's entry for the time between admitting a request and having a worker for it.
const QUEUE: &str = "queue";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    Reported,
    /// It may have had the request or not; it says nothing.
    DidNotReport,
    /// The request stopped before it.
    NotReached,
}

/// One hop's column in the picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    pub hop: Hop,
    pub reach: Reach,
    /// What the hop reported: its own part and all behind it. For the browser, the whole request.
    pub figure_ms: Option<f64>,
    /// The figure less what lies behind.
    pub own_ms: Option<f64>,
    /// Of the whole request, between 0 and 1.
    pub share: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Flow {
    pub total_ms: f64,
    pub parts: Vec<Part>,
    /// Within the gateway's part.
    pub queue_ms: Option<f64>,
    /// Within the browser's part: from the response head to the last byte.
    pub body_ms: f64,
    /// Figures that contradict each other.
    pub notes: Vec<String>,
}

impl Flow {
    pub fn part(&self, hop: Hop) -> &Part {
        self.parts.iter().find(|part| part.hop == hop).expect("a flow has a part for every hop")
    }
}

/// Every entry of every `Server-Timing` header, in order. Figures that are no time are passed over.
pub fn read(headers: &Headers) -> Vec<HopTime> {
    headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(SERVER_TIMING))
        .flat_map(|(_, value)| parse_server_timing(value))
        .filter(|share| share.milliseconds.is_finite() && share.milliseconds >= 0.0)
        .map(|share| HopTime { name: share.name, milliseconds: share.milliseconds })
        .collect()
}

/// Shares out the time of one request.
pub fn flow(story: &Story) -> Flow {
    let total = story.timing.total;
    let stopped_at_edge = story.answered.kind == Kind::Static
        && story.answered.by.as_deref() == Some(Hop::Edge.name());
    let stopped_at_browser = story.source == Source::Cache;
    let figures = Hop::ALL.map(|hop| match hop {
        Hop::Browser => Some(total),
        _ => hop.figure(&story.server_timing),
    });

    let mut notes = Vec::new();
    let mut parts = Vec::new();
    for (at, hop) in Hop::ALL.into_iter().enumerate() {
        let behind =
            (at + 1..figures.len()).find_map(|next| Some((Hop::ALL[next], figures[next]?)));
        let own_ms = figures[at].map(|figure| {
            let (next, inner) = behind.unwrap_or((hop, 0.0));
            if inner > figure {
                notes.push(format!(
                    "{} says {figure:.3} ms and {} behind it {inner:.3} ms: they can not both be right",
                    hop.name(),
                    next.name()
                ));
            }
            (figure - inner).max(0.0)
        });
        let reach = match figures[at] {
            Some(_) => Reach::Reported,
            None if stopped_at_edge || stopped_at_browser => Reach::NotReached,
            None => Reach::DidNotReport,
        };
        let share = own_ms.map(|own| if total > 0.0 { own / total } else { 0.0 });
        parts.push(Part { hop, reach, figure_ms: figures[at], own_ms, share });
    }
    let queue = story.server_timing.iter().rev().find(|entry| entry.name == QUEUE);
    Flow {
        total_ms: total,
        parts,
        queue_ms: queue.map(|entry| entry.milliseconds),
        body_ms: (total - story.timing.head).max(0.0),
        notes,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::answered::judge;
    use crate::story::tests::story;
    use crate::story::{Role, Timing};

    /// A story that took `total` and says this in `Server-Timing`.
    pub(crate) fn timed(url: &str, total: f64, server_timing: &str, more: &str) -> Story {
        let mut story = story(Role::Document, url);
        story.timing = Timing { head: total - 0.5, total, ..Timing::default() };
        story.response_headers = vec![("server-timing".to_owned(), server_timing.to_owned())];
        let more = more.lines().filter_map(|line| line.split_once(": "));
        story.response_headers.extend(more.map(|(name, value)| (name.into(), value.into())));
        story.server_timing = read(&story.response_headers);
        story.answered = judge(200, &story.response_headers, &story.server_timing);
        story
    }

    const WHOLE: &str =
        "application;dur=6, app-host;dur=7, queue;dur=0.5, gateway;dur=8.5, edge;dur=9";

    fn check(story: &Story, expected: [Option<f64>; 5]) -> Flow {
        let flow = flow(story);
        let own: Vec<_> = flow.parts.iter().map(|part| part.own_ms).collect();
        assert_eq!(own, expected);
        flow
    }

    #[test]
    fn a_hops_own_part_is_its_figure_less_what_lies_behind() {
        let story = timed("http://h/", 10.0, WHOLE, "");
        let flow = check(&story, [Some(1.0), Some(0.5), Some(1.5), Some(1.0), Some(6.0)]);
        let shares: f64 = flow.parts.iter().filter_map(|part| part.share).sum();
        assert!((shares - 1.0).abs() < 1e-9, "{shares}");
        assert_eq!(flow.queue_ms, Some(0.5));
        assert!((flow.body_ms - 0.5).abs() < 1e-9);
        assert!(flow.notes.is_empty());
    }

    #[test]
    fn a_silent_hops_time_stays_with_the_hop_before_it() {
        let story = timed("http://h/", 10.0, "application;dur=6, gateway;dur=8, edge;dur=9", "");
        let flow = check(&story, [Some(1.0), Some(1.0), Some(2.0), None, Some(6.0)]);
        assert_eq!(flow.part(Hop::AppHost).reach, Reach::DidNotReport);
    }

    #[test]
    fn a_file_does_not_go_past_the_edge() {
        let file = "Last-Modified: Sun, 22 Nov 2026 12:00:00 GMT";
        let story = timed("http://h/a.css", 2.0, "edge;dur=0.5", file);
        let flow = check(&story, [Some(1.5), Some(0.5), None, None, None]);
        assert_eq!(flow.part(Hop::Gateway).reach, Reach::NotReached);
    }

    #[test]
    fn without_reports_all_the_time_is_the_browsers() {
        let story = timed("http://h/", 2.0, "", "Server: nginx");
        let flow = check(&story, [Some(2.0), None, None, None, None]);
        assert_eq!(flow.part(Hop::Edge).reach, Reach::DidNotReport);
    }

    #[test]
    fn figures_that_contradict_each_other_are_said_to() {
        let story = timed("http://h/", 10.0, "gateway;dur=9.5, edge;dur=9", "");
        let flow = check(&story, [Some(1.0), Some(0.0), Some(9.5), None, None]);
        assert_eq!(flow.notes.len(), 1, "{:?}", flow.notes);
        assert!(flow.notes[0].starts_with("edge says 9.000 ms and gateway behind it 9.500 ms"));
    }

    #[test]
    fn figures_that_are_no_time_are_passed_over() {
        let headers =
            vec![("Server-Timing".into(), "edge;dur=NaN, gateway;dur=-1, a;dur=inf".into())];
        assert_eq!(read(&headers), []);
    }
}
