//! Files to one tree: `include FILE;` stands for what is in the file, wherever it stands.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{ConfError, Node, Span, errno, parse};

/// Includes inside includes: more than this is a file that includes itself.
const MAX_DEPTH: usize = 32;

/// A file that was read, for `-T`.
#[derive(Clone, Debug)]
pub struct Source {
    pub path: String,
    pub text: String,
}

/// Reads `file` and everything it includes. Sources are listed once each, in order of first use.
/// Relative names are looked up beside `file`, as nginx does.
pub fn read(file: &Path, sources: &mut Vec<Source>) -> Result<Vec<Node>, ConfError> {
    let folder = file.parent().unwrap_or(Path::new("")).to_path_buf();
    let mut reader = Reader { folder, sources, depth: 0 };
    reader.file(file, None)
}

struct Reader<'a> {
    folder: PathBuf,
    sources: &'a mut Vec<Source>,
    depth: usize,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, from: Option<&Span>) -> Result<Vec<Node>, ConfError> {
        let name = path.to_string_lossy().into_owned();
        let refuse = |message: String| match from {
            Some(span) => span.error(message),
            None => ConfError::whole(message),
        };
        let bytes = fs::read(path)
            .map_err(|error| refuse(format!("open() \"{name}\" failed ({})", errno(&error))))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
            refuse(format!("the file is not UTF-8 at {name}:{line}"))
        })?;
        let nodes = parse(&text, &Arc::from(name.as_str()))?;
        if self.sources.iter().all(|source| source.path != name) {
            self.sources.push(Source { path: name, text });
        }
        self.expand(nodes)
    }

    fn expand(&mut self, nodes: Vec<Node>) -> Result<Vec<Node>, ConfError> {
        let mut expanded = Vec::with_capacity(nodes.len());
        for mut node in nodes {
            if node.name.text == "include" && node.block.is_none() {
                expanded.extend(self.include(&node)?);
                continue;
            }
            if let Some(inner) = node.block.take() {
                node.block = Some(self.expand(inner)?);
            }
            expanded.push(node);
        }
        Ok(expanded)
    }

    fn include(&mut self, node: &Node) -> Result<Vec<Node>, ConfError> {
        let span = &node.name.span;
        let [pattern] = &node.words[..] else {
            return Err(span.error("invalid number of arguments in \"include\" directive"));
        };
        if self.depth == MAX_DEPTH {
            return Err(span.error("too many nested includes"));
        }
        let path = self.folder.join(&pattern.text);
        let mut paths = vec![path.clone()];
        if pattern.text.contains(['*', '?', '[']) {
            // No match is no error: `include sites-enabled/*;` begins with an empty folder.
            let matches = glob::glob(&path.to_string_lossy()).map_err(|error| {
                span.error(format!("invalid include pattern \"{}\": {error}", pattern.text))
            })?;
            paths = matches.filter_map(Result::ok).collect();
            paths.sort();
        }
        self.depth += 1;
        let mut nodes = Vec::new();
        for path in paths {
            nodes.extend(self.file(&path, Some(span))?);
        }
        self.depth -= 1;
        Ok(nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn includes_stand_where_they_are_named() {
        let folder = scratch(&[
            ("nginx.conf", "a; include x/*.conf; b { include y; include none/*; }"),
            ("x/2.conf", "two;"),
            ("x/1.conf", "one; include y;"),
            ("y", "y;"),
        ]);
        let mut sources = Vec::new();
        let nodes = read(&folder.path().join("nginx.conf"), &mut sources).unwrap();
        let names: Vec<&str> = nodes.iter().map(|node| node.name.text.as_str()).collect();
        assert_eq!(names, ["a", "one", "y", "two", "b"]);
        let inner = nodes[4].block.as_ref().unwrap();
        assert_eq!(inner[0].name.text, "y");
        assert!(inner[0].name.span.to_string().ends_with("/y:1"));
        let files = sources.iter().map(|source| source.path.rsplit('/').next().unwrap());
        assert_eq!(files.collect::<Vec<_>>(), ["nginx.conf", "1.conf", "y", "2.conf"]);
    }

    #[test]
    fn a_missing_file_is_named_with_the_place_that_wants_it() {
        let folder = scratch(&[("nginx.conf", "\ninclude gone;"), ("self", "include self;")]);
        let error = read(&folder.path().join("nginx.conf"), &mut Vec::new()).unwrap_err();
        let place = folder.path().display();
        let expected = format!(
            "open() \"{place}/gone\" failed (2: No such file or directory) in {place}/nginx.conf:2"
        );
        assert_eq!(error.to_string(), expected);
        let error = read(&folder.path().join("self"), &mut Vec::new()).unwrap_err();
        assert!(error.to_string().starts_with("too many nested includes"));
    }
}
