//! The blocks as they are read from on: `http`, `server`, `location`, and the unnamed ones (`if`,
//! `limit_except`).

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use super::{args::Scope, servers::ServerNames};
use crate::{
    conf::{ConfError, Source},
    connection::Who,
    engine::{locate::Locations, plan::Plan},
    listen::Listen,
    log::Files,
    modules::{
        client_body::ClientBody, core::Core, error_log::ErrorLog, error_page::ErrorPages,
        http2::Http2, main::Main, server::VirtualServer, ssl::Ssl, types::Types,
    },
    regex::Regex,
    tls::Terms,
    vars::{Linked, Names},
};

/// What the command line says about reading the configuration.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `-p`: what relative names are relative to.
    pub prefix: PathBuf,
    /// `-c`: the file.
    pub file: PathBuf,
    /// `-g`: directives outside of the file.
    pub globals: String,
    /// `-e`: the error log until the file names one.
    pub error_log: Option<String>,
}

/// The whole configuration, settled.
pub struct Config {
    pub main: Arc<Main>,
    pub error_log: Arc<ErrorLog>,
    /// `None` without an `http` block: a server with nothing to serve, which nginx allows.
    pub http: Option<Arc<Http>>,
    /// What was read, for `-T`.
    pub sources: Vec<Source>,
    /// Every log, opened once however often it is named.
    pub files: Arc<Files>,
    /// Where temporary files go.
    pub folders: Vec<PathBuf>,
    /// What is worth saying but no reason to refuse.
    pub warnings: Vec<ConfError>,
}

pub struct Http {
    pub addresses: Vec<Address>,
    pub linked: Arc<Linked>,
    /// `debug_connection`.
    pub debugged: Vec<Who>,
}

impl Http {
    /// Of a configuration without an `http` block.
    pub fn nothing() -> Http {
        let linked = Names::default().link(&[]).expect("no name is mentioned, so none is unknown");
        Http { addresses: Vec::new(), linked: Arc::new(linked), debugged: Vec::new() }
    }
}

/// One socket address and the servers behind it.
pub struct Address {
    pub listen: Listen,
    pub names: ServerNames,
    pub default: Arc<Server>,
    /// No name can mean another.
    pub has_one_server: bool,
}

/// An address as one connection has reached it.
#[derive(Clone, Copy)]
pub struct Reached<'a> {
    pub address: &'a Address,
    /// Whose settings hold until the host is known.
    pub default: &'a Arc<Server>,
}

pub struct Server {
    /// The first name of `server_name`, for `$server_name` and the logs.
    pub name: String,
    /// A server is also a location: the one in force before any is found.
    pub outer: Arc<Location>,
    pub locations: Locations,
    pub named: HashMap<String, Arc<Location>>,
    pub settings: Arc<VirtualServer>,
    pub ssl: Arc<Ssl>,
    /// What it agrees to where TLS is spoken, if it has certificates of its own.
    pub tls: Option<Arc<Terms>>,
}

pub struct Location {
    pub name: Name,
    pub core: Arc<Core>,
    pub client_body: Arc<ClientBody>,
    pub http2: Arc<Http2>,
    pub error_log: Arc<ErrorLog>,
    pub error_pages: Arc<ErrorPages>,
    pub types: Arc<Types>,
    pub plan: Plan,
    pub locations: Locations,
    pub(super) scopes: Vec<Arc<Location>>,
}

/// How a location is found.
#[derive(Clone, Debug)]
pub enum Name {
    /// A server's own block.
    Outer,
    Exact(String),
    Prefix(String),
    /// `^~`: where this is the longest prefix, no pattern is asked.
    FinalPrefix(String),
    Pattern(Regex, String),
    /// `@name`: only by name.
    Named(String),
}

impl Name {
    /// As it stands in the file, without its sign.
    pub fn text(&self) -> &str {
        match self {
            Name::Outer => "",
            Name::Exact(text)
            | Name::Prefix(text)
            | Name::FinalPrefix(text)
            | Name::Pattern(_, text)
            | Name::Named(text) => text,
        }
    }

    /// The text a URI is compared with; of `alias` and `proxy_pass`, what is replaced.
    pub fn prefix(&self) -> Option<&str> {
        match self {
            Name::Exact(text) | Name::Prefix(text) | Name::FinalPrefix(text) => Some(text),
            _ => None,
        }
    }
}

impl Location {
    /// The block in force for a method: `limit_except` puts another in this one's place.
    pub fn for_method(self: &Arc<Location>, method: &[u8]) -> Arc<Location> {
        match self.core.limit_except(method) {
            Some(scope) => self.scope(scope),
            None => Arc::clone(self),
        }
    }

    pub fn scope(&self, scope: Scope) -> Arc<Location> {
        Arc::clone(&self.scopes[scope.0])
    }
}

impl<'a> Reached<'a> {
    pub fn server(self, host: Option<&bytes::Bytes>) -> &'a Arc<Server> {
        // No host at all is the name "".
        let none = bytes::Bytes::new();
        self.address.names.find(host.unwrap_or(&none)).unwrap_or(&self.address.default)
    }

    /// Whether there is nothing to choose.
    pub fn has_one_server(self) -> bool {
        self.address.has_one_server
    }

    /// Whether TLS is spoken here.
    pub fn is_secure(self) -> bool {
        self.address.listen.ssl
    }
}
