//! What a configuration file holds. The application's interpreter runs it (see the app-host's
//! `config.py`) and tells which names it leaves behind; here they become settings.
//!
//! A Python file may define whatever it likes. But a name that is nearly a setting's, where that
//! setting itself is not there, is one that was misspelt: an error, not a deployment that runs with a
//! default nobody chose.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::{
    SettingsError, Source,
    rows::{Row, Takes, rows},
};

/// Where a configuration is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigFile {
    Path(PathBuf),
    /// `python:MODULE`.
    Module(String),
}

impl ConfigFile {
    /// `here`: where this program was started, whatever its folder is by now.
    pub(super) fn find(named: Option<&str>, here: &Path) -> Option<ConfigFile> {
        const DEFAULT: &str = "./gunicorn.conf.py";
        match named {
            Some(name) => Some(match name.strip_prefix("python:") {
                Some(module) => ConfigFile::Module(module.to_owned()),
                None => ConfigFile::Path(name.strip_prefix("file:").unwrap_or(name).into()),
            }),
            None => here.join(DEFAULT).is_file().then(|| ConfigFile::Path(DEFAULT.into())),
        }
    }

    /// As `-c` has it.
    pub fn to_argument(&self) -> String {
        match self {
            ConfigFile::Path(path) => path.display().to_string(),
            ConfigFile::Module(module) => format!("python:{module}"),
        }
    }
}

/// The names a configuration file leaves behind, without modules and what begins with `_`.
#[derive(Clone, Debug, Deserialize)]
pub struct Contents {
    pub path: PathBuf,
    pub entries: Vec<Entry>,
    /// The variable of that name, which a file may set.
    #[serde(default)]
    pub script_name: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Entry {
    pub name: String,
    /// Where it was last assigned; 0: not in this file.
    pub line: u32,
    #[serde(flatten)]
    pub kind: EntryKind,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    Value(Value),
    /// Something that can be called, with so many arguments.
    Function(Option<u32>),
    /// Of this type, which is no setting's.
    Other(String),
}

impl Contents {
    fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    fn error(&self, entry: &Entry, reason: &str) -> SettingsError {
        let (path, line) = (self.path.display(), entry.line);
        SettingsError::Value(format!("{path}:{line}: {}: {reason}", entry.name))
    }

    pub(super) fn application(&self) -> Option<String> {
        match &self.entry("wsgi_app")?.kind {
            EntryKind::Value(Value::String(name)) => Some(name.clone()),
            _ => None,
        }
    }

    /// Names that were misspelt, and the one that comes too late.
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        for entry in &self.entries {
            if entry.name == "python" && !matches!(entry.kind, EntryKind::Function(_)) {
                let reason =
                    "the interpreter that reads this file can not be chosen by it; use --python";
                return Err(self.error(entry, reason));
            }
            if entry.name == "wsgi_app" || rows().any(|row| row.name == entry.name) {
                continue;
            }
            if let Some(meant) = nearest(&entry.name).filter(|meant| self.entry(meant).is_none()) {
                return Err(
                    self.error(entry, &format!("no such setting; did you mean \"{meant}\"?"))
                );
            }
        }
        Ok(())
    }

    /// As they would be typed.
    pub(super) fn values(&self, row: &Row) -> Result<Option<(Vec<String>, Source)>, SettingsError> {
        let Some(entry) = self.entry(row.name) else { return Ok(None) };
        let values = typed(row, &entry.kind).map_err(|reason| self.error(entry, &reason))?;
        let source = Source::File { path: self.path.clone(), line: entry.line };
        Ok(values.map(|values| (values, source)))
    }
}

/// `None` where the file says that it is unset.
fn typed(row: &Row, kind: &EntryKind) -> Result<Option<Vec<String>>, String> {
    let value = match (row.takes, kind) {
        (_, EntryKind::Function(_) | EntryKind::Other(_)) if !row.refused.is_empty() => {
            return Err(row.refusal());
        }
        (Takes::Hook(arities), EntryKind::Function(Some(taken))) if !arities.contains(taken) => {
            let given = arities[0];
            return Err(format!("it takes {taken}, and would be given {given} arguments"));
        }
        (Takes::Hook(_), EntryKind::Function(_)) => return Ok(Some(vec!["on".to_owned()])),
        (Takes::Hook(_), EntryKind::Value(Value::Null)) => return Ok(None),
        (Takes::Hook(_), EntryKind::Value(Value::String(name))) => {
            return Err(format!("\"{name}\" is a name; import the function that is meant"));
        }
        (Takes::Hook(_), _) => return Err("it can not be called".to_owned()),
        (_, EntryKind::Value(value)) => value,
        (_, EntryKind::Function(_)) => return Err("a function is no value for it".to_owned()),
        (_, EntryKind::Other(kind)) => return Err(format!("a {kind} is no value for it")),
    };
    match (row.takes, value) {
        (Takes::Number(_), Value::Null) => Err("None is not a whole number".to_owned()),
        (Takes::Number(_), Value::Bool(on)) => Ok(Some(vec![u8::from(*on).to_string()])),
        // Unset, as it would be anyway; or else nothing, where there would be something.
        (_, Value::Null) if row.default.is_empty() => Ok(None),
        (Takes::Many(_), Value::Null) => Ok(Some(Vec::new())),
        (_, Value::Null) => Ok(Some(vec![String::new()])),
        (Takes::Json, Value::Object(_)) => Ok(Some(vec![value.to_string()])),
        (Takes::Json, other) => Err(format!("{other} is not a dictionary")),
        (Takes::Nothing, _) => {
            truth(value).map(|on| Some(on.then(|| "on".to_owned()).into_iter().collect()))
        }
        (Takes::Inverted, _) => truth(value).map(|on| Some(vec![on.to_string()])),
        (Takes::Optional(_, bare), Value::Bool(on)) => {
            Ok(Some(vec![if *on { bare } else { "off" }.to_owned()]))
        }
        (Takes::Many(_), Value::Array(values)) => {
            values.iter().map(text).collect::<Result<_, _>>().map(Some)
        }
        (_, Value::Array(values)) => {
            let texts: Vec<String> = values.iter().map(text).collect::<Result<_, _>>()?;
            Ok(Some(vec![texts.join(",")]))
        }
        (_, value) => text(value).map(|text| Some(vec![text])),
    }
}

fn truth(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(on) => Ok(*on),
        Value::String(text) => super::readers::truth(text),
        Value::Number(number) if number.as_i64() == Some(0) => Ok(false),
        Value::Number(number) if number.as_i64() == Some(1) => Ok(true),
        other => Err(format!("{other} is neither True nor False")),
    }
}

fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(_) | Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(format!("{value} is neither text nor a number"))
        }
    }
}

/// The setting that differs least, if it differs by little.
fn nearest(name: &str) -> Option<&'static str> {
    if name.len() < 4 {
        return None;
    }
    let names = rows().map(|row| row.name).chain(["wsgi_app"]);
    let nearest =
        names.map(|setting| (strsim::damerau_levenshtein(name, setting), setting)).min()?;
    let most = if nearest.1.len() < 8 { 1 } else { 2 };
    (nearest.0 <= most).then_some(nearest.1)
}

#[cfg(test)]
mod tests {
    use super::{super::*, *};

    fn settle(entries: &str) -> Result<Settings, String> {
        let text = format!("{{\"path\": \"conf.py\", \"entries\": [{entries}]}}");
        let contents: Contents = serde_json::from_str(&text).unwrap();
        let arguments = ["causeway-gateway", "a:b", "--threads=3"];
        let arguments = arguments.iter().map(Into::into).collect();
        let Ok(Request::Run(sources)) = read(arguments, &|_| None) else { panic!("it runs") };
        let settled = sources
            .settle(Some(&contents), &|name| (name == "WEB_CONCURRENCY").then(|| "7".to_owned()));
        settled.map(|settled| settled.settings).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_is_stronger_than_the_environment_and_weaker_than_the_command_line() {
        let settings = settle(
            r#"{"name": "workers", "line": 1, "value": 2}, {"name": "threads", "line": 2, "value": 9},
               {"name": "bind", "line": 3, "value": ["unix:/a", "unix:/b"]},
               {"name": "preload_app", "line": 4, "value": true}, {"name": "reload", "line": 5, "value": false},
               {"name": "pidfile", "line": 6, "value": null}, {"name": "umask", "line": 7, "value": 7},
               {"name": "post_fork", "line": 8, "function": 2}, {"name": "sendfile", "line": 9, "value": false},
               {"name": "proxy_protocol", "line": 9, "value": true},
               {"name": "secure_scheme_headers", "line": 10, "value": {"x-proto": "tls"}}"#,
        )
        .unwrap();
        assert_eq!((settings.workers, settings.threads, settings.bind.len()), (2, 3, 2));
        assert_eq!((settings.preload_app, settings.reload, settings.umask), (true, false, 7));
        assert_eq!((settings.hooks, settings.sendfile), (vec!["post_fork"], false));
        assert_eq!(settings.proxy_protocol, ProxyProtocol::Auto);
        assert_eq!(settings.secure_scheme_headers, [("X-PROTO".to_owned(), "tls".to_owned())]);
        assert_eq!(settle("").unwrap().workers, 7);
    }

    #[test]
    fn errors_name_the_line() {
        let cases = [
            (
                r#"{"name": "workers", "line": 4, "value": "x"}"#,
                "conf.py:4: workers: \"x\" is not a whole number",
            ),
            (
                r#"{"name": "wrokers", "line": 5, "value": 3}"#,
                "conf.py:5: wrokers: no such setting; did you mean \"workers\"?",
            ),
            (
                r#"{"name": "post_fork", "line": 6, "value": 3}"#,
                "conf.py:6: post_fork: it can not be called",
            ),
            (
                r#"{"name": "post_fork", "line": 6, "function": 1}"#,
                "conf.py:6: post_fork: it takes 1, and would be given 2 arguments",
            ),
            (
                r#"{"name": "timeout", "line": 6, "value": null}"#,
                "conf.py:6: timeout: None is not a whole number",
            ),
            (
                r#"{"name": "ssl_context", "line": 6, "function": 2}"#,
                "conf.py:6: ssl_context: gunicorn has this, causeway-gateway has not: ",
            ),
            (r#"{"name": "python", "line": 6, "value": "python3"}"#, "conf.py:6: python: "),
            (
                r#"{"name": "workers", "line": 7, "function": 0}"#,
                "conf.py:7: workers: a function is no value for it",
            ),
            (
                r#"{"name": "bind", "line": 8, "other": "set"}"#,
                "conf.py:8: bind: a set is no value for it",
            ),
            (r#"{"name": "spew", "line": 9, "value": true}"#, "conf.py:9: spew: "),
        ];
        for (entry, expected) in cases {
            let error = settle(entry).unwrap_err();
            assert!(error.contains(expected), "{error:?} holds {expected:?}");
        }
    }

    #[test]
    fn the_default_of_what_is_refused_is_no_error() {
        let entries = r#"{"name": "spew", "line": 1, "value": false}, {"name": "paste", "line": 2, "value": null},
                         {"name": "protocol", "line": 3, "value": "http"}, {"name": "dirty_apps", "line": 4, "value": []},
                         {"name": "dirty_workers", "line": 5, "value": 0}, {"name": "http2_cleartext", "line": 6, "value": false},
                         {"name": "uwsgi_allow_ips", "line": 7, "value": "127.0.0.1,::1"}"#;
        settle(entries).unwrap();
    }

    #[test]
    fn none_is_less_than_the_default() {
        let settings =
            settle(r#"{"name": "forwarded_allow_ips", "line": 1, "value": null}"#).unwrap();
        assert_eq!(settings.forwarded_allow_ips, Trusted::Networks(Vec::new()));
    }

    #[test]
    fn what_the_file_needs_for_itself_is_no_mistake() {
        let own = r#"{"name": "worker", "line": 1, "value": 3}, {"name": "workers", "line": 2, "value": 3},
                     {"name": "cores", "line": 3, "value": 3}, {"name": "greet", "line": 4, "function": 0}"#;
        assert!(settle(own).is_ok());
    }
}
