//! One hop of one run, with everything about it settled: what a kind needs to know to start it.

use std::path::PathBuf;

use crate::file::{Hop, Protocol};
use crate::hosts::Namespace;
use crate::probe::Address;
use crate::subject::Subject;
use crate::tls::Tls;

/// What a hop is laid out for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be started here, by us and as us, and looked at closely.
    Run,
    /// To be written down for somebody's servers.
    Export,
}

/// Where one program stands in a running topology.
#[derive(Debug)]
pub struct Place<'a> {
    /// The hop's name; with its number when there are several.
    pub name: String,
    pub hop: &'a Hop,
    pub purpose: Purpose,
    /// A folder of its own: configuration, pid file, logs, sockets.
    pub folder: PathBuf,
    pub listen: Address,
    /// Where it passes requests on to.
    pub upstreams: Vec<Address>,
    /// What is spoken there.
    pub upstream_protocol: Protocol,
    /// Sockets of others that go when it goes.
    pub(crate) also_unlinks: Vec<PathBuf>,
    pub subject: &'a Subject,
    /// When browsers come to it by https.
    pub tls: Option<&'a Tls>,
    /// The network namespace of its host, when it has one of its own.
    pub(crate) namespace: Option<&'a Namespace>,
}

impl Place<'_> {
    /// Where browsers ask for the application's static files, and the folder with them.
    pub(crate) fn static_files(&self) -> Option<(&str, PathBuf)> {
        let application = &self.subject.application;
        let url = application.static_url();
        (!url.is_empty()).then(|| (url, application.static_folder(&self.subject.data)))
    }
}
