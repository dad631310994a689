//! The picture of one request's way: a column for each hop, arrows going right and coming back.
//!
//! Where the request stopped, the columns behind are dotted and faint; a hop that kept silent is
//! passed over and says so. Draws what a [`Flow`] holds and computes nothing, so that the picture can
//! not tell another story than the JSON. On a terminal too narrow for the picture, a list.

mod picture;

use std::io::{self, Write};

use crate::answered::{Certainty, Kind};
use crate::story::Story;
use crate::terminal::{Colour, Paint, Terminal};
use crate::timing::{Flow, Part, Reach};
use picture::Picture;

pub fn draw(
    out: &mut impl Write,
    story: &Story,
    flow: &Flow,
    terminal: Terminal,
) -> io::Result<()> {
    let colour = terminal.colour;
    writeln!(out, "{}", Paint::Strong.on(&title(story), colour))?;
    writeln!(out)?;
    match Picture::fitting(terminal, flow) {
        Some(picture) => picture.draw(out, story)?,
        None => list(out, flow, colour)?,
    }
    writeln!(out)?;
    if let Some(trace) = &story.trace_id {
        writeln!(out, "trace {trace}")?;
        // Of hops that do not report nothing is known, not even whether they keep a log.
        let somebody_reports = flow.parts[1..].iter().any(|part| part.reach == Reach::Reported);
        if somebody_reports {
            let hint = "(the same id is in every hop's log lines for this request: search all logs for it)";
            writeln!(out, "{}", Paint::Faint.on(hint, colour))?;
        }
    }
    if story.answered.certainty == Certainty::Guess || story.answered.kind == Kind::Unknown {
        writeln!(out, "{}", story.answered.reason())?;
    }
    for note in &flow.notes {
        writeln!(out, "note: {note}")?;
    }
    Ok(())
}

fn title(story: &Story) -> String {
    let status = story.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    format!(
        "{} {}: {status}, {}, {}, {:.3} ms",
        story.method,
        story.url,
        story.answered.kind(),
        story.answered.sentence(),
        story.timing.total
    )
}

/// For a terminal too narrow for five columns.
fn list(out: &mut impl Write, flow: &Flow, colour: Colour) -> io::Result<()> {
    for part in &flow.parts {
        let [first, second] = figures(part);
        let line = match part.reach {
            Reach::Reported => {
                let name = Paint::Of(part.hop).on(&format!("{:<12}", part.hop.name()), colour);
                format!("{name} {first:>12} {second:>8}")
            }
            Reach::DidNotReport | Reach::NotReached => {
                Paint::Faint.on(&format!("{:<12} {first} {second}", part.hop.name()), colour)
            }
        };
        writeln!(out, "{line}")?;
    }
    if let Some(queue) = flow.queue_ms {
        writeln!(out, "queue {queue:.3} ms, within the gateway")?;
    }
    Ok(())
}

/// The two lines under a hop's column.
fn figures(part: &Part) -> [String; 2] {
    match (part.reach, part.own_ms, part.share) {
        (Reach::Reported, Some(own), Some(share)) => {
            [format!("{own:.3} ms"), format!("{:.1} %", share * 100.0)]
        }
        (Reach::NotReached, ..) => ["not".to_owned(), "reached".to_owned()],
        _ => ["did not".to_owned(), "report".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::Source;
    use crate::terminal::Charset;
    use crate::timing::flow;
    use crate::timing::tests::timed;

    const PLAIN: Terminal =
        Terminal { width: Some(80), colour: Colour::Never, charset: Charset::Unicode };
    const FILE: &str = "Last-Modified: Sun, 22 Nov 2026 12:00:00 GMT";

    fn check(story: &Story, terminal: Terminal, expected: &str) {
        let mut drawn = Vec::new();
        draw(&mut drawn, story, &flow(story), terminal).unwrap();
        let drawn = String::from_utf8(drawn).unwrap();
        assert_eq!(drawn.trim_end(), expected.trim_matches('\n'), "\n{drawn}");
    }

    #[test]
    fn a_dynamic_request_goes_all_the_way() {
        let whole =
            "application;dur=6, app-host;dur=7, queue;dur=0.25, gateway;dur=8.5, edge;dur=9";
        let mut story = timed("http://h/question/", 10.0, whole, "");
        story.trace_id = Some("0af7651916cd43dd8448eb211c80319c".into());
        check(
            &story,
            PLAIN,
            r"
GET http://h/question/: 200, dynamic, answered by application, 10.000 ms

     browser          edge           gateway        app-host       application
        │               │               │               │               │
        ├───── GET ────▶│               │               │               │
        │               ├──────────────▶│               │               │
        │               │               ├──────────────▶│               │
        │               │               │               ├──────────────▶│
        │               │               │               │           answered
        │               │               │               │◀──────────────┤
        │               │               │◀──────────────┤               │
        │               │◀──────────────┤               │               │
        │◀──── 200 ─────┤               │               │               │
        │               │               │               │               │
    1.000 ms        0.500 ms        1.500 ms        1.000 ms        6.000 ms
     10.0 %           5.0 %          15.0 %          10.0 %          60.0 %
        █               █              ██               █            ██████
  body 0.500 ms                  queue 0.250 ms

trace 0af7651916cd43dd8448eb211c80319c
(the same id is in every hop's log lines for this request: search all logs for it)
",
        );
    }

    #[test]
    fn a_static_request_stops_at_the_edge() {
        let story = timed("http://h/a.css", 2.0, "edge;dur=0.02", FILE);
        check(
            &story,
            PLAIN,
            r"
GET http://h/a.css: 200, static, answered by edge, 2.000 ms

     browser          edge           gateway        app-host       application
        │               │               ┊               ┊               ┊
        ├───── GET ────▶│               ┊               ┊               ┊
        │           answered            ┊               ┊               ┊
        │◀──── 200 ─────┤               ┊               ┊               ┊
        │               │               ┊               ┊               ┊
    1.980 ms        0.020 ms           not             not             not
     99.0 %           1.0 %          reached         reached         reached
   ██████████           ▏
  body 0.500 ms
",
        );
    }

    #[test]
    fn a_silent_hop_is_passed_over() {
        let story = timed("http://h/", 10.0, "application;dur=6, gateway;dur=8, edge;dur=9", "");
        check(
            &story,
            PLAIN,
            r"
GET http://h/: 200, dynamic, answered by application, 10.000 ms

     browser          edge           gateway        app-host       application
        │               │               │               ┊               │
        ├───── GET ────▶│               │               ┊               │
        │               ├──────────────▶│               ┊               │
        │               │               ├───────────────┊──────────────▶│
        │               │               │               ┊           answered
        │               │               │◀──────────────┊───────────────┤
        │               │◀──────────────┤               ┊               │
        │◀──── 200 ─────┤               │               ┊               │
        │               │               │               ┊               │
    1.000 ms        1.000 ms        2.000 ms         did not        6.000 ms
     10.0 %          10.0 %          20.0 %          report          60.0 %
        █               █              ██                            ██████
  body 0.500 ms
",
        );
    }

    #[test]
    fn a_foreign_chain_has_a_question_mark() {
        let mut story = timed("http://h/", 10.0, "", "Server: nginx");
        story.trace_id = Some("0af7651916cd43dd8448eb211c80319c".into());
        check(
            &story,
            PLAIN,
            r#"
GET http://h/: 200, unknown, perhaps answered by nginx, 10.000 ms

     browser          edge           gateway        app-host       application
        │               ┊               ┊               ┊               ┊
        ├───── GET ────▶┊               ┊               ┊               ┊
        │               ?               ┊               ┊               ┊
        │◀──── 200 ─────┤               ┊               ┊               ┊
        │               ┊               ┊               ┊               ┊
    10.000 ms        did not         did not         did not         did not
     100.0 %         report          report          report          report
   ██████████
  body 0.500 ms

trace 0af7651916cd43dd8448eb211c80319c
unknown, guess: nginx: no Server-Timing in the answer; Server is "nginx"; nothing else tells
"#,
        );
    }

    #[test]
    fn without_unicode_it_is_drawn_with_what_there_is() {
        let story = timed("http://h/a.css", 2.0, "edge;dur=0.5", FILE);
        check(
            &story,
            Terminal { charset: Charset::Ascii, ..PLAIN },
            r"
GET http://h/a.css: 200, static, answered by edge, 2.000 ms

     browser          edge           gateway        app-host       application
        |               |               :               :               :
        |----- GET ---->|               :               :               :
        |           answered            :               :               :
        |<---- 200 -----|               :               :               :
        |               |               :               :               :
    1.500 ms        0.500 ms           not             not             not
     75.0 %          25.0 %          reached         reached         reached
    ########           ###
  body 0.500 ms
",
        );
    }

    #[test]
    fn a_narrow_terminal_gets_a_list() {
        let story = timed("http://h/a.css", 2.0, "edge;dur=0.5", FILE);
        check(
            &story,
            Terminal { width: Some(60), ..PLAIN },
            r"
GET http://h/a.css: 200, static, answered by edge, 2.000 ms

browser          1.500 ms   75.0 %
edge             0.500 ms   25.0 %
gateway      not reached
app-host     not reached
application  not reached
",
        );
    }

    #[test]
    fn what_was_not_reached_is_faint_and_the_rest_in_its_hops_colour() {
        let story = timed("http://h/a.css", 2.0, "edge;dur=0.5", FILE);
        let mut drawn = Vec::new();
        let terminal = Terminal { colour: Colour::Always, ..PLAIN };
        draw(&mut drawn, &story, &flow(&story), terminal).unwrap();
        let drawn = String::from_utf8(drawn).unwrap();
        assert!(drawn.contains("\x1b[32medge\x1b[0m"), "{drawn}");
        assert!(drawn.contains("\x1b[2mgateway\x1b[0m"), "{drawn}");
        assert!(drawn.contains("\x1b[2m┊\x1b[0m"), "{drawn}");
    }

    #[test]
    fn an_answer_from_the_cache_stays_in_the_browser() {
        let mut story = timed("http://h/a.css", 0.0, "", FILE);
        story.timing = crate::story::Timing::default();
        story.source = Source::Cache;
        story.answered.by = Some("browser".into());
        story.answered.kind = Kind::Static;
        story.answered.certainty = Certainty::Reported;
        check(
            &story,
            PLAIN,
            r"
GET http://h/a.css: 200, static, answered by browser, 0.000 ms

     browser          edge           gateway        app-host       application
        │               ┊               ┊               ┊               ┊
   from cache           ┊               ┊               ┊               ┊
        │               ┊               ┊               ┊               ┊
    0.000 ms           not             not             not             not
      0.0 %          reached         reached         reached         reached
",
        );
    }
}
