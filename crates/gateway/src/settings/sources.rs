//! Which of several places speaks: the command line, then `GUNICORN_CMD_ARGS`, then the configuration
//! file, then a setting's own environment variable, then its default. Lists are replaced, not merged.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Environment, Mode, Settings, SettingsError, Settled,
    command_line::{Given, Parsed, parse},
    file::{ConfigFile, Contents},
    folder::working_folder,
    readers::{
        Destination, HeaderMap, Level, ProxyProtocol, ReloadEngine, Trusted, WorkerClass, mask,
    },
    rows::{Row, Takes, rows},
};

/// Everything that was said before a configuration file could be read.
#[derive(Debug)]
pub struct Sources {
    given: Given,
    /// `GUNICORN_CMD_ARGS`.
    arguments: Given,
}

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
    File { path: PathBuf, line: u32 },
    Variable(&'static str),
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::CommandLine(flag) => f.write_str(flag),
            Source::CommandArguments => f.write_str("GUNICORN_CMD_ARGS"),
            Source::File { path, line } => write!(f, "{}:{line}", path.display()),
            Source::Variable(name) => f.write_str(name),
            Source::Default => f.write_str("default"),
        }
    }
}

const COMMAND_ARGUMENTS: &str = "GUNICORN_CMD_ARGS";

impl Sources {
    pub(super) fn new(
        given: Given,
        environment: Environment<'_>,
    ) -> Result<Sources, SettingsError> {
        let arguments = match environment(COMMAND_ARGUMENTS) {
            None => Given::default(),
            Some(text) => from_variable(&text)?,
        };
        Ok(Sources { given, arguments })
    }

    /// Where settings are to be read from; by default from `./gunicorn.conf.py`, if there is one.
    pub fn config(&self, here: &Path) -> Option<ConfigFile> {
        let named = self.given.config.as_deref().or(self.arguments.config.as_deref());
        ConfigFile::find(named, here)
    }

    /// The interpreter that was asked for. It reads the configuration file, which can not name it.
    pub fn python(&self) -> Option<PathBuf> {
        let python = |given: &Given| given.last("python").map(PathBuf::from);
        python(&self.given).or_else(|| python(&self.arguments))
    }

    pub fn settle(
        &self,
        file: Option<&Contents>,
        environment: Environment<'_>,
    ) -> Result<Settled, SettingsError> {
        if let Some(file) = file {
            file.check()?;
        }
        let chosen: Vec<Chosen> =
            rows().map(|row| self.choose(row, file, environment)).collect::<Result<_, _>>()?;
        let named_in_file = file.and_then(Contents::application);
        let application = self.given.application.as_ref().or(named_in_file.as_ref());
        let Some(application) = application else {
            return Err(SettingsError::Value("no application module specified".to_owned()));
        };
        let mut settings = unset(application.clone());
        for (row, chosen) in rows().zip(&chosen) {
            read_into(&mut settings, row, chosen)?;
        }
        check(&settings)?;
        let set = settings.env.iter().rev().find(|(name, _)| name == "SCRIPT_NAME");
        settings.script_name = set
            .map(|(_, value)| value.clone())
            .or_else(|| file.map(|file| file.script_name.clone()))
            .or_else(|| environment("SCRIPT_NAME"))
            .unwrap_or_default();
        settings.chdir.get_or_insert_with(|| working_folder().to_owned());
        let file = self.given.config.as_ref().or(self.arguments.config.as_ref()).cloned();
        let typed_application = self.given.application.clone();
        Ok(Settled { settings, chosen, file, typed_application, named_in_file })
    }

    fn choose(
        &self,
        row: &'static Row,
        file: Option<&Contents>,
        environment: Environment<'_>,
    ) -> Result<Chosen, SettingsError> {
        let mut chosen = self.chosen(row, file, environment)?;
        // Where a text ends is seen by nobody.
        for value in &mut chosen.values {
            value.truncate(value.trim_end().len());
            value.drain(..value.len() - value.trim_start().len());
        }
        Ok(chosen)
    }

    fn chosen(
        &self,
        row: &'static Row,
        file: Option<&Contents>,
        environment: Environment<'_>,
    ) -> Result<Chosen, SettingsError> {
        let name = row.name;
        if let Some(values) = self.given.values(row) {
            let flag = row.flags.last().expect("what was typed has a flag");
            return Ok(Chosen { name, values: values.clone(), source: Source::CommandLine(flag) });
        }
        if let Some(values) = self.arguments.values(row) {
            return Ok(Chosen { name, values: values.clone(), source: Source::CommandArguments });
        }
        if let Some((values, source)) = file.map(|file| file.values(row)).transpose()?.flatten() {
            return Ok(Chosen { name, values, source });
        }
        let variable = row.environment.and_then(|(name, convert)| {
            Some((vec![convert(&environment(name)?)], Source::Variable(name)))
        });
        let (values, source) = variable.unwrap_or_else(|| {
            let values = Some(row.default).filter(|text| !text.is_empty());
            (values.map(str::to_owned).into_iter().collect(), Source::Default)
        });
        Ok(Chosen { name, values, source })
    }
}

fn read_into(settings: &mut Settings, row: &Row, chosen: &Chosen) -> Result<(), SettingsError> {
    // A switch that nobody touched, and one that was turned off, have no value.
    if chosen.values.is_empty() {
        return Ok(());
    }
    let read = match row.refused {
        "" => (row.read)(settings, &chosen.values),
        _ if row.is_default(&chosen.values) => Ok(()),
        _ => Err(row.refusal()),
    };
    read.map_err(|reason| {
        let name = row.flags.last().unwrap_or(&row.name);
        let typed = matches!(chosen.source, Source::CommandLine(_) | Source::CommandArguments);
        let message = match &chosen.source {
            Source::CommandLine(_) | Source::Default => format!("{name}: {reason}"),
            source @ Source::File { .. } => format!("{source}: {}: {reason}", row.name),
            source => format!("{name} (from {source}): {reason}"),
        };
        // argparse itself knows numbers, and nothing else.
        if typed && matches!(row.takes, Takes::Number(_)) && !is_number(&chosen.values) {
            SettingsError::Usage(format!("error: {message}\n"))
        } else {
            SettingsError::Value(message)
        }
    })
}

/// What is only wrong together.
fn check(settings: &Settings) -> Result<(), SettingsError> {
    if settings.daemon && settings.enable_stdio_inheritance {
        let reason = "with --daemon, output goes to log files or nowhere; do not use --daemon where it is wanted";
        return Err(SettingsError::Value(format!("--enable-stdio-inheritance: {reason}")));
    }
    Ok(())
}

fn is_number(values: &[String]) -> bool {
    let last = values.last().map_or("", String::as_str);
    last.parse::<i64>().is_ok() || mask(last).is_ok()
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

/// Every row with a default writes over its value here.
fn unset(application: String) -> Settings {
    Settings {
        application,
        bind: Vec::new(),
        backlog: 0,
        reuse_port: false,
        workers: 0,
        worker_class: WorkerClass::Sync,
        threads: 0,
        worker_connections: 0,
        max_requests: None,
        max_requests_jitter: 0,
        timeout: None,
        graceful_timeout: Duration::ZERO,
        keep_alive: None,
        limit_request_line: None,
        limit_request_fields: 0,
        limit_request_field_size: 0,
        reload: false,
        reload_engine: ReloadEngine::Auto,
        reload_extra_files: Vec::new(),
        preload_app: false,
        sendfile: true,
        chdir: None,
        daemon: false,
        env: Vec::new(),
        pid: None,
        user: None,
        group: None,
        umask: 0,
        initgroups: false,
        pythonpath: Vec::new(),
        forwarded_allow_ips: Trusted::Networks(Vec::new()),
        secure_scheme_headers: Vec::new(),
        forwarder_headers: Vec::new(),
        header_map: HeaderMap::Drop,
        proxy_protocol: ProxyProtocol::Off,
        proxy_allow_ips: Trusted::Networks(Vec::new()),
        permit_obsolete_folding: false,
        strip_header_spaces: false,
        permit_unconventional_http_method: false,
        permit_unconventional_http_version: false,
        casefold_http_method: false,
        access_logfile: None,
        access_logformat: String::new(),
        error_logfile: Destination::Standard,
        log_level: Level::Info,
        capture_output: false,
        enable_stdio_inheritance: false,
        logconfig: None,
        logconfig_dict: None,
        logconfig_json: None,
        syslog: false,
        syslog_addr: String::new(),
        syslog_prefix: None,
        syslog_facility: String::new(),
        disable_redirect_access_to_syslog: false,
        statsd_host: None,
        statsd_prefix: String::new(),
        dogstatsd_tags: String::new(),
        enable_backlog_metric: false,
        name: None,
        keyfile: None,
        certfile: None,
        ca_certs: None,
        cert_reqs: 0,
        ciphers: None,
        http_protocols: Vec::new(),
        http2_max_concurrent_streams: 0,
        http2_initial_window_size: 0,
        http2_max_frame_size: 0,
        http2_max_header_list_size: None,
        control_socket: None,
        control_socket_mode: 0,
        control_socket_disable: false,
        hooks: Vec::new(),
        limit_request_body: None,
        queue: 0,
        queue_timeout: Duration::ZERO,
        python: None,
        max_worker_memory: None,
        exit_on_boot_failure: false,
        server_timing: false,
        script_name: String::new(),
        mode: Mode::Serve,
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
        let Ok(Request::Run(sources)) = read(arguments, &environment) else {
            panic!("{words:?} {variables:?}");
        };
        sources.settle(None, &environment).unwrap().settings
    }

    #[track_caller]
    fn refused(words: &[&str], variables: &[(&str, &str)], message: &str) {
        let program = ["causeway-gateway"].iter();
        let arguments = program.chain(words).map(OsString::from).collect();
        let environment = |name: &str| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let settled = read(arguments, &environment).and_then(|request| match request {
            Request::Run(sources) => sources.settle(None, &environment),
            Request::Print(text) => panic!("{text}"),
        });
        let error = settled.unwrap_err().to_string();
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
        refused(&["a:b", "--workers", "x"], &[], "error: --workers: \"x\" is not a whole number");
        refused(&["a:b", "--workers", "-1"], &[], "Error: --workers: \"-1\" is not a whole number");
        refused(
            &["a:b"],
            &[("WEB_CONCURRENCY", "two")],
            "--workers (from WEB_CONCURRENCY): \"two\" is not a whole number",
        );
        refused(&["a:b", "-k", "gevent"], &[], "\"gevent\" is gunicorn's");
        refused(&["a:b", "--chdir", "/nowhere/at/all"], &[], "can't chdir to");
        refused(&[], &[], "no application module specified");
        refused(
            &["a:b"],
            &[("GUNICORN_CMD_ARGS", "--spew")],
            "--spew (from GUNICORN_CMD_ARGS): gunicorn has this, causeway-gateway has not: use",
        );
        for (words, flag) in
            [(&["--paste", "x.ini"][..], "--paster: "), (&["--protocol=uwsgi"], "--protocol: ")]
        {
            refused(&[words, &["a:b"]].concat(), &[], &format!("Error: {flag}gunicorn has this"));
        }
        refused(&["a:b", "-R", "-D"], &[], "--enable-stdio-inheritance: with --daemon");
        settings(&["a:b", "-R"], &[]);
        settings(&["a:b", "--protocol=http", "--dirty-workers", "0"], &[]);
        refused(&["a:b"], &[("GUNICORN_CMD_ARGS", "-b 'x")], "no closing '");
        refused(&["a:b", "--access-logformat", "%(zz)s"], &[], "\"%(zz)s\"");
    }

    #[test]
    fn a_variable_of_sendfile_means_what_it_means_to_gunicorn() {
        for (value, on) in [("yes", true), ("1", true), ("on", false), ("sometimes", false)] {
            assert_eq!(settings(&["a:b"], &[("SENDFILE", value)]).sendfile, on, "{value}");
        }
        assert!(!settings(&["a:b", "--no-sendfile"], &[("SENDFILE", "1")]).sendfile);
        assert!(settings(&["a:b"], &[]).sendfile);
    }

    #[test]
    fn blanks_around_a_text_and_empty_names_of_files_mean_nothing() {
        let settings = settings(&["a:b", "--pid", "", "-b", " :1 ", "--threads", "0"], &[]);
        assert_eq!((settings.pid, settings.bind.len(), settings.threads), (None, 1, 1));
    }

    #[test]
    fn what_has_no_effect_is_told_where_somebody_asked_for_it() {
        let words =
            ["causeway-gateway", "a:b", "--worker-tmp-dir=/dev/shm", "--http-parser", "auto"];
        let Request::Run(sources) = read(words.map(Into::into).into(), &|_| None).unwrap() else {
            panic!("it runs");
        };
        let told: Vec<String> = sources.settle(None, &|_| None).unwrap().without_effect().collect();
        let expected =
            "worker_tmp_dir (from --worker-tmp-dir) has no effect: no heartbeat files are written";
        assert_eq!(told, [expected]);
    }

    #[track_caller]
    fn printed(words: &[&str]) -> String {
        let arguments = ["causeway-gateway", "a:b"].iter().chain(words).map(Into::into).collect();
        let Request::Run(sources) = read(arguments, &|_| None).unwrap() else {
            panic!("it runs");
        };
        sources.settle(None, &|_| None).unwrap().print()
    }

    #[test]
    fn printed_settings_say_where_they_came_from_if_asked() {
        let line =
            |text: &str| text.lines().find(|line| line.starts_with("workers ")).map(str::to_owned);
        assert!(line(&printed(&["-w3"])).unwrap().ends_with(" = 3"));
        assert!(
            line(&printed(&["-w3", "--explain-config"])).unwrap().ends_with(" = 3  # --workers")
        );
        assert!(line(&printed(&["--explain-config"])).unwrap().ends_with(" = 1"));
    }
}
