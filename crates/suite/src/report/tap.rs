//! TAP version 14: a line for each entry, and for what failed a YAML block that says where.

use std::fmt::Write as _;

use super::title;
use crate::outcome::{EntryOutcome, Outcome, Verdict};

pub fn tap(outcome: &Outcome) -> String {
    let mut text = format!("TAP version 14\n1..{}\n", outcome.entries().count());
    let entries = outcome
        .files
        .iter()
        .flat_map(|file| file.entries.iter().map(move |entry| (&file.path, entry)));
    for (number, (path, entry)) in entries.enumerate() {
        let ok = if entry.verdict == Verdict::Failed { "not ok" } else { "ok" };
        let name = format!("{}:{} {}", path.display(), entry.line, title(entry));
        // A `#` begins a directive.
        let name = name.replace('\\', "\\\\").replace('#', "\\#");
        let directive = match entry.verdict {
            Verdict::Skipped => " # SKIP its own options say so",
            Verdict::NotReached => " # SKIP an entry before it failed",
            Verdict::Passed | Verdict::Failed => "",
        };
        writeln!(text, "{ok} {} - {name}{directive}", number + 1).expect(WRITTEN);
        if entry.verdict == Verdict::Failed {
            diagnostics(&mut text, entry);
        }
    }
    text
}

const WRITTEN: &str = "a string can be written to";

fn diagnostics(text: &mut String, entry: &EntryOutcome) {
    // JSON strings are YAML's, too.
    let quoted = |text: &str| serde_json::Value::String(text.to_owned()).to_string();
    text.push_str("  ---\n  failures:\n");
    for failure in &entry.failures {
        let at = format!("{}:{}", failure.file.display(), failure.line);
        writeln!(text, "    - at: {}", quoted(&at)).expect(WRITTEN);
        writeln!(text, "      assert: {}", quoted(&failure.assert)).expect(WRITTEN);
        writeln!(text, "      expected: {}", quoted(&failure.expected)).expect(WRITTEN);
        writeln!(text, "      actual: {}", quoted(&failure.actual)).expect(WRITTEN);
    }
    text.push_str("  ...\n");
}
