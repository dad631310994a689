//! The logs of all hops as one stream: each line begins with its hop's name, in the hop's colour.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Which lines of a file are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Start,
    /// What is written from now on.
    Now,
}

/// A file to follow. The app-hosts write into the gateway's log, each line with its process id.
#[derive(Clone, Debug)]
pub struct Source {
    pub hop: String,
    pub path: PathBuf,
    /// The process whose own lines these are; lines of others are the app-hosts'.
    pub master: i32,
}

/// One file that is followed.
#[derive(Debug)]
struct Tail {
    source: Source,
    /// Whose line was the last: what has no process id in it, as a traceback has not, goes on with it.
    speaker: String,
    position: u64,
    /// A line whose end is not written yet.
    begun: Vec<u8>,
}

/// The files of some hops.
#[derive(Debug)]
pub struct Follow {
    tails: Vec<Tail>,
    /// Only this hop's lines.
    only: Option<String>,
    paint: bool,
}

impl Follow {
    pub fn new(
        sources: impl IntoIterator<Item = Source>,
        from: From,
        only: Option<String>,
    ) -> Follow {
        let tails = sources.into_iter().map(|source| {
            let end = source.path.metadata().map_or(0, |about| about.len());
            let position = if from == From::Now { end } else { 0 };
            Tail { speaker: source.hop.clone(), source, position, begun: Vec::new() }
        });
        let paint = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && io::stdout().is_terminal();
        Follow { tails: tails.collect(), only, paint }
    }

    /// Writes what came since the last call.
    pub fn catch_up(&mut self, out: &mut impl io::Write) -> io::Result<()> {
        for tail in &mut self.tails {
            for line in tail.new_lines() {
                let hop = tail.speaker_of(&line);
                if self.only.as_ref().is_none_or(|only| only == hop) {
                    writeln!(out, "{} {line}", prefix(hop, self.paint))?;
                }
            }
        }
        out.flush()
    }

    /// Goes on until it is dropped, or standard output is closed.
    pub async fn go_on(&mut self) -> io::Result<()> {
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        loop {
            tick.tick().await;
            self.catch_up(&mut io::stdout().lock())?;
        }
    }
}

impl Tail {
    /// `[2026-11-22 17:00:00 +0000] [PID] [INFO] message` says who wrote it.
    fn speaker_of(&mut self, line: &str) -> &str {
        let mut parts = line.strip_prefix('[').unwrap_or_default().split("] [");
        if let Some(pid) = parts.nth(1).and_then(|pid| pid.parse::<i32>().ok()) {
            let own = pid == self.source.master;
            self.speaker = if own { self.source.hop.clone() } else { "app-host".to_owned() };
        }
        &self.speaker
    }

    fn new_lines(&mut self) -> Vec<String> {
        let mut added = Vec::new();
        if read_from(&self.source.path, &mut self.position, &mut added).is_err() {
            return Vec::new();
        }
        self.begun.extend_from_slice(&added);
        let Some(end) = self.begun.iter().rposition(|byte| *byte == b'\n') else {
            return Vec::new();
        };
        let whole: Vec<u8> = self.begun.drain(..=end).collect();
        String::from_utf8_lossy(&whole).lines().map(str::to_owned).collect()
    }
}

fn read_from(path: &Path, position: &mut u64, into: &mut Vec<u8>) -> io::Result<()> {
    let mut file = File::open(path)?;
    // A log that was cut or replaced begins anew.
    if file.metadata()?.len() < *position {
        *position = 0;
    }
    file.seek(SeekFrom::Start(*position))?;
    *position += file.read_to_end(into)? as u64;
    Ok(())
}

fn prefix(hop: &str, paint: bool) -> String {
    let colour = match hop {
        "edge" => 36,
        "gateway" => 32,
        "app-host" => 35,
        _ => 33,
    };
    if paint { format!("\x1b[{colour}m{hop:<8} |\x1b[0m") } else { format!("{hop:<8} |") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn only_whole_lines_are_shown_and_each_once() {
        let path = std::env::temp_dir().join(format!("causeway-follow-{}", std::process::id()));
        std::fs::write(&path, "old\n").unwrap();
        let mut follow = Follow::new(
            [Source { hop: "gateway".to_owned(), path: path.clone(), master: 7 }],
            From::Now,
            None,
        );
        follow.paint = false;
        let mut seen = |addition: &str| {
            let mut file = File::options().append(true).open(&path).unwrap();
            file.write_all(addition.as_bytes()).unwrap();
            let mut out = Vec::new();
            follow.catch_up(&mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(seen("one\ntw"), "gateway  | one\n");
        assert_eq!(seen(""), "");
        assert_eq!(seen("o\nthree\n"), "gateway  | two\ngateway  | three\n");
        // Another process speaks, until the first one does again.
        let lines = "[2026 +0000] [8] [ERROR] x\nTraceback\n[2026 +0000] [7] [INFO] y\n";
        let expected = "app-host | [2026 +0000] [8] [ERROR] x\napp-host | Traceback\ngateway  | [2026 +0000] [7] [INFO] y\n";
        assert_eq!(seen(lines), expected);
        std::fs::remove_file(path).unwrap();
    }
}
