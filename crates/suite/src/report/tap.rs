//! TAP version 14: a line for each entry, and for what failed a YAML block that says where.

use std::fmt::Write as _;

use super::title;
use crate::outcome::{EntryOutcome, Outcome, Verdict};

pub fn tap(outcome: &Outcome) -> String {
    let mut text = format!("TAP version 14\n1..{}\n", outcome.entries().count());
    let entries =
        outcome.files.iter().flat_map(|file| file.entries.iter().map(move |entry| (file, entry)));
    for (number, (file, entry)) in entries.enumerate() {
        let ok = match entry.verdict {
            Verdict::Failed | Verdict::Explained => "not ok",
            _ => "ok",
        };
        let name = format!("{}:{} {}", file.path.display(), entry.line, title(entry));
        // A `#` begins a directive.
        let name = name.replace('\\', "\\\\").replace('#', "\\#");
        let directive = match entry.verdict {
            Verdict::Skipped => " # SKIP its own options say so".to_owned(),
            Verdict::NotReached => " # SKIP an entry before it failed".to_owned(),
            // What fails and is not counted.
            Verdict::Explained => {
                format!(" # TODO {}", file.because.as_deref().unwrap_or_default())
            }
            Verdict::Passed | Verdict::Failed => String::new(),
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
    if !entry.log.is_empty() {
        text.push_str("  log:\n");
        for said in &entry.log {
            writeln!(text, "    - {}", quoted(said)).expect(WRITTEN);
        }
    }
    text.push_str("  ...\n");
}
