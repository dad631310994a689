//! What the benches reach of the inside: a head read, and written as a worker's variables. Serving
//! never comes here.

use bytes::BytesMut;

use crate::{
    dispatch::params,
    front::{Head, HeadReader, Limits, Scheme},
    gateway::{self, Gateway},
    listen::Local,
    story::{Peer, Story},
};

pub struct Bench {
    gateway: Gateway,
    limits: Limits,
    local: Local,
    story: Story,
}

/// A head that was read.
pub struct Request(Head);

impl Default for Bench {
    /// Behind a web server on a unix socket, as it mostly is.
    fn default() -> Bench {
        let gateway = gateway::idle(&[]);
        let limits = Limits::new(&gateway.settings(), true, Scheme::Http);
        let local = Local::Unix { path: "/run/app.sock".to_owned() };
        Bench { gateway, limits, local, story: Story::begin(Peer::Unix) }
    }
}

impl Bench {
    /// `None`: it is not complete, or refused.
    pub fn read(&self, buffer: &mut BytesMut) -> Option<Request> {
        HeadReader::new(&self.limits).read(buffer).ok().flatten().map(Request)
    }

    /// The records that begin the request, up to its body.
    pub fn params(&self, request: &Request) -> Option<Vec<u8>> {
        params::write(&self.gateway, &self.local, &request.0, &self.story).ok()
    }
}
