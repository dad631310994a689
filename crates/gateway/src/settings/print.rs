//! `--print-config`, in gunicorn's own words: `name = value`, sorted. So that `diff` tells what a
//! deployment would get otherwise than from gunicorn, and nothing else: what gunicorn has not is
//! printed only where somebody decided it.
//!
//! `--explain-config` is the same with all of them, and with a comment behind each setting that was
//! decided.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    Settled, Source, in_python,
    rows::{beyond_gunicorn, rows},
};

impl Settled {
    pub fn print(&self) -> String {
        let explained =
            self.chosen.iter().any(|row| row.name == "explain_config" && !row.values.is_empty());
        let mut lines = BTreeMap::new();
        for (row, chosen) in rows().zip(&self.chosen) {
            if !explained && chosen.source == Source::Default && beyond_gunicorn(row) {
                continue;
            }
            let comment = match &chosen.source {
                source if explained && *source != Source::Default => format!("  # {source}"),
                _ => String::new(),
            };
            let value = in_python::printed(row, chosen, &self.settings);
            lines.insert(row.name, format!("{value}{comment}"));
        }
        let typed = self.typed_application.as_deref().unwrap_or("gunicorn");
        lines.insert("default_proc_name", typed.to_owned());
        let file = self.file.as_deref().unwrap_or("./gunicorn.conf.py");
        lines.insert("config", file.to_owned());
        lines.insert("wsgi_app", self.named_in_file.clone().unwrap_or_else(|| "None".to_owned()));
        let width = lines.keys().map(|name| name.len()).max().unwrap_or(0);
        let mut text = String::new();
        for (name, value) in lines {
            writeln!(text, "{name:width$} = {value}").expect("a String takes everything");
        }
        text
    }
}
