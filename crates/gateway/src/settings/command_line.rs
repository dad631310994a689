//! Rows to a command line, and back: what was typed, by row.

use std::{collections::HashMap, ffi::OsString};

use clap::{Arg, ArgAction, Command, ValueHint, error::ErrorKind};

use super::{
    SettingsError,
    rows::{Row, SECTIONS, Takes, rows},
};

/// What one command line says.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub application: Option<String>,
    /// `-c`.
    pub config: Option<String>,
    /// By row name; only what was typed.
    values: HashMap<&'static str, Vec<String>>,
}

pub(super) enum Parsed {
    Given(Given),
    Print(String),
}

impl Given {
    pub(super) fn values(&self, row: &Row) -> Option<&Vec<String>> {
        self.values.get(row.name)
    }

    pub(super) fn last(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.last().map(String::as_str)
    }
}

/// `arguments` begin with the program's name.
pub(super) fn parse(arguments: Vec<OsString>) -> Result<Parsed, SettingsError> {
    let matches = match command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            return Ok(Parsed::Print(error.to_string()));
        }
        Err(error) => return Err(SettingsError::Usage(error.to_string())),
    };
    if matches.get_flag("version") {
        let version = env!("CARGO_PKG_VERSION");
        return Ok(Parsed::Print(format!("causeway-gateway (version {version})\n")));
    }
    let last = |name: &str| matches.get_many::<String>(name)?.next_back().cloned();
    let mut given =
        Given { application: last("application"), config: last("config"), ..Given::default() };
    for row in rows().filter(|row| !row.flags.is_empty()) {
        let typed = |text: &str| matches.get_flag(row.name).then(|| vec![text.to_owned()]);
        let values = match row.takes {
            Takes::Nothing => typed("on"),
            Takes::Inverted => typed("off"),
            Takes::One(_)
            | Takes::Number(_)
            | Takes::List(_)
            | Takes::Optional(..)
            | Takes::Many(_) => {
                matches.get_many::<String>(row.name).map(|values| values.cloned().collect())
            }
            Takes::Json | Takes::Hook(_) => None,
        };
        if let Some(values) = values {
            given.values.insert(row.name, values);
        }
    }
    Ok(Parsed::Given(given))
}

/// What clap, the manual page and the completions of shells are made of.
pub fn command() -> Command {
    let mut command = Command::new("causeway-gateway")
        .about("Keeps workers of a WSGI application alive and answers HTTP with them, as gunicorn does")
        .override_usage("causeway-gateway [OPTIONS] MODULE:CALLABLE")
        .disable_version_flag(true)
        // argparse takes the beginning of a flag for the flag.
        .infer_long_args(true)
        .arg(
            Arg::new("application")
                .value_name("MODULE:CALLABLE")
                .help("The application [default callable: application]"),
        )
        .arg(
            Arg::new("version")
                .short('v')
                .long("version")
                .action(ArgAction::SetTrue)
                .help("Print the version"),
        )
        .arg(
            Arg::new("config")
                .short('c')
                .long("config")
                .value_name("FILE")
                .value_hint(ValueHint::FilePath)
                .action(ArgAction::Append)
                .help("A Python file of settings, or python:MODULE [default: ./gunicorn.conf.py]"),
        );
    for section in SECTIONS {
        command = command.next_help_heading(section.title);
        for row in section.rows.iter().filter(|row| !row.flags.is_empty()) {
            command = command.arg(argument(row));
        }
    }
    command
}

fn argument(row: &'static Row) -> Arg {
    let mut argument = Arg::new(row.name).help(help(row)).hide(!row.refused.is_empty());
    for flag in row.flags {
        argument = match flag.strip_prefix("--") {
            Some(long) if argument.get_long().is_none() => argument.long(long),
            Some(long) if row.refused.is_empty() => argument.visible_alias(long),
            Some(long) => argument.alias(long),
            None => argument.short(flag[1..].chars().next().expect("a short flag has a letter")),
        };
    }
    match row.takes {
        // Said twice, it says no more than once.
        Takes::Nothing | Takes::Inverted | Takes::Json | Takes::Hook(_) => {
            argument.action(ArgAction::SetTrue).overrides_with(row.name)
        }
        Takes::Optional(name, bare) => argument
            .value_name(name)
            .action(ArgAction::Append)
            .num_args(0..=1)
            .default_missing_value(bare),
        Takes::One(name) | Takes::Number(name) | Takes::List(name) | Takes::Many(name) => argument
            .value_name(name)
            .value_hint(hint(name))
            .action(ArgAction::Append)
            // The reader of each knows whether it may be negative.
            .allow_negative_numbers(true)
            .num_args(1),
    }
}

/// What a shell offers for it.
fn hint(value_name: &str) -> ValueHint {
    match value_name {
        "FILE" | "PATH" => ValueHint::FilePath,
        "FOLDER" => ValueHint::DirPath,
        "PROGRAM" => ValueHint::CommandName,
        "USER" => ValueHint::Username,
        _ => ValueHint::Unknown,
    }
}

fn help(row: &Row) -> String {
    let default = match row.default {
        "" => String::new(),
        default => format!(" [default: {default}]"),
    };
    let variable = match row.environment {
        None => String::new(),
        Some((variable, _)) => format!(" [env: {variable}]"),
    };
    format!("{}{default}{variable}", row.about())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &[&str]) -> Result<Parsed, SettingsError> {
        let program = ["causeway-gateway"].iter();
        parse(program.chain(words).map(OsString::from).collect())
    }

    #[test]
    fn no_two_flags_collide() {
        command().debug_assert();
    }

    #[test]
    fn help_names_every_flag_that_is_honoured() {
        let Ok(Parsed::Print(help)) = parse_words(&["--help"]) else { panic!("help is printed") };
        for row in rows() {
            for flag in row.flags {
                assert_eq!(help.contains(flag), row.refused.is_empty(), "{flag}");
            }
        }
        assert!(help.contains("Server Socket:") && !help.contains("Refused:"), "{help}");
    }

    #[track_caller]
    fn given(words: &[&str]) -> Given {
        match parse_words(words) {
            Ok(Parsed::Given(given)) => given,
            Ok(Parsed::Print(text)) => panic!("{text}"),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn flags_are_read_as_argparse_reads_them() {
        let given = given(&[
            "-c",
            "a.py",
            "--config=b.py",
            "-w",
            "2",
            "--workers=3",
            "--reload",
            "--reload",
            "--access-logfile",
            "-",
            "-t",
            "-1",
            "--graceful",
            "7",
            "a:b",
        ]);
        assert_eq!(
            (given.application.as_deref(), given.config.as_deref()),
            (Some("a:b"), Some("b.py"))
        );
        assert_eq!((given.last("workers"), given.last("reload")), (Some("3"), Some("on")));
        assert_eq!((given.last("accesslog"), given.last("timeout")), (Some("-"), Some("-1")));
        assert_eq!(given.last("graceful_timeout"), Some("7"));
    }

    #[test]
    fn what_is_no_value_and_no_flag_is_an_error_of_usage() {
        for words in [
            &["--wrokers", "3"][..],
            &["--worker", "3"],
            &["--bind", "--workers", "3"],
            &["--bind"],
        ] {
            assert!(matches!(parse_words(words), Err(SettingsError::Usage(_))), "{words:?}");
        }
    }
}
