//! JUnit's XML: a suite for each file, a case for each entry.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::title;
use crate::outcome::{Outcome, Verdict};

pub fn junit(outcome: &Outcome) -> String {
    let mut report = Report::new("causeway suite");
    report.set_time(outcome.duration);
    for file in &outcome.files {
        let name = file.path.display().to_string();
        let mut suite = TestSuite::new(name.clone());
        suite.set_time(file.duration);
        for entry in &file.entries {
            let status = match entry.verdict {
                Verdict::Passed => TestCaseStatus::success(),
                Verdict::Skipped => TestCaseStatus::skipped(),
                Verdict::Explained => {
                    let mut status = TestCaseStatus::skipped();
                    status.set_message(file.because.clone().unwrap_or_default());
                    status
                }
                Verdict::NotReached => {
                    let mut status = TestCaseStatus::skipped();
                    status.set_message("an entry before it failed");
                    status
                }
                Verdict::Failed => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    let lines = entry.failures.iter().map(|failure| {
                        format!(
                            "{}:{}: {}\n  expected: {}\n  actual:   {}",
                            failure.file.display(),
                            failure.line,
                            failure.assert,
                            failure.expected,
                            failure.actual
                        )
                    });
                    let lines: Vec<_> = lines.collect();
                    let first = lines.first().and_then(|text| text.lines().next());
                    status.set_message(first.unwrap_or_default());
                    status.set_type("expectation");
                    status.set_description(lines.join("\n"));
                    status
                }
            };
            let case = format!("{}:{} {}", name, entry.line, title(entry));
            let mut case = TestCase::new(case, status);
            case.set_classname(name.clone());
            case.set_assertions(entry.checks);
            case.set_time(entry.duration);
            if !entry.log.is_empty() {
                case.set_system_out(entry.log.join("\n"));
            }
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    report.to_string().expect("names and texts were made XML's by the library")
}
