//! Which of several places speaks: the command line, then `GUNICORN_CMD_ARGS`, then a setting's own
//! environment variable, then its default. Lists are replaced, not merged.

use std::{fmt, time::Duration};

use super::{
    Environment, Settings, SettingsError,
    command_line::{Given, Parsed, parse},
    readers::{Destination, Level, Trusted},
    rows::{ROWS, Takes},
};

/// One setting's raw values, and who spoke.
#[derive(Debug)]
pub struct Chosen {
    pub name: &'static str,
    pub values: Vec<String>,
    pub source: Source,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    CommandLine(&'static str),
    CommandArguments,
    Variable(&'static str),
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::CommandLine(flag) => f.write_str(flag),
            Source::CommandArguments => f.write_str("GUNICORN_CMD_ARGS"),
            Source::Variable(name) => f.write_str(name),
            Source::Default => f.write_str("default"),
        }
    }
}

const COMMAND_ARGUMENTS: &str = "GUNICORN_CMD_ARGS";

pub(super) fn choose(
    given: &Given,
    environment: Environment<'_>,
) -> Result<Vec<Chosen>, SettingsError> {
    let arguments = match environment(COMMAND_ARGUMENTS) {
        None => Given::default(),
        Some(text) => from_variable(&text)?,
    };
    Ok(ROWS
        .iter()
        .map(|row| {
            let flag = row.flags.last().expect("a row has a flag");
            let (values, source) = if let Some(values) = given.values(row) {
                (values.clone(), Source::CommandLine(flag))
            } else if let Some(values) = arguments.values(row) {
                (values.clone(), Source::CommandArguments)
            } else if let Some((name, value)) = row
                .environment
                .and_then(|(name, convert)| Some((name, convert(&environment(name)?))))
            {
                (vec![value], Source::Variable(name))
            } else {
                let values = Some(row.default).filter(|text| !text.is_empty());
                (values.map(str::to_owned).into_iter().collect(), Source::Default)
            };
            Chosen { name: row.name, values, source }
        })
        .collect())
}

fn from_variable(text: &str) -> Result<Given, SettingsError> {
    let words = split_words(text)
        .map_err(|reason| SettingsError::Usage(format!("{COMMAND_ARGUMENTS}: {reason}\n")))?;
    let arguments = std::iter::once("causeway-gateway".to_owned()).chain(words);
    match parse(arguments.map(Into::into).collect()) {
        Ok(Parsed::Given(given)) => Ok(given),
        Ok(Parsed::Print(_)) => {
            Err(SettingsError::Usage(format!("{COMMAND_ARGUMENTS} holds --help or --version\n")))
        }
        Err(SettingsError::Usage(reason) | SettingsError::Value(reason)) => {
            Err(SettingsError::Usage(format!("{COMMAND_ARGUMENTS}: {reason}")))
        }
    }
}

/// The shell's words: blanks between them, quotes and backslashes as in a POSIX shell.
fn split_words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), close) if open == close => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                let next = characters.next().ok_or("a backslash at the end")?;
                let word = word.get_or_insert_default();
                if quote.is_some() && !matches!(next, '"' | '\\') {
                    word.push('\\');
                }
                word.push(next);
            }
            (None, blank) if blank.is_whitespace() => words.extend(word.take()),
            (_, other) => word.get_or_insert_default().push(other),
        }
    }
    if let Some(open) = quote {
        return Err(format!("no closing {open}"));
    }
    words.extend(word);
    Ok(words)
}

/// Reads every chosen value.
pub(super) fn settle(given: &Given, chosen: &[Chosen]) -> Result<Settings, SettingsError> {
    let Some(application) = given.application.clone() else {
        return Err(SettingsError::Usage("no application module specified\n".to_owned()));
    };
    let mut settings = unset(application);
    for (row, chosen) in ROWS.iter().zip(chosen) {
        let is_unset = chosen.source == Source::Default && chosen.values.is_empty();
        if is_unset || (row.takes == Takes::Nothing && chosen.source == Source::Default) {
            continue;
        }
        (row.read)(&mut settings, &chosen.values).map_err(|reason| {
            let name = row.flags.last().expect("a row has a flag");
            SettingsError::Value(match &chosen.source {
                Source::CommandLine(_) | Source::Default => format!("{name}: {reason}"),
                source => format!("{name} (from {source}): {reason}"),
            })
        })?;
    }
    Ok(settings)
}

/// Every row with a default writes over its value here.
fn unset(application: String) -> Settings {
    Settings {
        application,
        bind: Vec::new(),
        backlog: 0,
        workers: 0,
        threads: 0,
        max_requests: None,
        max_requests_jitter: 0,
        timeout: None,
        graceful_timeout: Duration::ZERO,
        keep_alive: None,
        limit_request_line: None,
        limit_request_fields: 0,
        limit_request_field_size: 0,
        limit_request_body: None,
        queue: 0,
        queue_timeout: Duration::ZERO,
        chdir: None,
        pythonpath: Vec::new(),
        env: Vec::new(),
        python: None,
        pid: None,
        umask: 0,
        forwarded_allow_ips: Trusted::Networks(Vec::new()),
        access_logfile: None,
        access_logformat: String::new(),
        error_logfile: Destination::Standard,
        log_level: Level::Info,
        name: None,
        server_timing: false,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::*, *};

    #[track_caller]
    fn settings(words: &[&str], variables: &[(&str, &str)]) -> Settings {
        let program = ["causeway-gateway"].iter();
        let arguments = program.chain(words).map(OsString::from).collect();
        let environment = |name: &str| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        match read(arguments, &environment, false) {
            Ok(Request::Run { settings, .. }) => *settings,
            other => panic!("{words:?} {variables:?}: {other:?}"),
        }
    }

    #[track_caller]
    fn refused(words: &[&str], variables: &[(&str, &str)], message: &str) {
        let program = ["causeway-gateway"].iter();
        let arguments = program.chain(words).map(OsString::from).collect();
        let environment = |name: &str| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let error = read(arguments, &environment, false).unwrap_err().to_string();
        assert!(error.contains(message), "{error:?} holds {message:?}");
    }

    #[test]
    fn defaults_are_gunicorns() {
        let settings = settings(&["a:b"], &[]);
        assert_eq!(settings.bind, [Address::Tcp { host: "127.0.0.1".into(), port: 8000 }]);
        assert_eq!((settings.workers, settings.threads, settings.backlog), (1, 1, 2048));
        assert_eq!(settings.timeout, Some(Duration::from_secs(30)));
        assert_eq!(settings.limit_request_line, Some(4094));
        assert_eq!((settings.limit_request_fields, settings.limit_request_field_size), (100, 8190));
        assert_eq!((settings.umask, settings.log_level), (0, Level::Info));
    }

    #[test]
    fn the_strongest_source_speaks() {
        let variables: &[(&str, &str)] =
            &[("WEB_CONCURRENCY", "2"), ("GUNICORN_CMD_ARGS", "--workers=3 --bind unix:/x")];
        assert_eq!(settings(&["a:b", "-w", "4"], variables).workers, 4);
        assert_eq!(settings(&["a:b"], variables).workers, 3);
        assert_eq!(settings(&["a:b"], &variables[..1]).workers, 2);
        assert_eq!(settings(&["a:b"], variables).bind, [Address::Unix("/x".into())]);
        let port = settings(&["a:b"], &[("PORT", "81")]).bind;
        assert_eq!(port, [Address::Tcp { host: "0.0.0.0".into(), port: 81 }]);
    }

    #[test]
    fn lists_are_replaced() {
        let arguments: &[(&str, &str)] = &[("GUNICORN_CMD_ARGS", "-b :1 -b :2 -e 'A=b c'")];
        let merged = settings(&["a:b", "-b", ":3"], arguments);
        assert_eq!(merged.bind.len(), 1);
        assert_eq!(merged.env, [("A".to_owned(), "b c".to_owned())]);
    }

    #[test]
    fn zero_means_never() {
        let settings = settings(&["a:b", "--timeout", "0", "--max-requests=0"], &[]);
        assert_eq!((settings.timeout, settings.max_requests), (None, None));
    }

    #[test]
    fn errors_name_the_setting_and_its_source() {
        refused(&["a:b", "--workers", "x"], &[], "--workers: \"x\" is not a whole number");
        refused(
            &["a:b"],
            &[("WEB_CONCURRENCY", "two")],
            "--workers (from WEB_CONCURRENCY): \"two\" is not a whole number",
        );
        refused(&["a:b", "-k", "gevent"], &[], "\"gevent\" is gunicorn's");
        refused(&["a:b", "--chdir", "/nowhere/at/all"], &[], "can't chdir to");
        refused(&[], &[], "no application module specified");
        refused(&["a:b"], &[("GUNICORN_CMD_ARGS", "--preload")], "--preload is gunicorn's");
        refused(&["a:b"], &[("GUNICORN_CMD_ARGS", "-b 'x")], "no closing '");
        refused(&["a:b", "--access-logformat", "%(zz)s"], &[], "\"%(zz)s\"");
    }

    #[test]
    fn a_configuration_file_is_refused_not_ignored() {
        let error = read(vec!["causeway-gateway".into(), "a:b".into()], &|_| None, true);
        assert!(error.unwrap_err().to_string().contains("gunicorn.conf.py"));
    }

    #[test]
    fn printed_settings_say_where_they_came_from() {
        let arguments = vec!["causeway-gateway".into(), "a:b".into(), "-w3".into()];
        let Request::Run { chosen, .. } = read(arguments, &|_| None, false).unwrap() else {
            panic!("it runs");
        };
        let text = print(&chosen);
        assert!(
            text.lines()
                .any(|line| line.starts_with("workers") && line.contains("= 3  (--workers)"))
        );
    }
}
