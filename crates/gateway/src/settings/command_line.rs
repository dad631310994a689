//! Rows to a command line, and back: what was typed, by row.

use std::{collections::HashMap, ffi::OsString};

use clap::{Arg, ArgAction, ArgMatches, Command, error::ErrorKind};

use super::{
    Mode, SettingsError,
    foreign::{FOREIGN, SHORT, refusal},
    rows::{Row, Takes, rows},
};

/// What one command line says.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub application: Option<String>,
    /// `-c`.
    pub config: Option<String>,
    /// By row name; only what was typed.
    values: HashMap<&'static str, Vec<String>>,
    check: bool,
    print: bool,
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

    pub(super) fn mode(&self) -> Mode {
        match (self.print, self.check) {
            (true, _) => Mode::Print,
            (false, true) => Mode::Check,
            (false, false) => Mode::Serve,
        }
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
    refuse_foreign(&matches)?;
    let mut given = Given {
        application: matches.get_one::<String>("application").cloned(),
        config: matches.get_one::<String>("config").cloned(),
        check: matches.get_flag("check_config"),
        print: matches.get_flag("print_config"),
        ..Given::default()
    };
    for row in rows().filter(|row| !row.flags.is_empty()) {
        let typed = |text: &str| matches.get_flag(row.name).then(|| vec![text.to_owned()]);
        let values = match row.takes {
            Takes::Nothing => typed("on"),
            Takes::Inverted => typed("off"),
            Takes::One(_) | Takes::Optional(..) | Takes::Many(_) => {
                matches.get_many::<String>(row.name).map(|values| values.cloned().collect())
            }
            Takes::Json | Takes::Hook => None,
        };
        if let Some(values) = values {
            given.values.insert(row.name, values);
        }
    }
    Ok(Parsed::Given(given))
}

fn refuse_foreign(matches: &ArgMatches) -> Result<(), SettingsError> {
    for (_, flag, _) in FOREIGN {
        if !flag.is_empty() && matches.value_source(flag).is_some() {
            return Err(SettingsError::Usage(format!("{}\n", refusal(flag, flag))));
        }
    }
    Ok(())
}

fn command() -> Command {
    let mut command = Command::new("causeway-gateway")
        .about("Keeps workers of a WSGI application alive and answers HTTP with them, as gunicorn does")
        .override_usage("causeway-gateway [OPTIONS] MODULE:CALLABLE")
        .disable_version_flag(true)
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
                .action(ArgAction::Append)
                .help("A Python file of settings, or python:MODULE [default: ./gunicorn.conf.py]"),
        )
        .arg(
            Arg::new("check_config")
                .long("check-config")
                .action(ArgAction::SetTrue)
                .help("Import the application once, then leave with 0 or 1"),
        )
        .arg(
            Arg::new("print_config")
                .long("print-config")
                .action(ArgAction::SetTrue)
                .help("Print every setting, then do as --check-config"),
        );
    for row in rows().filter(|row| !row.flags.is_empty()) {
        command = command.arg(argument(row));
    }
    for (_, flag, _) in FOREIGN.iter().filter(|(_, flag, _)| !flag.is_empty()) {
        let mut argument = Arg::new(*flag)
            .long(&flag[2..])
            .hide(true)
            .num_args(0..=1)
            .default_missing_value("")
            .action(ArgAction::Append);
        if let Some((short, _)) = SHORT.iter().find(|(_, long)| long == flag) {
            argument = argument.short(*short);
        }
        command = command.arg(argument);
    }
    command
}

fn argument(row: &'static Row) -> Arg {
    let mut argument = Arg::new(row.name).help(help(row));
    for flag in row.flags {
        argument = match flag.strip_prefix("--") {
            Some(long) if argument.get_long().is_none() => argument.long(long),
            Some(long) => argument.visible_alias(long),
            None => argument.short(flag[1..].chars().next().expect("a short flag has a letter")),
        };
    }
    match row.takes {
        Takes::Nothing | Takes::Inverted | Takes::Json | Takes::Hook => {
            argument.action(ArgAction::SetTrue)
        }
        Takes::Optional(name, bare) => argument
            .value_name(name)
            .action(ArgAction::Append)
            .num_args(0..=1)
            .default_missing_value(bare),
        Takes::One(name) | Takes::Many(name) => argument
            .value_name(name)
            .action(ArgAction::Append)
            .allow_hyphen_values(true)
            .num_args(1),
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
    format!("{}{default}{variable}", row.help)
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
    fn help_names_every_flag() {
        let Ok(Parsed::Print(help)) = parse_words(&["--help"]) else { panic!("help is printed") };
        for row in rows() {
            for flag in row.flags {
                assert!(help.contains(flag), "{flag}");
            }
        }
        assert!(!help.contains("--spew"));
    }

    #[test]
    fn gunicorns_other_flags_are_refused_by_name() {
        let cases: &[(&[&str], &str)] = &[
            (&["--spew", "a:b"], "--spew"),
            (&["a:b", "--paste", "x.ini"], "--paste"),
            (&["-R", "a:b"], "--enable-stdio-inheritance"),
            (&["--protocol=uwsgi", "a:b"], "--protocol"),
        ];
        for (words, flag) in cases {
            let Err(SettingsError::Usage(message)) = parse_words(words) else {
                panic!("{words:?} is refused");
            };
            assert!(message.starts_with(&format!("{flag} is gunicorn's; ")), "{message}");
        }
    }

    #[test]
    fn an_unknown_flag_is_an_error_of_usage() {
        assert!(matches!(parse_words(&["--wrokers", "3"]), Err(SettingsError::Usage(_))));
    }
}
