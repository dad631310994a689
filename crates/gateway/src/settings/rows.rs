//! One row per setting. Everything that is said about a setting, anywhere, is said from its row.
//!
//! The sections are those of gunicorn's manual, in its order.

mod control;
mod debugging;
mod forwarding;
mod hooks;
mod http2;
mod logging;
mod mechanics;
mod naming;
mod ours;
mod refused;
mod security;
mod server_socket;
mod ssl;
mod workers;

use std::{path::PathBuf, time::Duration};

use serde_json::Value;

use super::{
    Address, Mode, Settings, address::address, folder::absolute, in_python, readers as read,
};

pub(super) struct Row {
    /// gunicorn's name of it in a configuration file.
    pub name: &'static str,
    /// As typed, the short one first. None: only a configuration file can say it.
    pub flags: &'static [&'static str],
    pub takes: Takes,
    /// The variable that speaks where no flag does, and what its value means as a flag's.
    pub environment: Option<(&'static str, AsFlag)>,
    /// As it would be typed. Empty: unset.
    pub default: &'static str,
    /// What Python has in place of an unset one, where its kind does not tell.
    pub unset: Option<fn(&Settings) -> Value>,
    /// What it has in place of what was typed.
    pub typed: fn(&str) -> Value,
    /// What to do without it: only its default is taken. Empty: it is honoured.
    pub refused: &'static str,
    /// Why it is taken and changes nothing. Empty: it does.
    pub idle: &'static str,
    pub help: &'static str,
    /// Gets every value that was given; never called for an unset setting.
    pub read: fn(&mut Settings, &[String]) -> Result<(), String>,
}

type AsFlag = fn(&str) -> String;

impl Row {
    pub(super) fn refusal(&self) -> String {
        format!("gunicorn has this, causeway-gateway has not: {}", self.refused)
    }

    /// What it means, in a line.
    pub(super) fn about(&self) -> String {
        match self.idle {
            "" => self.help.to_owned(),
            reason => format!("Without effect: {reason}"),
        }
    }

    /// Whether these values, which somebody gave, say no more than nobody.
    pub(super) fn is_default(&self, values: &[String]) -> bool {
        match values.last().map(String::as_str) {
            None | Some("") => true,
            Some(value) => value == self.default,
        }
    }
}

/// The name is what `--help` calls the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    One(&'static str),
    /// What is none is an error of usage, as it is to gunicorn's command line.
    Number(&'static str),
    /// One text, with commas in it.
    List(&'static str),
    /// What the bare flag means.
    Optional(&'static str, &'static str),
    /// Repeatable; a stronger source replaces all of them.
    Many(&'static str),
    /// On or off.
    Nothing,
    /// The flag turns off what is on.
    Inverted,
    /// A dictionary, in a configuration file only.
    Json,
    /// A function, in a configuration file only, and how many arguments it may take.
    Hook(&'static [u32]),
}

/// What most rows have in common.
const ROW: Row = Row {
    name: "",
    flags: &[],
    takes: Takes::Nothing,
    environment: None,
    default: "",
    unset: None,
    typed: |text| text.into(),
    refused: "",
    idle: "",
    help: "",
    read: |_, _| Ok(()),
};

pub(super) struct Section {
    pub title: &'static str,
    pub rows: &'static [Row],
}

/// In the order of gunicorn's manual.
pub(super) const SECTIONS: &[Section] = &[
    Section { title: "Server Socket", rows: server_socket::ROWS },
    Section { title: "Worker Processes", rows: workers::ROWS },
    Section { title: "Security", rows: security::ROWS },
    Section { title: "Debugging", rows: debugging::ROWS },
    Section { title: "Server Mechanics", rows: mechanics::ROWS },
    Section { title: "Proxies and HTTP", rows: forwarding::ROWS },
    Section { title: "Logging", rows: logging::ROWS },
    Section { title: "Process Naming", rows: naming::ROWS },
    Section { title: "SSL", rows: ssl::ROWS },
    Section { title: "HTTP/2", rows: http2::ROWS },
    Section { title: "Control", rows: control::ROWS },
    Section { title: "Server Hooks", rows: hooks::ROWS },
    Section { title: "Beyond gunicorn", rows: ours::ROWS },
    Section { title: "Refused", rows: refused::ROWS },
];

pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    SECTIONS.iter().flat_map(|section| section.rows)
}

pub(super) fn beyond_gunicorn(row: &Row) -> bool {
    ours::ROWS.iter().any(|own| own.name == row.name)
}

fn last(values: &[String]) -> &str {
    values.last().map_or("", String::as_str)
}

/// gunicorn takes an empty name of a file as none.
fn file(values: &[String]) -> Option<PathBuf> {
    Some(last(values)).filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn text(values: &[String]) -> Option<String> {
    Some(last(values)).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn as_it_is(value: &str) -> String {
    value.to_owned()
}

/// gunicorn's zero for "never", "none", "off".
fn unless_zero<N: PartialEq + Default>(value: N) -> Option<N> {
    (value != N::default()).then_some(value)
}

use Takes::{Hook, Inverted, Json, List, Many, Nothing, Number, One, Optional};
