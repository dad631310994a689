//! Text to values. A reader says what is wrong with the text and never which setting it is for: the
//! caller knows that, and where the text came from.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;
use nix::unistd::{Group, User};

/// Where a log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// `-`: standard output for the access log, standard error for the error log.
    Standard,
    File(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Debug,
    Info,
    Warning,
    Error,
    Critical,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warning => "WARNING",
            Level::Error => "ERROR",
            Level::Critical => "CRITICAL",
        }
    }
}

/// Whose word on the scheme, and whose forwarder headers, are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trusted {
    Everyone,
    Networks(Vec<IpNet>),
}

impl Trusted {
    pub fn includes(&self, peer: IpAddr) -> bool {
        match self {
            Trusted::Everyone => true,
            Trusted::Networks(networks) => networks.iter().any(|network| network.contains(&peer)),
        }
    }
}

/// A whole number, not below `least`.
pub(super) fn number<N>(text: &str, least: N) -> Result<N, String>
where
    N: std::str::FromStr + PartialOrd + std::fmt::Display + Copy,
{
    match text.trim().parse::<N>() {
        Ok(number) if number >= least => Ok(number),
        Ok(_) => Err(format!("\"{text}\" is below {least}")),
        Err(_) => Err(format!("\"{text}\" is not a whole number")),
    }
}

/// Whole seconds; gunicorn has no fractions here.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    number(text, 0).map(Duration::from_secs)
}

/// gunicorn's way with masks: `0o007`, `0x7`, `007` and plain `7` are all read as Python's
/// `int(value, 0)` or as octal where that fails.
pub(super) fn mask(text: &str) -> Result<u32, String> {
    let digits = text.to_ascii_lowercase();
    let read = if let Some(digits) = digits.strip_prefix("0x") {
        u32::from_str_radix(digits, 16)
    } else if let Some(digits) = digits.strip_prefix("0o") {
        u32::from_str_radix(digits, 8)
    } else if text.starts_with('0') {
        u32::from_str_radix(text, 8)
    } else {
        text.parse()
    };
    match read {
        Ok(mask) if mask <= 0o7777 => Ok(mask),
        _ => Err(format!("\"{text}\" is not a file mode mask")),
    }
}

pub(super) fn level(text: &str) -> Result<Level, String> {
    match text.to_ascii_lowercase().as_str() {
        "debug" => Ok(Level::Debug),
        "info" => Ok(Level::Info),
        "warning" => Ok(Level::Warning),
        "error" => Ok(Level::Error),
        "critical" => Ok(Level::Critical),
        _ => Err(format!("\"{text}\" is not debug, info, warning, error or critical")),
    }
}

pub(super) fn destination(text: &str) -> Destination {
    match text {
        "-" => Destination::Standard,
        path => Destination::File(PathBuf::from(path)),
    }
}

pub(super) fn trusted(text: &str) -> Result<Trusted, String> {
    let mut networks = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        if part == "*" {
            return Ok(Trusted::Everyone);
        }
        networks.push(network(part)?);
    }
    Ok(Trusted::Networks(networks))
}

/// As Python's `ip_network` reads it: an address, or one with the length of its mask, or with the mask.
fn network(text: &str) -> Result<IpNet, String> {
    let wrong = || format!("\"{text}\" is not an address or a network");
    let network = match text.split_once('/') {
        None => text.parse::<IpAddr>().map(IpNet::from).map_err(|_| wrong())?,
        Some((address, mask)) if mask.contains('.') => {
            let (address, mask) = (address.parse(), mask.parse());
            let network = IpNet::with_netmask(
                IpAddr::V4(address.map_err(|_| wrong())?),
                IpAddr::V4(mask.map_err(|_| wrong())?),
            );
            network.map_err(|_| wrong())?
        }
        Some(_) => text.parse().map_err(|_| wrong())?,
    };
    if network.addr() != network.network() {
        let meant = network.trunc();
        return Err(format!("\"{text}\" has host bits set; the network is {meant}"));
    }
    Ok(network)
}

/// `KEY=VALUE`.
pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("\"{text}\" is not KEY=VALUE")),
    }
}

/// Both of gunicorn's worker kinds for WSGI mean the same here: `threads` decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerClass {
    Sync,
    Gthread,
}

impl WorkerClass {
    pub fn name(self) -> &'static str {
        match self {
            WorkerClass::Sync => "sync",
            WorkerClass::Gthread => "gthread",
        }
    }
}

pub(super) fn worker_class(text: &str) -> Result<WorkerClass, String> {
    match text {
        "sync" | "gunicorn.workers.sync.SyncWorker" | "egg:gunicorn#sync" => Ok(WorkerClass::Sync),
        "gthread" | "gunicorn.workers.gthread.ThreadWorker" | "egg:gunicorn#gthread" => {
            Ok(WorkerClass::Gthread)
        }
        other => {
            let asynchronous = ["uvicorn", "asgi", "hypercorn", "daphne"];
            let instead = if asynchronous.iter().any(|name| other.contains(name)) {
                "only WSGI applications are run; use an ASGI server for others"
            } else {
                "causeway-gateway runs WSGI in threads; use sync or gthread, with as many --threads as requests shall wait at a time"
            };
            Err(format!("\"{other}\" is gunicorn's; {instead}"))
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadEngine {
    Auto,
    Poll,
    Inotify,
}

pub(super) fn reload_engine(text: &str) -> Result<ReloadEngine, String> {
    match text {
        "auto" => Ok(ReloadEngine::Auto),
        "poll" => Ok(ReloadEngine::Poll),
        "inotify" => Ok(ReloadEngine::Inotify),
        other => Err(format!("\"{other}\" is not auto, poll or inotify")),
    }
}

/// What becomes of a field whose name has an underscore, which in environ would pass for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderMap {
    Drop,
    Refuse,
    Dangerous,
}

pub(super) fn header_map(text: &str) -> Result<HeaderMap, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "drop" => Ok(HeaderMap::Drop),
        "refuse" => Ok(HeaderMap::Refuse),
        "dangerous" => Ok(HeaderMap::Dangerous),
        _ => Err(format!("\"{text}\" is not drop, refuse or dangerous")),
    }
}

/// Whether, and in which form, a proxy in front says who its client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    Off,
    V1,
    V2,
    Auto,
}

pub(super) fn proxy_protocol(text: &str) -> Result<ProxyProtocol, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "off" | "false" | "0" | "none" | "" => Ok(ProxyProtocol::Off),
        "v1" => Ok(ProxyProtocol::V1),
        "v2" => Ok(ProxyProtocol::V2),
        "auto" | "true" | "1" => Ok(ProxyProtocol::Auto),
        _ => Err(format!("\"{text}\" is not off, v1, v2 or auto")),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpProtocol {
    H1,
    H2,
}

pub(super) fn http_protocols(text: &str) -> Result<Vec<HttpProtocol>, String> {
    let mut protocols = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let protocol = match name.to_ascii_lowercase().as_str() {
            "h1" => HttpProtocol::H1,
            "h2" => HttpProtocol::H2,
            _ => return Err(format!("\"{name}\" is not h1 or h2")),
        };
        if protocols.contains(&protocol) {
            return Err(format!("\"{name}\" is there twice"));
        }
        protocols.push(protocol);
    }
    // As gunicorn has it.
    if protocols.is_empty() {
        protocols.push(HttpProtocol::H1);
    }
    Ok(protocols)
}

/// Python's `ssl.CERT_NONE`, `CERT_OPTIONAL` and `CERT_REQUIRED`.
pub(super) fn cert_reqs(text: &str) -> Result<u8, String> {
    between(text, 0, 2)
}

pub(super) fn between<N>(text: &str, least: N, most: N) -> Result<N, String>
where
    N: std::str::FromStr + PartialOrd + std::fmt::Display + Copy,
{
    let value = number(text, least)?;
    if value > most { Err(format!("\"{text}\" is above {most}")) } else { Ok(value) }
}

/// As gunicorn reads its environment.
pub(super) fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "y" | "1" | "yes" | "true" | "on" => Ok(true),
        "n" | "0" | "no" | "false" | "off" | "" => Ok(false),
        _ => Err(format!("\"{text}\" is neither true nor false")),
    }
}

pub(super) fn http_parser(text: &str) -> Result<(), String> {
    match text.to_ascii_lowercase().as_str() {
        "auto" | "fast" | "python" => Ok(()),
        _ => Err(format!("\"{text}\" is not auto, fast or python")),
    }
}

/// gunicorn's own, which are what `log.rs` and `statsd.rs` do.
pub(super) fn logger_class(text: &str) -> Result<(), String> {
    match text {
        "simple" | "gunicorn.glogging.Logger" | "gunicorn.instrument.statsd.Statsd" => Ok(()),
        _ => Err(format!(
            "\"{text}\": no other class than gunicorn's own; use logconfig_dict, which handlers of any kind can be put into"
        )),
    }
}

/// A name or a number to a number.
pub(super) fn user(text: &str) -> Result<u32, String> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    match User::from_name(text) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => Err(format!("no such user: \"{text}\"")),
        Err(error) => Err(format!("the user \"{text}\" can not be looked up: {error}")),
    }
}

pub(super) fn group(text: &str) -> Result<u32, String> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    match Group::from_name(text) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => Err(format!("no such group: \"{text}\"")),
        Err(error) => Err(format!("the group \"{text}\" can not be looked up: {error}")),
    }
}

/// A file has to be there; a glob may match nothing yet.
pub(super) fn file_or_glob(text: &str) -> Result<String, String> {
    if text.contains(['*', '?', '[']) || PathBuf::from(text).exists() {
        Ok(text.to_owned())
    } else {
        Err(format!("there is no file \"{text}\""))
    }
}

/// A number of bytes, with K, M or G behind it.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let unit: u64 = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return Err(format!("\"{text}\" is not a number of bytes, as in 512M")),
    };
    number(digits, 0_u64)?
        .checked_mul(unit)
        .ok_or_else(|| format!("\"{text}\" is more than any machine has"))
}

/// Names of fields, as environ has them.
pub(super) fn names(text: &str) -> Vec<String> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(str::to_ascii_uppercase).collect()
}

pub(super) fn json(text: &str) -> Result<Option<serde_json::Value>, String> {
    serde_json::from_str(text).map(Some).map_err(|error| error.to_string())
}

/// A dictionary of fields and the values that count.
pub(super) fn fields(text: &str) -> Result<Vec<(String, String)>, String> {
    let fields: std::collections::BTreeMap<String, String> =
        serde_json::from_str(text).map_err(|_| format!("{text} is not a dictionary of texts"))?;
    Ok(fields.into_iter().map(|(name, value)| (name.to_ascii_uppercase(), value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_as_operators_write_them() {
        for (text, value) in [("0", 0), ("7", 7), ("007", 7), ("0o027", 0o27), ("0x1f", 0x1f)] {
            assert_eq!(mask(text), Ok(value), "{text}");
        }
        assert!(mask("rw").is_err());
        assert!(mask("0o99").is_err());
    }

    #[test]
    fn trusted_peers() {
        let trusted = trusted("10.0.0.0/8, ::1").unwrap();
        assert!(trusted.includes("10.2.3.4".parse().unwrap()));
        assert!(trusted.includes("::1".parse().unwrap()));
        assert!(!trusted.includes("11.0.0.1".parse().unwrap()));
        assert_eq!(super::trusted("10.0.0.1,*"), Ok(Trusted::Everyone));
        assert!(super::trusted("example.org").is_err());
        assert!(super::trusted("192.168.0.0/255.255.0.0,fe80::/10").is_ok());
        let error = super::trusted("192.168.1.1/24").unwrap_err();
        assert_eq!(error, "\"192.168.1.1/24\" has host bits set; the network is 192.168.1.0/24");
    }

    #[test]
    fn numbers_have_a_floor() {
        assert_eq!(number("3", 1_usize), Ok(3));
        assert!(number("0", 1_usize).is_err());
        assert!(number("-1", 0_usize).is_err());
        assert!(number("many", 0_usize).is_err());
    }
}
