//! `tidy`: the house rules that no other tool knows. It is a test as well, so that plain `cargo test`
//! keeps them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use xtask::workspace;

/// Crates, and what must never be among what they are built from.
const NEVER: [(&str, &str); 4] =
    [("fastcgi", "tokio"), ("http1", "tokio"), ("http2", "tokio"), ("causeway-edge", "pyo3")];

pub(crate) fn run() -> Result<ExitCode> {
    let mut complaints = source_complaints()?;
    complaints.extend(module_complaints()?);
    complaints.extend(map_complaints()?);
    complaints.extend(dependency_complaints()?);
    for complaint in &complaints {
        println!("{complaint}");
    }
    if complaints.is_empty() {
        println!("tidy");
        return Ok(ExitCode::SUCCESS);
    }
    bail!("{} complaints", complaints.len())
}

fn files_below(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)
            .with_context(|| format!("cannot read \"{}\"", folder.display()))?
        {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn shown(path: &Path) -> String {
    let root = workspace::root();
    path.strip_prefix(&root).unwrap_or(path).display().to_string()
}

/// Every source file says first what it is, and hides nothing from the tools.
fn source_complaints() -> Result<Vec<String>> {
    // Spelt in two halves, so that this file does not complain about itself.
    let ignored = concat!("#[ig", "nore");
    let allowed = [concat!("#[al", "low("), concat!("#![al", "low(")];
    // What the lint refuses everywhere may be expected in files of one name only.
    let uns = concat!("uns", "afe {");
    let mut complaints = Vec::new();
    for path in files_below(&workspace::root(), ".rs")? {
        let text = fs::read_to_string(&path)?;
        let file = shown(&path);
        if text.contains(uns) && !path.ends_with("sys.rs") {
            complaints.push(format!("{file}: {uns} outside of a sys.rs"));
        }
        if !text.starts_with("//! ") {
            complaints.push(format!("{file}:1: does not begin with \"//!\""));
        }
        for (number, line) in text.lines().enumerate() {
            let mut complain =
                |about: &str| complaints.push(format!("{file}:{}: {about}", number + 1));
            if line.ends_with([' ', '\t']) {
                complain("blanks at the end of the line");
            }
            if line.contains(ignored) {
                complain("a test that never runs");
            }
            if allowed.iter().any(|allow| line.contains(allow)) {
                complain(
                    "a lint is switched off for good: expect(.., reason = ..) is noticed when it is over",
                );
            }
        }
    }
    Ok(complaints)
}

/// Every directive family of the edge is in the registry, and some test names it: its own unit tests,
/// or a file of `tests/`.
fn module_complaints() -> Result<Vec<String>> {
    let root = workspace::root();
    let modules = root.join("crates/edge/src/modules");
    let registry = fs::read_to_string(modules.join("mod.rs"))?;
    let mut tests = String::new();
    for folder in ["tests", "crates/edge/tests"] {
        if root.join(folder).is_dir() {
            for path in files_below(&root.join(folder), "")? {
                tests.push_str(&path.display().to_string());
                tests.push_str(&String::from_utf8_lossy(&fs::read(&path)?));
            }
        }
    }
    let mut complaints = Vec::new();
    for entry in fs::read_dir(&modules)? {
        let path = entry?.path();
        let family = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if family == "mod" {
            continue;
        }
        // A folder declares in its `mod.rs`; a file in the registry itself.
        if !registry.contains(&format!("mod {family};")) {
            complaints.push(format!("{}: not in modules/mod.rs", shown(&path)));
        }
        let sources = if path.is_dir() { files_below(&path, ".rs")? } else { vec![path.clone()] };
        let own = sources.iter().any(|source| {
            fs::read_to_string(source).is_ok_and(|text| text.contains("#[cfg(test)]"))
        });
        if !own && !tests.contains(&family) {
            complaints.push(format!("{}: no test names {family}", shown(&path)));
        }
    }
    Ok(complaints)
}

/// What ARCHITECTURE.md points at is there. A path is what stands in backquotes and begins with one of
/// the workspace's folders.
fn map_complaints() -> Result<Vec<String>> {
    let root = workspace::root();
    let map = fs::read_to_string(root.join("ARCHITECTURE.md"))
        .context("cannot read \"ARCHITECTURE.md\"")?;
    let places = map.split('`').skip(1).step_by(2);
    let folders = ["crates/", "tests/", "xtask/", "apps/", "deploy/"];
    let paths = places.filter(|place| folders.iter().any(|folder| place.starts_with(folder)));
    let paths = paths.filter(|place| !place.contains(['{', '*', '<', ' ']));
    let missing = paths.filter(|place| !root.join(place).exists());
    Ok(missing.map(|place| format!("ARCHITECTURE.md: there is no \"{place}\"")).collect())
}

/// The separations the design rests on, as cargo sees them.
fn dependency_complaints() -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    for (package, never) in NEVER {
        let tree = dependencies(package)?;
        if tree.lines().any(|line| line.split(' ').next() == Some(never)) {
            complaints.push(format!("{package}: is built from {never}, and must not be"));
        }
    }
    // The gateway shares the app-host's command line, and with it the bindings; but no libpython may be
    // linked to the program.
    let program = workspace::Profile::Debug.folder().join("causeway-gateway");
    if program.is_file() {
        let libraries = Command::new("ldd").arg(&program).output().context("cannot start ldd")?;
        if String::from_utf8_lossy(&libraries.stdout).contains("libpython") {
            complaints.push("causeway-gateway: is linked to libpython, and must not be".to_owned());
        }
    }
    Ok(complaints)
}

fn dependencies(package: &str) -> Result<String> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace::root());
    let arguments =
        ["tree", "--package", package, "--edges", "normal", "--prefix", "none", "--offline"];
    let output = cargo.args(arguments).output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("cargo tree of {package}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tidy() {
        let complaints =
            [source_complaints(), module_complaints(), map_complaints(), dependency_complaints()];
        let complaints: Vec<String> =
            complaints.into_iter().flat_map(|found| found.unwrap()).collect();
        assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    }
}
