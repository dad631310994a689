//! The picture of one request's way: a column for each hop, arrows going right and coming back.
//!
//! Drawn on a grid of characters, row by row from the top. Where the request stopped, the columns
//! behind are dotted and faint; a hop that kept silent is passed over and says so. Draws what a
//! [`Flow`] holds and computes nothing, so that the picture can not tell another story than the JSON.

use std::io::{self, Write};

use crate::answered::{Certainty, Hop, Kind};
use crate::story::{Source, Story};
use crate::terminal::{Charset, Colour, Paint, Terminal};
use crate::timing::{Flow, Part, Reach};

const COLUMNS: usize = Hop::ALL.len();
/// Room for "queue 123.456 ms".
const NARROWEST_COLUMN: usize = 16;
const WIDEST_COLUMN: usize = 22;
const BAR: usize = 10;

struct Glyphs {
    lifeline: char,
    dotted: char,
    line: char,
    leaves: char,
    returns: char,
    right: char,
    left: char,
    bar: char,
    sliver: char,
}

const UNICODE: Glyphs = Glyphs {
    lifeline: '│',
    dotted: '┊',
    line: '─',
    leaves: '├',
    returns: '┤',
    right: '▶',
    left: '◀',
    bar: '█',
    sliver: '▏',
};

const ASCII: Glyphs = Glyphs {
    lifeline: '|',
    dotted: ':',
    line: '-',
    leaves: '|',
    returns: '|',
    right: '>',
    left: '<',
    bar: '#',
    sliver: '.',
};

pub fn draw(
    out: &mut impl Write,
    story: &Story,
    flow: &Flow,
    terminal: Terminal,
) -> io::Result<()> {
    let colour = terminal.colour;
    writeln!(out, "{}", Paint::Strong.on(&title(story), colour))?;
    writeln!(out)?;
    let column = terminal.width.unwrap_or(0) / COLUMNS;
    if terminal.width.is_some() && column < NARROWEST_COLUMN {
        list(out, flow, colour)?;
    } else {
        let glyphs = match terminal.charset {
            Charset::Unicode => &UNICODE,
            Charset::Ascii => &ASCII,
        };
        let column = column.clamp(NARROWEST_COLUMN, WIDEST_COLUMN);
        Picture { column, glyphs, colour, flow }.draw(out, story)?;
    }
    writeln!(out)?;
    if let Some(trace) = &story.trace_id {
        writeln!(out, "trace {trace}")?;
        let hint =
            "(each hop that logs the request ends the line with this id: search all logs for it)";
        writeln!(out, "{}", Paint::Faint.on(hint, colour))?;
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

struct Picture<'a> {
    column: usize,
    glyphs: &'a Glyphs,
    colour: Colour,
    flow: &'a Flow,
}

type Row = Vec<(char, Paint)>;

impl Picture<'_> {
    fn draw(&self, out: &mut impl Write, story: &Story) -> io::Result<()> {
        let asked_nobody = story.source == Source::Cache;
        let status = story.status.map_or_else(|| "no answer".to_owned(), |code| code.to_string());
        let met = self.met();
        let deepest = *met.last().expect("the browser is always met");

        let mut rows = vec![self.labels(|part| part.hop.name().to_owned()), self.lifelines()];
        if asked_nobody {
            let mut row = self.lifelines();
            self.put(&mut row, 0, "from cache", Paint::Of(Hop::Browser));
            rows.push(row);
        } else if deepest == 0 {
            // Somebody answered, and nobody says who.
            rows.push(self.arrow(0, 1, story.method, Direction::Right));
            let mut row = self.lifelines();
            self.put(&mut row, 1, "?", Paint::Strong);
            rows.push(row);
            rows.push(self.arrow(0, 1, &status, Direction::Left));
        } else {
            for (leg, pair) in met.windows(2).enumerate() {
                let label = if leg == 0 { story.method } else { "" };
                rows.push(self.arrow(pair[0], pair[1], label, Direction::Right));
            }
            let mut row = self.lifelines();
            self.put(&mut row, deepest, "answered", Paint::Of(Hop::ALL[deepest]));
            rows.push(row);
            for (leg, pair) in met.windows(2).enumerate().rev() {
                let label = if leg == 0 { status.as_str() } else { "" };
                rows.push(self.arrow(pair[0], pair[1], label, Direction::Left));
            }
        }
        rows.push(self.lifelines());
        rows.push(self.labels(|part| figures(part)[0].clone()));
        rows.push(self.labels(|part| figures(part)[1].clone()));
        rows.push(self.labels(|part| self.bar(part)));
        rows.push(self.labels(|part| self.within(part)));
        for row in rows {
            let line = self.line(&row);
            if !line.is_empty() {
                writeln!(out, "{line}")?;
            }
        }
        Ok(())
    }

    /// The columns the arrows touch.
    fn met(&self) -> Vec<usize> {
        let parts = self.flow.parts.iter().enumerate();
        parts.filter(|(_, part)| part.reach == Reach::Reported).map(|(at, _)| at).collect()
    }

    fn centre(&self, at: usize) -> usize {
        at * self.column + self.column / 2
    }

    fn paint(&self, at: usize) -> Paint {
        match self.flow.parts[at].reach {
            Reach::Reported => Paint::Of(Hop::ALL[at]),
            Reach::DidNotReport | Reach::NotReached => Paint::Faint,
        }
    }

    fn lifelines(&self) -> Row {
        let mut row = vec![(' ', Paint::Plain); self.column * COLUMNS];
        for (at, part) in self.flow.parts.iter().enumerate() {
            let glyph = match part.reach {
                Reach::Reported => self.glyphs.lifeline,
                Reach::DidNotReport | Reach::NotReached => self.glyphs.dotted,
            };
            row[self.centre(at)] = (glyph, self.paint(at));
        }
        row
    }

    /// From one column to another; a silent one between them is passed over.
    fn arrow(&self, from: usize, to: usize, label: &str, direction: Direction) -> Row {
        let mut row = self.lifelines();
        let (start, end) = (self.centre(from), self.centre(to));
        let paint = self.paint(match direction {
            Direction::Right => from,
            Direction::Left => to,
        });
        for cell in &mut row[start + 1..end] {
            if cell.0 == ' ' {
                *cell = (self.glyphs.line, paint);
            }
        }
        match direction {
            Direction::Right => {
                row[start] = (self.glyphs.leaves, self.paint(from));
                row[end - 1] = (self.glyphs.right, paint);
            }
            Direction::Left => {
                row[end] = (self.glyphs.returns, self.paint(to));
                row[start + 1] = (self.glyphs.left, paint);
            }
        }
        if !label.is_empty() {
            let text = format!(" {label} ");
            let middle = start + (end - start).div_ceil(2);
            write_at(&mut row, middle - text.chars().count() / 2, &text, Paint::Strong);
        }
        row
    }

    fn labels(&self, label: impl Fn(&Part) -> String) -> Row {
        let mut row = vec![(' ', Paint::Plain); self.column * COLUMNS];
        for (at, part) in self.flow.parts.iter().enumerate() {
            self.put(&mut row, at, &label(part), self.paint(at));
        }
        row
    }

    /// Writes into the middle of a column.
    fn put(&self, row: &mut Row, at: usize, text: &str, paint: Paint) {
        let half = text.chars().count() / 2;
        write_at(row, self.centre(at).saturating_sub(half), text, paint);
    }

    fn bar(&self, part: &Part) -> String {
        let share = part.share.unwrap_or(0.0);
        let length = (share * BAR as f64).round() as usize;
        match length {
            0 if share > 0.0 => self.glyphs.sliver.to_string(),
            _ => std::iter::repeat_n(self.glyphs.bar, length.min(BAR)).collect(),
        }
    }

    /// What a hop's own part is made of, where that is known.
    fn within(&self, part: &Part) -> String {
        match (part.hop, self.flow.queue_ms) {
            (Hop::Browser, _) if self.flow.body_ms >= 0.001 => {
                format!("body {:.3} ms", self.flow.body_ms)
            }
            (Hop::Gateway, Some(queue)) => format!("queue {queue:.3} ms"),
            _ => String::new(),
        }
    }

    /// One row as text, without the blanks at its end; runs of one paint are painted once.
    fn line(&self, row: &Row) -> String {
        let end = row.iter().rposition(|(character, _)| *character != ' ').map_or(0, |at| at + 1);
        let runs = row[..end].chunk_by(|(_, one), (_, other)| one == other);
        let painted = runs.map(|run| {
            let text: String = run.iter().map(|(character, _)| character).collect();
            run[0].1.on(&text, self.colour)
        });
        painted.collect()
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Right,
    Left,
}

fn write_at(row: &mut Row, start: usize, text: &str, paint: Paint) {
    for (cell, character) in row.iter_mut().skip(start).zip(text.chars()) {
        *cell = (character, paint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
(each hop that logs the request ends the line with this id: search all logs for it)
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
        let story = timed("http://h/", 10.0, "", "Server: nginx");
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
