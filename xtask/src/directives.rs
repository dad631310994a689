//! `directives [--check]`: `docs/directives.md`, what of nginx's configuration is taken and what is not,
//! from the edge's registry. What `docs/edge.md` lists as read without effect is marked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use xtask::workspace;

#[derive(Args)]
pub(crate) struct Options {
    /// Do not write the page; fail when it is not what would be written
    #[arg(long)]
    check: bool,
}

const PAGE: &str = "docs/directives.md";

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if options.check {
        check()?;
    } else {
        fs::write(workspace::root().join(PAGE), page()?)?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn check() -> Result<()> {
    let there = fs::read_to_string(workspace::root().join(PAGE)).unwrap_or_default();
    ensure!(there == page()?, "{PAGE} is not up to date: cargo xtask directives");
    Ok(())
}

fn page() -> Result<String> {
    let mut registry = Command::new("cargo");
    registry.current_dir(workspace::root()).stderr(Stdio::inherit());
    registry.args(["run", "--quiet", "-p", "causeway-edge", "--example", "registry"]);
    let output = registry.output().context("cannot start cargo")?;
    ensure!(output.status.success(), "the edge's registry can not be read");
    let registry = Registry::read(&String::from_utf8(output.stdout)?)?;
    let differences = fs::read_to_string(workspace::root().join("docs/edge.md"))?;
    registry.page(&without_effect(&differences))
}

/// What the edge and nginx have, as the edge's example tells it.
#[derive(Default)]
struct Registry {
    families: BTreeMap<String, Family>,
    /// Names of nginx's, by its modules, in nginx's order of them.
    nginx: Vec<(String, Lacking)>,
}

#[derive(Default)]
struct Family {
    /// Name, blocks, words. A name may stand twice, in different blocks.
    directives: Vec<(String, String, String)>,
    variables: Vec<String>,
}

#[derive(Default)]
struct Lacking {
    directives: Vec<String>,
    variables: Vec<String>,
}

impl Registry {
    fn read(text: &str) -> Result<Registry> {
        let mut registry = Registry::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split('\t').collect();
            match words[..] {
                ["directive", family, name, blocks, words] => {
                    let row = (name.to_owned(), blocks.to_owned(), words.to_owned());
                    registry.families.entry(family.to_owned()).or_default().directives.push(row);
                }
                ["variable", family, name] => {
                    let family = registry.families.entry(family.to_owned()).or_default();
                    family.variables.push(name.to_owned());
                }
                ["nginx", module, kind, name] => {
                    if registry.nginx.last().is_none_or(|(last, _)| last != module) {
                        registry.nginx.push((module.to_owned(), Lacking::default()));
                    }
                    let (_, lacking) = registry.nginx.last_mut().context("it was just added")?;
                    let directive = kind == "directive";
                    let names =
                        if directive { &mut lacking.directives } else { &mut lacking.variables };
                    names.push(name.to_owned());
                }
                _ => bail!("the registry says \"{line}\""),
            }
        }
        Ok(registry)
    }

    fn directives(&self) -> BTreeSet<&str> {
        let families = self.families.values();
        families.flat_map(|family| family.directives.iter().map(|(name, ..)| &name[..])).collect()
    }

    fn variables(&self) -> BTreeSet<&str> {
        self.families.values().flat_map(|family| family.variables.iter().map(|v| &v[..])).collect()
    }

    fn page(&self, without_effect: &[String]) -> Result<String> {
        let taken = self.directives();
        for pattern in without_effect {
            let is_there = taken.iter().any(|name| fits(pattern, name));
            ensure!(is_there, "docs/edge.md says \"{pattern}\" is read; no family takes it");
        }
        let idle = |name: &str| without_effect.iter().any(|pattern| fits(pattern, name));
        let nginx: BTreeSet<&str> =
            self.nginx.iter().flat_map(|(_, has)| has.directives.iter().map(|d| &d[..])).collect();
        let own: Vec<&str> = taken.difference(&nginx).copied().collect();
        let both = taken.intersection(&nginx).count();
        let mut page = format!(
            "# Directives and variables\n\n\
             Written by `cargo xtask directives` from the edge's registry; what is otherwise than in nginx is in\n\
             `edge.md`. The edge takes {both} of nginx's {} directives and {} of its own: {}. A word is what\n\
             follows a directive's name; `{{}}` is a block.\n\n## What the edge takes\n",
            nginx.len(),
            own.len(),
            code(&own),
        );
        for (name, family) in &self.families {
            family.write(name, idle, &mut page)?;
        }
        page.push_str(
            "\n## What nginx has and the edge has not\n\n\
             | module | directives | variables |\n| --- | --- | --- |\n",
        );
        let variables = self.variables();
        for (module, has) in &self.nginx {
            let lacking = |names: &[String], here: &BTreeSet<&str>| -> Vec<String> {
                names.iter().filter(|name| !here.contains(name.as_str())).cloned().collect()
            };
            let directives = lacking(&has.directives, &taken);
            let lacks_variables = lacking(&has.variables, &variables);
            let all = directives.len() == has.directives.len();
            let all = if all && !directives.is_empty() { " (all of it)" } else { "" };
            if !directives.is_empty() || !lacks_variables.is_empty() {
                let (directives, variables) = (code(&directives), dollars(&lacks_variables));
                writeln!(page, "| {module}{all} | {directives} | {variables} |")?;
            }
        }
        Ok(page)
    }
}

impl Family {
    fn write(&self, name: &str, idle: impl Fn(&str) -> bool, page: &mut String) -> Result<()> {
        write!(page, "\n### {name}\n\n")?;
        if !self.directives.is_empty() {
            page.push_str("| directive | where | words |\n| --- | --- | --- |\n");
        }
        for (name, blocks, words) in &self.directives {
            let idle = if idle(name) { " (read, and without effect)" } else { "" };
            writeln!(page, "| `{name}`{idle} | {blocks} | {words} |")?;
        }
        if !self.variables.is_empty() {
            let gap = if self.directives.is_empty() { "" } else { "\n" };
            writeln!(page, "{gap}Variables: {}", dollars(&self.variables))?;
        }
        Ok(())
    }
}

/// The names in the last table of `docs/edge.md`: rows whose first cell has nothing but names in it. `*`
/// stands for the rest of a name.
fn without_effect(differences: &str) -> Vec<String> {
    let (_, table) = differences.split_once("## Read, and without effect").unwrap_or_default();
    let cells = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let names = |cell: &str| -> Option<Vec<String>> {
        let names = cell.split(", ").map(|name| name.strip_prefix('`')?.strip_suffix('`'));
        names.map(|name| name.filter(|name| !name.contains('`')).map(str::to_owned)).collect()
    };
    cells.filter_map(names).flatten().collect()
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

fn code(names: &[impl AsRef<str>]) -> String {
    names.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// A name that ends in `_` stands for all it begins.
fn dollars(names: &[impl AsRef<str>]) -> String {
    let shown = |name: &str| {
        let rest = if name.ends_with('_') { "*" } else { "" };
        format!("`${name}{rest}`")
    };
    names.iter().map(|name| shown(name.as_ref())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTRY: &str = "directive\taccess\tallow\thttp, server\t1\n\
                            directive\tmain\tlock_file\tmain\t1\n\
                            variable\tthe request\thttp_\n\
                            nginx\tcore\tdirective\tlock_file\n\
                            nginx\tcore\tvariable\thttp_\n\
                            nginx\tgeo\tdirective\tgeo\n";

    #[test]
    fn the_page_has_what_is_taken_and_what_is_not() {
        let registry = Registry::read(REGISTRY).unwrap();
        let page = registry.page(&["lock_*".to_owned()]).unwrap();
        assert!(page.contains("takes 1 of nginx's 2 directives and 1 of its own: `allow`"));
        assert!(page.contains("| `lock_file` (read, and without effect) | main | 1 |"));
        assert!(page.contains("Variables: `$http_*`"));
        assert!(page.ends_with("| geo (all of it) | `geo` |  |\n"), "{page}");
        assert!(registry.page(&["gone".to_owned()]).is_err());
        assert!(Registry::read("nonsense\n").is_err());
    }

    #[test]
    fn a_row_with_more_than_names_is_no_mark() {
        let text = "| `no` | x |\n## Read, and without effect\n| directive | because |\n| --- | --- |\n\
                    | `a`, `b_*` | x |\n| `c` in `d` | y |\n";
        assert_eq!(without_effect(text), ["a", "b_*"]);
    }
}
