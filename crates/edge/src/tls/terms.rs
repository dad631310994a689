//! What a server agrees to, made once from its settings and shared by its connections.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs::default_provider},
    pki_types::{CertificateDer, UnixTime},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};

use super::{
    Authorities, Certificate, Ciphers, Curves, Protocols, SessionCache, TicketKeys, Verified,
    certificates::Shown,
    sessions::{Resumption, Tickets},
};

/// What is spoken inside of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    Http1,
    /// HTTP/2, or HTTP/1 with clients that know no better.
    Http2,
}

/// A server's settings.
pub struct Wishes {
    pub certificates: Vec<Certificate>,
    pub protocols: Protocols,
    pub ciphers: Ciphers,
    pub curves: Curves,
    pub order: Order,
    pub authorities: Option<Authorities>,
    /// What a record holds at most.
    pub record_size: usize,
    pub session_timeout: Duration,
    pub session_cache: Option<Arc<SessionCache>>,
    /// `None`: clients get no tickets to keep.
    pub ticket_keys: Option<TicketKeys>,
}

/// Whose preference decides between two ciphers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Client,
    Server,
}

pub struct Terms {
    http1: Arc<ServerConfig>,
    http2: Arc<ServerConfig>,
    authorities: Option<Authorities>,
}

/// Type, version and length of a record, which rustls counts in.
const RECORD_HEAD: usize = 5;

impl Terms {
    /// `Err`: the wishes do not go together.
    pub fn of(wishes: Wishes) -> Result<Terms, rustls::Error> {
        let provider = CryptoProvider {
            cipher_suites: wishes.ciphers.suites(),
            kx_groups: wishes.curves.groups(),
            ..default_provider()
        };
        let asking = match &wishes.authorities {
            Some(authorities) => authorities.asking(),
            None => WebPkiClientVerifier::no_client_auth(),
        };
        let context = wishes.context();
        let mut config = ServerConfig::builder_with_provider(provider.into())
            .with_protocol_versions(&wishes.protocols.versions())?
            .with_client_cert_verifier(asking)
            .with_cert_resolver(Arc::new(Shown::new(wishes.certificates)));
        config.ignore_client_order = wishes.order == Order::Server;
        config.max_fragment_size = Some(wishes.record_size + RECORD_HEAD);
        let timeout = wishes.session_timeout;
        config.session_storage = match wishes.session_cache {
            Some(cache) => Arc::new(Resumption { cache, timeout, context: context.clone() }),
            None => Arc::new(NoServerSessionStorage {}),
        };
        match wishes.ticket_keys {
            Some(keys) => config.ticketer = Arc::new(Tickets { keys, timeout, context }),
            // A ticket that nothing is kept behind would be of no use.
            None if !config.session_storage.can_cache() => config.send_tls13_tickets = 0,
            None => (),
        }
        config.alpn_protocols = HTTP1.map(Vec::from).to_vec();
        let http1 = Arc::new(config.clone());
        config.alpn_protocols.insert(0, b"h2".to_vec());
        Ok(Terms { http1, http2: Arc::new(config), authorities: wishes.authorities })
    }

    pub fn config(&self, inside: Inside) -> Arc<ServerConfig> {
        Arc::clone(match inside {
            Inside::Http1 => &self.http1,
            Inside::Http2 => &self.http2,
        })
    }

    pub fn authorities(&self) -> Option<&Authorities> {
        self.authorities.as_ref()
    }

    /// What is to be thought of what a client has shown.
    pub fn verify(&self, certificates: &[CertificateDer<'_>]) -> Verified {
        match &self.authorities {
            Some(authorities) => authorities.verify(certificates, UnixTime::now()),
            None => Verified::None,
        }
    }
}

/// Names of what is spoken over HTTP/1's connections, as clients may ask for it.
const HTTP1: [&[u8]; 3] = [b"http/1.1", b"http/1.0", b"http/0.9"];

impl Wishes {
    /// Who is shown, and who is trusted: a session goes on only where both are the same.
    fn context(&self) -> Vec<u8> {
        let mut sum = digest::Context::new(&digest::SHA256);
        let shown = self.certificates.iter().flat_map(|certificate| &certificate.cert);
        let trusted = self.authorities.iter().flat_map(Authorities::trusted);
        for certificate in shown.chain(trusted) {
            sum.update(certificate);
        }
        sum.finish().as_ref().to_vec()
    }
}
