//! Which lines of the logs a request left behind it. Each request carries a `traceparent` of its own,
//! which our hops write into their lines. The others write no such thing; but requests are sent one after
//! the other, so what a log grew by between the start of one and the start of the next is the first
//! one's, except where a line that came late names the request it tells of.

use std::collections::HashMap;
use std::fs;
use std::mem;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use suite::wire::Request;
use suite::{EntryOutcome, Outcome, Turn};

use crate::hop::Running;

/// By which a request is followed.
pub const FIELD: &str = "traceparent";

/// Files that grow while requests are sent.
#[derive(Clone, Debug)]
pub struct Trail {
    files: Vec<Written>,
    marks: Arc<Mutex<Vec<Mark>>>,
}

/// A file, and whose it is.
#[derive(Clone, Debug)]
struct Written {
    hop: String,
    path: PathBuf,
}

/// How far the files had got when a request was sent.
#[derive(Debug)]
struct Mark {
    id: String,
    lengths: Vec<u64>,
}

/// What was written of each request, by its id.
#[derive(Debug, Default)]
pub struct Trails {
    lines: HashMap<String, Vec<Line>>,
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub hop: String,
    pub file: PathBuf,
    pub text: String,
}

impl Trail {
    /// Through the logs of these hops.
    pub fn through(hops: &[Running]) -> Trail {
        let logs = hops.iter().flat_map(|hop| hop.logs.iter().map(move |log| (hop, log)));
        let files = logs.map(|(hop, log)| Written { hop: hop.name.clone(), path: log.clone() });
        Trail { files: files.collect(), marks: Arc::default() }
    }

    /// And through one more file.
    #[must_use]
    pub fn and(mut self, hop: &str, path: PathBuf) -> Trail {
        self.files.push(Written { hop: hop.to_owned(), path });
        self
    }

    /// The field for the request that is sent now. The same for the same request of any two runs.
    pub fn field(&self, turn: Turn<'_>) -> (String, String) {
        let count = self.marks.lock().expect("nobody panics while holding it").len();
        let id = format!("ca{:014x}{:016x}", count + 1, turn.line);
        let value = format!("00-{id}-{:016x}-01", turn.number);
        self.mark(id);
        (FIELD.to_owned(), value)
    }

    /// What comes from now on is of no request, unless it says so.
    pub fn end(&self) {
        self.mark(String::new());
    }

    fn mark(&self, id: String) {
        let length = |file: &Written| file.path.metadata().map_or(0, |about| about.len());
        let lengths = self.files.iter().map(length).collect();
        let mut marks = self.marks.lock().expect("nobody panics while holding it");
        marks.push(Mark { id, lengths });
    }

    /// To be called when every hop has ended, and so has written everything.
    pub fn read(&self, outcome: &Outcome) -> Trails {
        let mut marks = self.marks.lock().expect("nobody panics while holding it");
        let marks = mem::take(&mut *marks);
        let requests = requests(outcome);
        let named = |mark: usize| {
            let mark: &Mark = marks.get(mark)?;
            requests.get(mark.id.as_str()).map(String::as_str)
        };
        let by_id: HashMap<&str, usize> =
            marks.iter().enumerate().map(|(at, mark)| (mark.id.as_str(), at)).collect();
        let mut lines: HashMap<String, Vec<Line>> = HashMap::new();
        for (at, file) in self.files.iter().enumerate() {
            let text = fs::read(&file.path).unwrap_or_default();
            let mut position = 0;
            for line in text.split_inclusive(|byte| *byte == b'\n') {
                let start = position;
                position += line.len() as u64;
                let line = String::from_utf8_lossy(line);
                let line = line.trim_end();
                // How many requests had been sent when it was written.
                let sent = marks.partition_point(|mark| mark.lengths[at] <= start);
                let Some(owner) = id_in(line)
                    .and_then(|id| by_id.get(id).copied())
                    .or_else(|| Some(late(line, sent.checked_sub(1)?, named)))
                else {
                    continue;
                };
                let (hop, file) = (file.hop.clone(), file.path.clone());
                let line = Line { hop, file, text: line.to_owned() };
                lines.entry(marks[owner].id.clone()).or_default().push(line);
            }
        }
        Trails { lines }
    }
}

impl Trails {
    /// In the order of the hops, those of each file in the order in which they were written.
    pub fn of(&self, request: &Request) -> &[Line] {
        let id = request.fields.iter().find(|field| field.is(FIELD));
        let id = id.map(|field| field.text().into_owned()).unwrap_or_default();
        id_in(&id).and_then(|id| self.lines.get(id)).map(Vec::as_slice).unwrap_or_default()
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let file = self.file.file_name().unwrap_or_default().to_string_lossy();
        write!(out, "{} {file}: {}", self.hop, self.text)
    }
}

/// `METHOD TARGET` of each, as access logs write it.
fn requests(outcome: &Outcome) -> HashMap<&str, String> {
    let mut requests = HashMap::new();
    for request in outcome.entries().flat_map(EntryOutcome::requests) {
        let field = request.fields.iter().find(|field| field.is(FIELD));
        let text = field.and_then(|field| std::str::from_utf8(&field.value).ok());
        if let Some(id) = text.and_then(id_in) {
            requests.insert(id, format!("{} {} ", request.method, request.target));
        }
    }
    requests
}

/// One that names the request before, and not the one of its time, was written late.
fn late<'a>(line: &str, now: usize, named: impl Fn(usize) -> Option<&'a str>) -> usize {
    let names = |mark: usize| named(mark).is_some_and(|request| line.contains(request));
    match now.checked_sub(1) {
        Some(before) if names(before) && !names(now) => before,
        _ => now,
    }
}

/// The id of a request of ours, wherever it stands in a line.
fn id_in(line: &str) -> Option<&str> {
    let mut from = 0;
    while let Some(found) = line[from..].find("ca0") {
        let start = from + found;
        let id = line.get(start..start + 32);
        if let Some(id) = id.filter(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            return Some(id);
        }
        from = start + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_wherever_it_stands() {
        let id = "ca000000000000010000000000000002";
        assert_eq!(id_in(&format!("x ca0 trace={id} y")), Some(id));
        assert_eq!(id_in(&format!("00-{id}-0000000000000001-01")), Some(id));
        assert_eq!(id_in("ca00 ca0 nothing é ca0"), None);
    }

    #[test]
    fn a_line_that_came_late_is_the_request_s_that_it_names() {
        let named = |at: usize| Some(["GET /a ", "GET /b "][at]);
        assert_eq!(late("\"GET /a HTTP/1.1\" 200", 1, named), 0);
        assert_eq!(late("\"GET /b HTTP/1.1\" 200", 1, named), 1);
        assert_eq!(late("Traceback", 1, named), 1);
        assert_eq!(late("\"GET /b HTTP/1.1\" 200", 0, named), 0);
    }
}
