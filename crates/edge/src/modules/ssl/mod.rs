//! `ssl_*` of a server: its certificates, whose it takes, and how both talk.
//!
//! Settings only. What rustls makes of them is in `tls/`; a server's are put together once all is read
//! (`settle.rs`), because only then it is known which servers need them.

mod settle; // a server's settings to what it agrees to
mod check; // clients' certificates, before a request is answered
mod variables; // $ssl_*

use std::{path::PathBuf, sync::Arc, time::Duration};

pub use check::{Refused, check, may_ask};

use crate::{
    conf::{ConfError, Span},
    engine::plan::Plan,
    load::{
        Args,
        Arity::{AtLeast, Between, Exactly},
        Block, Directive, List, Module, Setting, Site, directive, parse_size,
    },
    tls::{
        self, BadList, Ciphers, Curves, Listed, Passwords, Protocols, SessionCache, Source, Wanted,
    },
    vars::Variable,
};

#[derive(Clone, Default)]
pub struct Ssl {
    certificates: List<Placed<Source>>,
    keys: List<Placed<Source>>,
    passwords: Setting<Passwords>,
    protocols: Setting<Protocols>,
    ciphers: Setting<Ciphers>,
    prefer_server_ciphers: Setting<bool>,
    curves: Setting<Curves>,
    dhparam: Setting<PathBuf>,
    buffer_size: Setting<usize>,
    verify_client: Setting<Option<Wanted>>,
    verify_depth: Setting<usize>,
    client_certificate: Setting<Option<Placed<Source>>>,
    trusted_certificate: Setting<Option<Placed<Source>>>,
    crl: Setting<Option<Placed<Source>>>,
    session_cache: Setting<Option<Arc<SessionCache>>>,
    session_timeout: Setting<Duration>,
    session_tickets: Setting<bool>,
    session_ticket_keys: List<Placed<PathBuf>>,
    reject_handshake: Setting<bool>,
    stapling: Setting<bool>,
    stapling_verify: Setting<bool>,
    stapling_responder: Setting<String>,
    stapling_file: Setting<Option<Placed<Source>>>,
    early_data: Setting<bool>,
}

/// A value, and where it was said: what is wrong with a file is found out later.
#[derive(Clone)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

const BLOCKS: &[Block] = &[Block::Http, Block::Server];

impl Module for Ssl {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("ssl_certificate", BLOCKS, Exactly(1), |ssl, args| {
            ssl.certificates.push(placed_source(args)?);
            Ok(())
        }),
        directive("ssl_certificate_key", BLOCKS, Exactly(1), |ssl, args| {
            ssl.keys.push(placed_source(args)?);
            Ok(())
        }),
        directive("ssl_password_file", BLOCKS, Exactly(1), |ssl, args| {
            let read = tls::passwords(&args.conf_path(0));
            let passwords = read.map_err(|message| args.complain(message))?;
            ssl.passwords.set(passwords, args)
        }),
        directive("ssl_protocols", BLOCKS, AtLeast(1), |ssl, args| {
            ssl.protocols.set(read_protocols(args)?, args)
        }),
        directive("ssl_ciphers", BLOCKS, Exactly(1), |ssl, args| {
            ssl.ciphers.set(read_ciphers(args)?, args)
        }),
        directive("ssl_prefer_server_ciphers", BLOCKS, Exactly(1), |ssl, args| {
            ssl.prefer_server_ciphers.set(args.flag()?, args)
        }),
        directive("ssl_ecdh_curve", BLOCKS, Exactly(1), Ssl::set_curves),
        // No cipher that is spoken here uses them; the file must be there.
        directive("ssl_dhparam", BLOCKS, Exactly(1), |ssl, args| {
            let path = args.conf_path(0);
            let read = Source::File(path.clone()).bytes();
            let fail = |why| args.complain(format!("BIO_new_file(\"{}\"): {why}", path.display()));
            read.map_err(fail)?;
            ssl.dhparam.set(path, args)
        }),
        directive("ssl_buffer_size", BLOCKS, Exactly(1), |ssl, args| {
            let size = usize::try_from(args.size(0)?).ok().filter(|size| RECORDS.contains(size));
            ssl.buffer_size.set(size.ok_or_else(|| args.refuse("invalid value"))?, args)
        }),
        directive("ssl_verify_client", BLOCKS, Exactly(1), |ssl, args| {
            let wanted = match args.word(0) {
                "off" => None,
                "on" => Some(Wanted::Required),
                "optional" => Some(Wanted::Optional),
                "optional_no_ca" => Some(Wanted::Any),
                word => return Err(args.complain(format!("invalid value \"{word}\""))),
            };
            ssl.verify_client.set(wanted, args)
        }),
        directive("ssl_verify_depth", BLOCKS, Exactly(1), |ssl, args| {
            ssl.verify_depth.set(args.number(0)?, args)
        }),
        directive("ssl_client_certificate", BLOCKS, Exactly(1), |ssl, args| {
            ssl.client_certificate.set(placed_file(args), args)
        }),
        directive("ssl_trusted_certificate", BLOCKS, Exactly(1), |ssl, args| {
            ssl.trusted_certificate.set(placed_file(args), args)
        }),
        directive("ssl_crl", BLOCKS, Exactly(1), |ssl, args| ssl.crl.set(placed_file(args), args)),
        directive("ssl_session_cache", BLOCKS, Between(1, 2), Ssl::set_session_cache),
        directive("ssl_session_timeout", BLOCKS, Exactly(1), |ssl, args| {
            ssl.session_timeout.set(args.time(0)?, args)
        }),
        directive("ssl_session_tickets", BLOCKS, Exactly(1), |ssl, args| {
            ssl.session_tickets.set(args.flag()?, args)
        }),
        directive("ssl_session_ticket_key", BLOCKS, Exactly(1), |ssl, args| {
            let (value, span) = (args.conf_path(0), args.node.name.span.clone());
            ssl.session_ticket_keys.push(Placed { value, span });
            Ok(())
        }),
        directive("ssl_reject_handshake", BLOCKS, Exactly(1), |ssl, args| {
            ssl.reject_handshake.set(args.flag()?, args)
        }),
        directive("ssl_stapling", BLOCKS, Exactly(1), |ssl, args| {
            ssl.stapling.set(args.flag()?, args)
        }),
        directive("ssl_stapling_verify", BLOCKS, Exactly(1), |ssl, args| {
            ssl.stapling_verify.set(args.flag()?, args)
        }),
        // No responder is asked (see `settle.rs`).
        directive("ssl_stapling_responder", BLOCKS, Exactly(1), |ssl, args| {
            ssl.stapling_responder.set(args.word(0).to_owned(), args)
        }),
        directive("ssl_stapling_file", BLOCKS, Exactly(1), |ssl, args| {
            ssl.stapling_file.set(placed_file(args), args)
        }),
        directive("ssl_early_data", BLOCKS, Exactly(1), |ssl, args| {
            if args.flag()? {
                return Err(
                    args.complain("\"ssl_early_data on\": nginx has this; the edge does not yet")
                );
            }
            ssl.early_data.set(false, args)
        }),
    ];
    const VARIABLES: &'static [Variable] = variables::VARIABLES;

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.certificates.inherit(&outer.certificates);
        self.keys.inherit(&outer.keys);
        self.passwords.inherit(&outer.passwords);
        self.protocols.inherit(&outer.protocols);
        self.ciphers.inherit(&outer.ciphers);
        self.prefer_server_ciphers.inherit(&outer.prefer_server_ciphers);
        self.curves.inherit(&outer.curves);
        self.dhparam.inherit(&outer.dhparam);
        self.buffer_size.inherit(&outer.buffer_size);
        self.verify_client.inherit(&outer.verify_client);
        self.verify_depth.inherit(&outer.verify_depth);
        self.client_certificate.inherit(&outer.client_certificate);
        self.trusted_certificate.inherit(&outer.trusted_certificate);
        self.crl.inherit(&outer.crl);
        self.session_cache.inherit(&outer.session_cache);
        self.session_timeout.inherit(&outer.session_timeout);
        self.session_tickets.inherit(&outer.session_tickets);
        self.session_ticket_keys.inherit(&outer.session_ticket_keys);
        self.reject_handshake.inherit(&outer.reject_handshake);
        self.stapling.inherit(&outer.stapling);
        self.stapling_verify.inherit(&outer.stapling_verify);
        self.stapling_responder.inherit(&outer.stapling_responder);
        self.stapling_file.inherit(&outer.stapling_file);
        self.early_data.inherit(&outer.early_data);
    }

    fn install(self: Arc<Self>, _plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        Ok(())
    }
}

/// What a record may hold.
const RECORDS: std::ops::RangeInclusive<usize> = 32..=16 << 10;

pub(super) fn placed_source(args: &Args<'_>) -> Result<Placed<Source>, ConfError> {
    let word = args.word(0);
    let lacking = "nginx has this; the edge does not yet";
    if word.contains('$') {
        return Err(args.refuse(&format!("variables in \"{word}\": {lacking}")));
    }
    if let Some(kind) = ["engine:", "store:"].into_iter().find(|kind| word.starts_with(kind)) {
        return Err(args.refuse(&format!("\"{kind}\": {lacking}")));
    }
    let value = match word.strip_prefix("data:") {
        Some(text) => Source::Text(text.to_owned()),
        None => Source::File(args.conf_path(0)),
    };
    Ok(Placed { value, span: args.node.name.span.clone() })
}

/// `None`: the empty name, which takes back what is said outside.
pub(super) fn placed_file(args: &Args<'_>) -> Option<Placed<Source>> {
    let value = Source::File(args.conf_path(0));
    (!args.word(0).is_empty()).then(|| Placed { value, span: args.node.name.span.clone() })
}

pub(super) fn read_protocols(args: &mut Args<'_>) -> Result<Protocols, ConfError> {
    let words = args.words().iter().map(|word| word.text.as_str());
    let spoken = "TLSv1.2 and TLSv1.3 are spoken here";
    match Protocols::read(words) {
        Listed::All(protocols) => Ok(protocols),
        Listed::Some(protocols) => {
            let warning = args.refuse(&format!("names old versions, but only {spoken}"));
            args.loader.warnings.push(warning);
            Ok(protocols)
        }
        Listed::None => Err(args.refuse(&format!("leaves nothing: only {spoken}"))),
        Listed::Unknown(word) => Err(args.complain(format!("invalid value \"{word}\""))),
    }
}

pub(super) fn read_ciphers(args: &Args<'_>) -> Result<Ciphers, ConfError> {
    let list = args.word(0);
    Ciphers::read(list).ok_or_else(|| {
        let why = "failed (SSL: no cipher match)";
        args.complain(format!("SSL_CTX_set_cipher_list(\"{list}\") {why}"))
    })
}

impl Ssl {
    fn set_curves(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let list = args.word(0);
        let curves = Curves::read(list).map_err(|bad| {
            let why = match bad {
                BadList::Unknown(name) => format!("unknown group \"{name}\""),
                BadList::Empty => "none of them is there".to_owned(),
            };
            args.complain(format!("SSL_CTX_set1_curves_list(\"{list}\") failed (SSL: {why})"))
        })?;
        self.curves.set(curves, args)
    }

    /// Where several kinds are named, the shared one counts: threads share it, and nothing else would.
    fn set_session_cache(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let mut cache = None;
        for place in 0..args.len() {
            let word = args.word(place).to_owned();
            let invalid = || args.complain(format!("invalid session cache \"{word}\""));
            match word.split_once(':') {
                None if matches!(word.as_str(), "off" | "none") => (),
                None if word == "builtin" => {
                    cache = cache.or(Some(Arc::new(SessionCache::of(BUILTIN))));
                }
                Some(("builtin", number)) => {
                    let number = number.parse().map_err(|_| invalid())?;
                    cache = cache.or(Some(Arc::new(SessionCache::of(number))));
                }
                Some(("shared", zone)) => {
                    let (name, size) = zone.split_once(':').ok_or_else(invalid)?;
                    let size = parse_size(size).filter(|_| !name.is_empty());
                    let size = size.ok_or_else(invalid)?;
                    if size < SMALLEST {
                        let message = format!("session cache \"{word}\" is too small");
                        return Err(args.complain(message));
                    }
                    let shared = &mut args.loader.session_caches;
                    let zone = shared.entry(name.to_owned());
                    cache = Some(Arc::clone(
                        zone.or_insert_with(|| Arc::new(SessionCache::of_size(size))),
                    ));
                }
                _ => return Err(invalid()),
            }
        }
        self.session_cache.set(cache, args)
    }

    pub fn has_certificates(&self) -> bool {
        !self.certificates.is_empty()
    }

    pub fn rejects_handshake(&self) -> bool {
        self.reject_handshake.or(false)
    }

    /// Whose certificates the server wants to see, if any.
    pub fn verify_client(&self) -> Option<Wanted> {
        self.verify_client.or(None)
    }
}

/// OpenSSL's own number of sessions.
const BUILTIN: usize = 20_480;

/// nginx's eight pages.
const SMALLEST: u64 = 8 * 4096;
