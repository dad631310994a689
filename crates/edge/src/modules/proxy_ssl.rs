//! `proxy_ssl_*`: what `proxy_pass https://` takes from the server it asks, and what it shows.

use std::sync::Arc;

use super::ssl::{Placed, placed_file, placed_source, read_ciphers, read_protocols};
use crate::{
    conf::{ConfError, Span},
    engine::plan::Plan,
    exchange::Exchange,
    load::{
        Args,
        Arity::{AtLeast, Exactly},
        Block, Directive, Module, Setting, Site, directive,
    },
    log::Level,
    tls::{
        self, Authorities, Called, Ciphers, Outward, OutwardWishes, Passwords, Protocols,
        RevocationList, Source, Wanted,
    },
    vars::Template,
};

#[derive(Clone, Default)]
pub struct ProxySsl {
    certificate: Setting<Option<Placed<Source>>>,
    key: Setting<Option<Placed<Source>>>,
    passwords: Setting<Passwords>,
    protocols: Setting<Protocols>,
    ciphers: Setting<Ciphers>,
    name: Setting<Template>,
    server_name: Setting<bool>,
    verify: Setting<bool>,
    verify_depth: Setting<usize>,
    trusted_certificate: Setting<Option<Placed<Source>>>,
    crl: Setting<Option<Placed<Source>>>,
    session_reuse: Setting<bool>,
}

const BLOCKS: &[Block] = &[Block::Http, Block::Server, Block::Location];

impl Module for ProxySsl {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("proxy_ssl_certificate", BLOCKS, Exactly(1), |ssl, args| {
            ssl.certificate.set(named(args)?, args)
        }),
        directive("proxy_ssl_certificate_key", BLOCKS, Exactly(1), |ssl, args| {
            ssl.key.set(named(args)?, args)
        }),
        directive("proxy_ssl_password_file", BLOCKS, Exactly(1), |ssl, args| {
            let read = tls::passwords(&args.conf_path(0));
            let passwords = read.map_err(|message| args.complain(message))?;
            ssl.passwords.set(passwords, args)
        }),
        directive("proxy_ssl_protocols", BLOCKS, AtLeast(1), |ssl, args| {
            ssl.protocols.set(read_protocols(args)?, args)
        }),
        directive("proxy_ssl_ciphers", BLOCKS, Exactly(1), |ssl, args| {
            ssl.ciphers.set(read_ciphers(args)?, args)
        }),
        directive("proxy_ssl_name", BLOCKS, Exactly(1), |ssl, args| {
            let name = args.template(0)?;
            ssl.name.set(name, args)
        }),
        directive("proxy_ssl_server_name", BLOCKS, Exactly(1), |ssl, args| {
            ssl.server_name.set(args.flag()?, args)
        }),
        directive("proxy_ssl_verify", BLOCKS, Exactly(1), |ssl, args| {
            ssl.verify.set(args.flag()?, args)
        }),
        directive("proxy_ssl_verify_depth", BLOCKS, Exactly(1), |ssl, args| {
            ssl.verify_depth.set(args.number(0)?, args)
        }),
        directive("proxy_ssl_trusted_certificate", BLOCKS, Exactly(1), |ssl, args| {
            ssl.trusted_certificate.set(placed_file(args), args)
        }),
        directive("proxy_ssl_crl", BLOCKS, Exactly(1), |ssl, args| {
            ssl.crl.set(placed_file(args), args)
        }),
        directive("proxy_ssl_session_reuse", BLOCKS, Exactly(1), |ssl, args| {
            ssl.session_reuse.set(args.flag()?, args)
        }),
    ];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.certificate.inherit(&outer.certificate);
        self.key.inherit(&outer.key);
        self.passwords.inherit(&outer.passwords);
        self.protocols.inherit(&outer.protocols);
        self.ciphers.inherit(&outer.ciphers);
        self.name.inherit(&outer.name);
        self.server_name.inherit(&outer.server_name);
        self.verify.inherit(&outer.verify);
        self.verify_depth.inherit(&outer.verify_depth);
        self.trusted_certificate.inherit(&outer.trusted_certificate);
        self.crl.inherit(&outer.crl);
        self.session_reuse.inherit(&outer.session_reuse);
    }

    fn install(self: Arc<Self>, _plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        Ok(())
    }
}

/// The empty name takes back what is said outside.
fn named(args: &Args<'_>) -> Result<Option<Placed<Source>>, ConfError> {
    if args.word(0).is_empty() { Ok(None) } else { placed_source(args).map(Some) }
}

/// One location's way of asking over TLS.
pub struct Asking {
    outward: Outward,
    /// By which name; unsaid, by the one `proxy_pass` has for it.
    name: Option<Template>,
}

impl ProxySsl {
    /// `place` is where `proxy_pass` stands.
    pub fn asking(&self, place: &Span) -> Result<Asking, ConfError> {
        let passwords = self.passwords.or_default();
        let certificate = match (self.certificate.or(None), self.key.or(None)) {
            (None, _) => None,
            (Some(certificate), None) => {
                let message = format!(
                    "no \"proxy_ssl_certificate_key\" is defined for certificate \"{}\"",
                    certificate.value
                );
                return Err(certificate.span.error(message));
            }
            (Some(certificate), Some(key)) => {
                Some(certificate.read(|chain| tls::load(chain, &key.value, &passwords))?)
            }
        };
        let outward = Outward::of(OutwardWishes {
            protocols: self.protocols.or_default(),
            ciphers: self.ciphers.or_default(),
            certificate,
            authorities: self.authorities(place)?,
            tells_name: self.server_name.or(false),
            reuses_sessions: self.session_reuse.or(true),
        });
        let outward = outward.map_err(|error| place.error(error.to_string()))?;
        Ok(Asking { outward, name: self.name.said().cloned() })
    }

    fn authorities(&self, place: &Span) -> Result<Option<Authorities>, ConfError> {
        if !self.verify.or(false) {
            return Ok(None);
        }
        let Some(trusted) = self.trusted_certificate.or(None) else {
            return Err(place.error("no proxy_ssl_trusted_certificate for proxy_ssl_verify"));
        };
        let revoked = match self.crl.or(None) {
            Some(file) => file.read(RevocationList::read)?,
            None => Vec::new(),
        };
        Ok(Some(Authorities {
            hints: Vec::new(),
            others: trusted.read(tls::certificates)?,
            depth: self.verify_depth.or(1),
            revoked,
            wanted: Wanted::Required,
        }))
    }
}

impl Asking {
    /// Who is to be met. `None`: nobody can be, and the log knows why.
    pub fn called(&self, exchange: &Exchange, host: &[u8]) -> Option<Called> {
        let name = self.name.as_ref().map(|name| name.render(exchange));
        let name = String::from_utf8_lossy(name.as_deref().unwrap_or(host)).into_owned();
        let called = self.outward.to(&name);
        if called.is_none() {
            let message = format!("upstream SSL certificate does not match \"{name}\"");
            exchange.log(Level::Error, &message);
        }
        called
    }
}
