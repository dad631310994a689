//! The page of a matrix, in Markdown: what passed where, what is different and why, and the versions it
//! was found with.

use std::collections::{BTreeMap, BTreeSet};

use suite::Verdict;

use crate::command::matrix::Cell;

pub(crate) fn page(cells: &[Cell]) -> String {
    let mut applications: Vec<&str> = Vec::new();
    let mut rows: Vec<(&str, Vec<&Cell>)> = Vec::new();
    for cell in cells {
        let application = cell.topology.application.name.as_str();
        if !applications.contains(&application) {
            applications.push(application);
        }
        match rows.iter_mut().find(|(name, _)| *name == cell.topology.name) {
            Some((_, row)) => row.push(cell),
            None => rows.push((&cell.topology.name, vec![cell])),
        }
    }
    let mut lines = vec![
        "# The same applications on every deployment".to_owned(),
        String::new(),
        "Made by `cargo xtask matrix --page docs/matrix.md`: for each topology and application the requests of".to_owned(),
        "its suite that were answered as expected, then those whose difference is explained below (what comes".to_owned(),
        "after such a one in its file is not tried).".to_owned(),
        String::new(),
        format!("| topology | hops | {} | seconds |", applications.join(" | ")),
        format!("| --- | --- |{} --- |", " --- |".repeat(applications.len())),
    ];
    for (name, row) in &rows {
        let results = applications.iter().map(|application| {
            let mut of = row.iter().filter(|cell| cell.topology.application.name == *application);
            of.next().map_or_else(String::new, |cell| result(cell))
        });
        let seconds = row.iter().map(|cell| format!("{:.0}", cell.took.as_secs_f64()));
        lines.push(format!(
            "| `{name}`: {} | {} | {} | {} |",
            row[0].topology.about,
            hops(row[0]),
            results.collect::<Vec<_>>().join(" | "),
            seconds.collect::<Vec<_>>().join(", ")
        ));
    }
    lines.extend(differences(cells));
    lines.extend(versions(cells));
    lines.join("\n") + "\n"
}

fn result(cell: &Cell) -> String {
    match &cell.tested {
        Err(_) => "**does not start**".to_owned(),
        Ok(tested) => {
            let count = |verdict| tested.outcome.count(verdict);
            let mut parts = vec![count(Verdict::Passed).to_string()];
            if let explained @ 1.. = count(Verdict::Explained) {
                parts.push(format!("{explained} explained"));
            }
            if let wrong @ 1.. = count(Verdict::Failed) {
                parts.push(format!("**{wrong} wrong**"));
            }
            parts.join(", ")
        }
    }
}

fn hops(cell: &Cell) -> String {
    let hops = cell.topology.hops.iter().map(|hop| {
        let kind = hop.kind.name();
        if hop.count > 1 { format!("{} × {kind}", hop.count) } else { kind.to_owned() }
    });
    hops.collect::<Vec<_>>().join(" → ")
}

fn differences(cells: &[Cell]) -> Vec<String> {
    let mut known: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for cell in cells {
        let Ok(tested) = &cell.tested else { continue };
        for file in &tested.outcome.files {
            let Some(because) = &file.because else { continue };
            let name = file.path.file_name().unwrap_or_default().to_string_lossy();
            let line = format!("{} `{name}`", cell.topology.application.name);
            let entry = format!("`{}`: {line}", cell.topology.name);
            known.entry(because).or_default().insert(entry);
        }
    }
    let mut lines = vec![String::new(), "## Differences, and why".to_owned(), String::new()];
    for (because, whom) in known {
        let whom = whom.into_iter().collect::<Vec<_>>().join("; ");
        lines.push(format!("- {because}: {whom}."));
    }
    lines
}

fn versions(cells: &[Cell]) -> Vec<String> {
    let tested = cells.iter().filter_map(|cell| cell.tested.as_ref().ok());
    let versions: BTreeSet<String> =
        tested.flat_map(|tested| &tested.versions).map(ToString::to_string).collect();
    let mut lines = vec![String::new(), "## Versions".to_owned(), String::new()];
    lines.extend(versions.into_iter().map(|version| format!("- {version}")));
    lines
}
