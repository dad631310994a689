//! The drawing itself: a grid of characters, filled row by row from the top. Knows columns and
//! arrows; which of them a request has is in the [`Flow`].

use std::io::{self, Write};

use super::figures;
use crate::answered::Hop;
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

pub(super) struct Picture<'a> {
    column: usize,
    glyphs: &'a Glyphs,
    colour: Colour,
    flow: &'a Flow,
}

type Row = Vec<(char, Paint)>;

impl<'a> Picture<'a> {
    /// `None`: the terminal is too narrow.
    pub(super) fn fitting(terminal: Terminal, flow: &'a Flow) -> Option<Picture<'a>> {
        let column = terminal.width.map_or(NARROWEST_COLUMN, |width| width / COLUMNS);
        (column >= NARROWEST_COLUMN).then(|| Picture {
            column: column.min(WIDEST_COLUMN),
            glyphs: match terminal.charset {
                Charset::Unicode => &UNICODE,
                Charset::Ascii => &ASCII,
            },
            colour: terminal.colour,
            flow,
        })
    }

    pub(super) fn draw(&self, out: &mut impl Write, story: &Story) -> io::Result<()> {
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
