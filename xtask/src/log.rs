//! Reading what the hops write. A log line is written after the answer was sent, so a test waits for
//! the line rather than looking once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::wire::PATIENCE;

/// One log file of a hop, or several that are read as one.
#[derive(Clone, Debug)]
pub struct Log {
    paths: Vec<PathBuf>,
}

impl Log {
    pub fn at(path: &Path) -> Log {
        Log { paths: vec![path.to_owned()] }
    }

    pub fn and(mut self, other: Log) -> Log {
        self.paths.extend(other.paths);
        self
    }

    pub fn text(&self) -> String {
        let files = self.paths.iter().map(|path| std::fs::read(path).unwrap_or_default());
        let texts = files.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        texts.collect()
    }

    pub fn lines_with(&self, part: &str) -> Vec<String> {
        self.text().lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }

    /// The first line that contains `part`, as soon as it is there.
    pub async fn line_with(&self, part: &str) -> Result<String> {
        Ok(self.several_with(part, 1).await?.swap_remove(0))
    }

    /// All lines that contain `part`, as soon as there are this many.
    pub async fn several_with(&self, part: &str, count: usize) -> Result<Vec<String>> {
        let waiting = async {
            let mut tick = tokio::time::interval(Duration::from_millis(10));
            loop {
                tick.tick().await;
                let lines = self.lines_with(part);
                if lines.len() >= count {
                    return lines;
                }
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(lines) => Ok(lines),
            Err(_) => {
                bail!("\"{part}\" is not {count} times in {:?}:\n{}", self.paths, self.text())
            }
        }
    }
}
