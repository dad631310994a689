//! What benches and fuzz targets reach of the inside: a head read, and written as a worker's
//! variables. Serving never comes here.

use bytes::BytesMut;

use crate::{
    dispatch::params,
    front::{Head, HeadReader, Limits, Scheme, proxy_protocol},
    gateway::{self, Gateway},
    listen::Local,
    settings::ProxyProtocol,
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
        Bench::with(&[])
    }
}

impl Bench {
    /// Everything forgiven that a setting can forgive.
    pub fn lenient() -> Bench {
        Bench::with(&[
            "--permit-obsolete-folding",
            "--strip-header-spaces",
            "--permit-unconventional-http-method",
            "--permit-unconventional-http-version",
            "--casefold-http-method",
            "--header-map=dangerous",
        ])
    }

    fn with(flags: &[&str]) -> Bench {
        let gateway = gateway::idle(flags);
        let limits = Limits::new(&gateway.settings(), true, Scheme::Http);
        let local = Local::Unix { path: "/run/app.sock".to_owned() };
        Bench { gateway, limits, local, story: Story::begin(Peer::Unix) }
    }

    /// `None`: it is not complete, or refused.
    pub fn read(&self, buffer: &mut BytesMut) -> Option<Request> {
        HeadReader::new(&self.limits).read(buffer).ok().flatten().map(Request)
    }

    /// A head that comes in pieces: its records, or none while it is not complete.
    pub fn read_pieces(&self, pieces: &[&[u8]]) -> Result<Option<Vec<u8>>, String> {
        let (mut reader, mut buffer) = (HeadReader::new(&self.limits), BytesMut::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            if let Some(head) = reader.read(&mut buffer).map_err(|error| error.to_string())? {
                return Ok(self.params(&Request(head)));
            }
        }
        Ok(None)
    }

    /// The records that begin the request, up to its body.
    pub fn params(&self, request: &Request) -> Option<Vec<u8>> {
        params::write(&self.gateway, &self.local, &request.0, &self.story).ok()
    }
}

/// What a connection that begins with these bytes says of its client, if it says so.
pub fn introduction(data: &[u8]) -> Option<String> {
    proxy_protocol::introduced(data, ProxyProtocol::Auto).map(|it| format!("{it:?}"))
}
