//! A long step, shown while it runs: a spinner in a terminal, one line otherwise, nothing in tests.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Whether somebody is looking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    Shown,
    #[default]
    Quiet,
}

/// One step that is under way; dropping it removes its line.
#[derive(Debug)]
pub struct Step {
    bar: ProgressBar,
    what: String,
}

impl Progress {
    pub fn step(self, what: &str) -> Step {
        let bar = match self {
            Progress::Shown if std::io::stderr().is_terminal() => {
                let style =
                    ProgressStyle::with_template("{spinner:.cyan} {wide_msg} {elapsed:.dim}");
                let bar = ProgressBar::new_spinner();
                bar.set_style(style.expect("the template is well formed"));
                bar.enable_steady_tick(Duration::from_millis(100));
                bar
            }
            Progress::Shown => {
                eprintln!("{what} ...");
                ProgressBar::hidden()
            }
            Progress::Quiet => ProgressBar::hidden(),
        };
        bar.set_message(what.to_owned());
        Step { bar, what: what.to_owned() }
    }
}

impl Step {
    /// What of it is being done just now.
    pub fn detail(&self, detail: &str) {
        self.bar.set_message(format!("{}: {detail}", self.what));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
