//! Where a proxy listens or connects: Toxiproxy's `HOST:PORT`, and ours, `unix:/PATH` and
//! `unix:@NAME`. A name of the second kind (Linux's abstract sockets) has no file, so that nothing is
//! left of it when its process is killed.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::FaultError;

/// `sun_path` of `sockaddr_un`, less the byte that ends it.
const LONGEST_PATH: usize = 107;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Host and port as they were written: the name is resolved each time it is used.
    Tcp(String),
    Unix(PathBuf),
    Abstract(String),
}

impl FromStr for Address {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Address, FaultError> {
        let wrong = || FaultError::Address(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            if path.len() > LONGEST_PATH {
                return Err(FaultError::PathTooLong { path: path.to_owned(), length: path.len() });
            }
            return match path.strip_prefix('@') {
                _ if path.contains('\0') => Err(wrong()),
                Some(name) if !name.is_empty() => Ok(Address::Abstract(name.to_owned())),
                None if path.starts_with('/') => Ok(Address::Unix(PathBuf::from(path))),
                _ => Err(wrong()),
            };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        port.parse::<u16>().map_err(|_| wrong())?;
        let bracketed = host.starts_with('[') && host.ends_with(']');
        if host.is_empty() || (host.contains(':') && !bracketed) || host.contains(['/', ' ']) {
            return Err(wrong());
        }
        Ok(Address::Tcp(text.to_owned()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(text) => out.write_str(text),
            Address::Unix(path) => write!(out, "unix:{}", path.display()),
            Address::Abstract(name) => write!(out, "unix:@{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_are_read_and_shown_as_they_were_written() {
        let good = ["127.0.0.1:0", "localhost:80", "[::1]:8000", "unix:/run/a.sock", "unix:@a"];
        for text in good {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        let long = format!("unix:/{}", "a".repeat(107));
        let bad = [
            "",
            "80",
            ":80",
            "host",
            "host:",
            "host:99999",
            "::1:80",
            "unix:",
            "unix:a",
            "unix:@",
            &long,
        ];
        for text in bad {
            text.parse::<Address>().expect_err(text);
        }
    }
}
