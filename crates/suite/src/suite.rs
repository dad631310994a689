//! A suite: its files, found, read, parsed, and refused as a whole where one of them can not be run.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hurl_core::ast::HurlFile;
use hurl_core::error::DisplaySourceError as _;
use hurl_core::parser::{ParseErrorKind, parse_hurl_file};
use hurl_core::text::Format;
use thiserror::Error;
use tokio::time::Instant;

use crate::outcome::Outcome;
use crate::refuse::refusals;
use crate::run::run_file;
use crate::source::Source;
use crate::target::{Target, TargetError};
use crate::wire::trust;

/// Files that are run one after the other, each for itself: cookies, variables and connections are
/// a file's own.
#[derive(Debug)]
pub struct Suite {
    files: Vec<File>,
}

#[derive(Debug)]
pub(crate) struct File {
    pub(crate) source: Source,
    pub(crate) hurl: HurlFile,
}

#[derive(Debug, Error)]
pub enum SuiteError {
    #[error("cannot read \"{path}\": {error}")]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("there is no .hurl file in \"{0}\"")]
    Empty(PathBuf),
    /// A line for each thing that is wrong, in all of the files.
    #[error("{0}")]
    Refused(String),
}

impl Suite {
    /// Reads files, and all `.hurl` files below folders in the order of their names.
    pub fn load(paths: &[PathBuf]) -> Result<Suite, SuiteError> {
        let (mut files, mut complaints) = (Vec::new(), String::new());
        for path in paths {
            let mut found = Vec::new();
            find(path, Named::Outright, &mut found)?;
            if found.is_empty() {
                return Err(SuiteError::Empty(path.clone()));
            }
            for path in found {
                match read(&path)? {
                    Ok(file) => files.push(file),
                    Err(wrong) => complaints.push_str(&wrong),
                }
            }
        }
        if complaints.is_empty() {
            return Ok(Suite { files });
        }
        Err(SuiteError::Refused(complaints.trim_end().to_owned()))
    }

    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.source.path.as_path())
    }

    /// Leaves files out, which their caller has to say somewhere.
    pub fn retain(&mut self, mut keep: impl FnMut(&Path) -> bool) {
        self.files.retain(|file| keep(&file.source.path));
    }

    /// Runs the files, one after the other. What fails is in the outcome; an error is a target that
    /// nothing can be sent to.
    pub async fn run(&self, target: &Target) -> Result<Outcome, TargetError> {
        if !matches!(target.base.scheme(), "http" | "https") {
            return Err(TargetError::Scheme(target.base.clone()));
        }
        if target.base.query().is_some() || target.base.fragment().is_some() {
            return Err(TargetError::Query(target.base.clone()));
        }
        if target.variables.contains_key("base") {
            return Err(TargetError::BaseVariable);
        }
        let tls = target.ca.as_deref().map(trust).transpose()?;
        if tls.is_none() && target.base.scheme() == "https" {
            return Err(TargetError::NoCa);
        }
        let start = Instant::now();
        let mut files = Vec::new();
        for file in &self.files {
            files.push(run_file(file, target, tls.clone()).await);
        }
        Ok(Outcome { base: target.base.clone(), files, duration: start.elapsed() })
    }
}

/// Whether somebody named this path, or it lay in a folder that was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Outright,
    ByFolder,
}

fn find(path: &Path, named: Named, found: &mut Vec<PathBuf>) -> Result<(), SuiteError> {
    let unreadable = |error| SuiteError::Unreadable { path: path.to_owned(), error };
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        if named == Named::Outright || path.extension().is_some_and(|ending| ending == "hurl") {
            found.push(path.to_owned());
        }
        return Ok(());
    }
    let entries: io::Result<Vec<_>> =
        fs::read_dir(path).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut entries = entries.map_err(unreadable)?;
    entries.sort();
    entries.iter().try_for_each(|entry| find(entry, Named::ByFolder, found))
}

/// The file, or a line for each thing that is wrong in it.
fn read(path: &Path) -> Result<Result<File, String>, SuiteError> {
    let text = fs::read_to_string(path)
        .map_err(|error| SuiteError::Unreadable { path: path.to_owned(), error })?;
    let source = Source::new(path, &text);
    let hurl = match parse_hurl_file(&text) {
        Ok(hurl) => hurl,
        Err(error) => {
            let (line, column) = (error.pos.line, error.pos.column);
            let what = if error.kind == ParseErrorKind::Xml {
                "an xml body without quotes is not supported; put ```xml before it and ``` after it"
                    .to_owned()
            } else {
                let lines: Vec<_> = text.lines().collect();
                let fix = error.fixme(&lines).to_string(Format::Plain);
                let fix = fix.trim_start_matches([' ', '^', '\n']).trim_end();
                format!("{}: {fix}", error.description().to_lowercase())
            };
            return Ok(Err(format!("{}:{line}:{column}: {what}\n", path.display())));
        }
    };
    let mut complaints = String::new();
    for (line, what) in refusals(&hurl) {
        writeln!(complaints, "{}:{line}: {what} is not supported", path.display())
            .expect("a string can be written to");
    }
    Ok(if complaints.is_empty() { Ok(File { source, hurl }) } else { Err(complaints) })
}
