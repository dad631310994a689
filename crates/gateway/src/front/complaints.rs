//! What is wrong with clients' heads and yet no reason to refuse them: a field that is dropped, a word
//! that does not count. The operator hears of each once, since every request would say it again.

use std::collections::HashSet;

use super::Head;
use crate::{log::Log, story::Peer};

/// Names and addresses come from clients: what is remembered of them has a bound, and beyond it
/// nothing is said.
const MOST_NAMES: usize = 256;
const MOST_PEERS: usize = 32;

#[derive(Default)]
pub(crate) struct Complaints {
    dropped: HashSet<Vec<u8>>,
    unbelieved: HashSet<String>,
}

impl Complaints {
    /// `peer` is who connected.
    pub(super) fn hear(&mut self, head: &Head, peer: Peer, log: &Log) {
        for name in head.dropped() {
            let known = name.to_ascii_lowercase();
            if self.dropped.len() < MOST_NAMES && !self.dropped.contains(&known) {
                log.warning(format_args!(
                    "header \"{}\" from {peer} is dropped: with its underscore it would pass for \
                     \"{}\" (use that name, or list it in --forwarder-headers); said once for each \
                     name",
                    name.escape_ascii(),
                    String::from_utf8_lossy(name).replace('_', "-"),
                ));
                self.dropped.insert(known);
            }
        }
        if let Some((name, value)) = head.unbelieved() {
            let peer = peer.to_string();
            if self.unbelieved.len() < MOST_PEERS && !self.unbelieved.contains(&peer) {
                log.warning(format_args!(
                    "\"{}: {}\" from {peer} is not believed, and wsgi.url_scheme stays as it is: if \
                     {peer} is your proxy, add it to --forwarded-allow-ips; said once for each peer",
                    name.escape_ascii(),
                    value.escape_ascii(),
                ));
                self.unbelieved.insert(peer);
            }
        }
    }
}
