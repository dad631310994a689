//! A comparison, for people and for machines.

use std::fmt::Write as _;

use serde_json::{Value, json as object};

use super::{Comparison, Difference, Finding, Side};

const WRITTEN: &str = "a string can be written to";

pub fn human(comparison: &Comparison) -> String {
    let (left, right) = (&comparison.left, &comparison.right);
    let mut text = String::new();
    for difference in &comparison.differences {
        differs(&mut text, difference, comparison);
    }
    for side in [left, right] {
        for hop in &side.ended {
            writeln!(text, "{}: hop \"{hop}\" ended meanwhile", side.name).expect(WRITTEN);
        }
    }
    if !comparison.used.is_empty() {
        text.push_str("masked:\n");
    }
    for (mask, times) in &comparison.used {
        writeln!(text, "  {times:>4} x {mask}: {}", mask.because).expect(WRITTEN);
    }
    for mask in &comparison.unused {
        writeln!(text, "  not needed: {mask}: {}", mask.because).expect(WRITTEN);
    }
    let masked: usize = comparison.used.iter().map(|(_, times)| times).sum();
    for side in [left, right] {
        writeln!(text, "{}: {}", side.name, side.hops.join(", ")).expect(WRITTEN);
    }
    writeln!(
        text,
        "{} requests, {} of them to the application: {} differ, {masked} differences are masked",
        comparison.requests,
        comparison.calls,
        comparison.differences.len(),
    )
    .expect(WRITTEN);
    text
}

fn differs(text: &mut String, difference: &Difference, comparison: &Comparison) {
    let why = difference.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let (file, line) = (difference.file.display(), difference.line);
    writeln!(text, "DIFFERS {file}:{line} {}{why}", difference.request).expect(WRITTEN);
    let sides = [&comparison.left.name, &comparison.right.name];
    let width = sides.map(|name| name.chars().count()).into_iter().max().unwrap_or(0);
    for Finding { place, left, right } in &difference.findings {
        writeln!(text, "  {place}").expect(WRITTEN);
        for (name, value) in sides.into_iter().zip([left, right]) {
            let value = value.as_deref().unwrap_or("(nothing)");
            writeln!(text, "    {name:<width$}  {value}").expect(WRITTEN);
        }
    }
    for (name, lines) in sides.into_iter().zip([&difference.left, &difference.right]) {
        writeln!(text, "  log of {name}:").expect(WRITTEN);
        for line in lines {
            writeln!(text, "    | {line}").expect(WRITTEN);
        }
    }
}

pub fn json(comparison: &Comparison) -> Value {
    let side = |side: &Side| object!({ "name": side.name, "hops": side.hops, "ended": side.ended });
    let findings = |difference: &Difference| -> Vec<Value> {
        let findings = difference.findings.iter().map(|finding| {
            object!({ "place": finding.place.to_string(), "left": finding.left, "right": finding.right })
        });
        findings.collect()
    };
    let differences = comparison.differences.iter().map(|difference| {
        object!({
            "file": difference.file.display().to_string(),
            "line": difference.line,
            "why": difference.why,
            "request": difference.request,
            "findings": findings(difference),
            "log": { "left": difference.left, "right": difference.right },
        })
    });
    let used = comparison.used.iter().map(|(mask, times)| {
        object!({ "mask": mask.to_string(), "because": mask.because, "times": times })
    });
    let unused = comparison.unused.iter().map(ToString::to_string);
    object!({
        "passed": comparison.passed(),
        "left": side(&comparison.left),
        "right": side(&comparison.right),
        "requests": comparison.requests,
        "calls": comparison.calls,
        "differences": differences.collect::<Vec<_>>(),
        "masks": used.collect::<Vec<_>>(),
        "unused": unused.collect::<Vec<_>>(),
    })
}
