//! Which of the servers at an address a name means: exact, `*.example.org`, `example.*`, then
//! regular expressions in the order of the file (nginx's `server_name`).

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;

use super::Server;
use crate::{exchange::Exchange, regex::Regex};

#[derive(Default)]
pub struct ServerNames {
    exact: HashMap<String, Arc<Server>>,
    /// `*.example.org`, kept as `.example.org`; longest first.
    leading: Vec<(String, Arc<Server>)>,
    /// `www.example.*`, kept as `www.example.`; longest first.
    trailing: Vec<(String, Arc<Server>)>,
    patterns: Vec<(Regex, Arc<Server>)>,
}

/// One word of `server_name`.
#[derive(Clone, Debug)]
pub enum ServerName {
    Exact(String),
    Leading(String),
    Trailing(String),
    Pattern(Regex),
}

impl ServerNames {
    /// `Err` with the name, where another server has it already: nginx warns and ignores it.
    pub fn add(&mut self, name: &ServerName, server: &Arc<Server>) -> Result<(), String> {
        let taken =
            |list: &[(String, Arc<Server>)], name: &str| list.iter().any(|(n, _)| n == name);
        match name {
            ServerName::Exact(name) if self.exact.contains_key(name) => return Err(name.clone()),
            ServerName::Exact(name) => {
                self.exact.insert(name.clone(), Arc::clone(server));
            }
            ServerName::Leading(name) if taken(&self.leading, name) => {
                return Err(format!("*{name}"));
            }
            ServerName::Leading(name) => insert(&mut self.leading, name, server),
            ServerName::Trailing(name) if taken(&self.trailing, name) => {
                return Err(format!("{name}*"));
            }
            ServerName::Trailing(name) => insert(&mut self.trailing, name, server),
            ServerName::Pattern(pattern) => {
                self.patterns.push((pattern.clone(), Arc::clone(server)));
            }
        }
        Ok(())
    }

    /// `host` is lower-case, without port and final dot.
    pub fn find(&self, host: &Bytes) -> Option<&Arc<Server>> {
        let by_pattern = || {
            let found = self.patterns.iter().find(|(pattern, _)| pattern.is_match(host));
            found.map(|(_, server)| server)
        };
        let Ok(text) = std::str::from_utf8(host) else { return by_pattern() };
        let leading = || self.leading.iter().find(|(end, _)| text.ends_with(end.as_str()));
        let trailing = || self.trailing.iter().find(|(start, _)| text.starts_with(start.as_str()));
        self.exact
            .get(text)
            .or_else(|| leading().or_else(trailing).map(|(_, server)| server))
            .or_else(by_pattern)
    }

    /// Sets what the pattern that chose this server has captured, for `$1` and named captures.
    pub fn capture(&self, exchange: &mut Exchange, host: &Bytes) {
        for (pattern, server) in &self.patterns {
            if Arc::ptr_eq(server, &exchange.server) && pattern.matches(exchange, host) {
                return;
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.exact.is_empty()
            && self.leading.is_empty()
            && self.trailing.is_empty()
            && self.patterns.is_empty()
    }
}

fn insert(list: &mut Vec<(String, Arc<Server>)>, name: &str, server: &Arc<Server>) {
    let place = list.partition_point(|(other, _)| other.len() >= name.len());
    list.insert(place, (name.to_owned(), Arc::clone(server)));
}
