//! A suite's file as it was read: its name and its lines, for messages that lead to the place.

use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    lines: Vec<String>,
}

impl Source {
    pub(crate) fn new(path: &Path, text: &str) -> Source {
        Source { path: path.to_owned(), lines: text.lines().map(str::to_owned).collect() }
    }

    /// A line without the white space around it; lines are counted from 1.
    pub(crate) fn line(&self, number: usize) -> &str {
        self.lines.get(number.wrapping_sub(1)).map_or("", |line| line.trim())
    }

    /// The comment right above a line: why the entry is there.
    pub(crate) fn comment_above(&self, number: usize) -> Option<String> {
        let above = (1..number).rev().map(|number| self.line(number));
        let mut words: Vec<&str> = above
            .take_while(|line| line.starts_with('#'))
            .map(|line| line.trim_start_matches('#').trim())
            .collect();
        words.reverse();
        let comment = words.join(" ");
        (!comment.is_empty()).then_some(comment)
    }

    /// The folder that files named in it are found from.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}
