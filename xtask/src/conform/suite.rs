//! The suite's folder, and lists of its files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// A checkout of nginx-tests.
#[derive(Clone, Debug)]
pub(super) struct Suite {
    folder: PathBuf,
}

impl Suite {
    pub(super) fn at(folder: &Path) -> Result<Suite> {
        let is_suite = folder.join("lib/Test/Nginx.pm").is_file();
        ensure!(is_suite, "\"{}\" is not nginx's suite: no lib/Test/Nginx.pm", folder.display());
        Ok(Suite { folder: folder.canonicalize()? })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// How many subtests a file says it has, for one that never came to say it: `plan(12)` in the
    /// source, to which the suite adds two of its own.
    pub(super) fn planned(&self, file: &str) -> u32 {
        let source = fs::read(self.folder.join(file)).unwrap_or_default();
        let source = String::from_utf8_lossy(&source);
        let after = |mark: &str| {
            let (_, rest) = source.split_once(mark)?;
            let digits = rest.trim_start().split(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse::<u32>().ok()
        };
        after("->plan(").map(|number| number + 2).or_else(|| after("plan(tests =>")).unwrap_or(1)
    }
}

/// The names in a file: one on a line, `#` begins a comment.
pub(super) fn names(list: &Path) -> Result<Vec<String>> {
    let text =
        fs::read_to_string(list).with_context(|| format!("cannot read \"{}\"", list.display()))?;
    let mut names: Vec<String> = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut paths = line.split_whitespace().map(Path::new);
        let path = paths.find(|path| path.extension().is_some_and(|ending| ending == "t"));
        let name = path.and_then(|path| path.file_name()?.to_str()).map(str::to_owned);
        names.extend(name.filter(|name| !names.contains(name)));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_and_a_plan_is_found_in_the_source() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("list", "# tier 1\naccess.t\n\n./x/gzip.t pass 3 # good\naccess.t\n");
        assert_eq!(names(&folder.path().join("list")).unwrap(), ["access.t", "gzip.t"]);
        assert!(Suite::at(folder.path()).is_err());
        let suite = Suite { folder: folder.path().to_owned() };
        write("access.t", "my $t = Test::Nginx->new()->has(qw/http/)->plan(12);\n");
        write("gzip.t", "plan(tests => 7);\n");
        write("late.t", "$t->plan($n);\n");
        assert_eq!(["access.t", "gzip.t", "late.t"].map(|file| suite.planned(file)), [14, 7, 1]);
    }
}
