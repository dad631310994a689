//! A server's settings, once all is said, to what it agrees to: certificates and keys are read, and
//! what does not go together is found out.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{Placed, Ssl};
use crate::{
    conf::{ConfError, Span},
    tls::{
        self, Authorities, Certificate, Order, RevocationList, Source, Terms, TicketKeys, Wanted,
        Wishes,
    },
};

/// nginx's.
const SESSION_TIMEOUT: Duration = Duration::from_mins(5);
const RECORD: usize = 16 << 10;

impl Ssl {
    /// `None`: the server has no certificates, and shows those of the address's default.
    pub fn settle(
        &self,
        server: &Span,
        warnings: &mut Vec<ConfError>,
    ) -> Result<Option<Arc<Terms>>, ConfError> {
        let authorities = self.authorities(server);
        if !self.has_certificates() {
            return Ok(None);
        }
        if self.stapling.or(false) && self.stapling_file.or(None).is_none() {
            let message = "\"ssl_stapling\" ignored, the edge asks no OCSP responder";
            warnings.push(server.error(message));
        }
        let keys: Vec<PathBuf> =
            self.session_ticket_keys.iter().map(|key| key.value.clone()).collect();
        let ticket_keys = match self.session_ticket_keys.first() {
            _ if !self.session_tickets.or(true) => None,
            None => Some(TicketKeys::own()),
            Some(first) => Some(TicketKeys::read(&keys).map_err(|why| first.span.error(why))?),
        };
        let prefer_server = self.prefer_server_ciphers.or(false);
        let wishes = Wishes {
            certificates: self.read_certificates()?,
            protocols: self.protocols.or_default(),
            ciphers: self.ciphers.or_default(),
            curves: self.curves.or_default(),
            order: if prefer_server { Order::Server } else { Order::Client },
            authorities: authorities?,
            record_size: self.buffer_size.or(RECORD),
            session_timeout: self.session_timeout.or(SESSION_TIMEOUT),
            session_cache: self.session_cache.or(None),
            ticket_keys,
        };
        let terms = Terms::of(wishes);
        terms.map(|terms| Some(Arc::new(terms))).map_err(|error| server.error(error.to_string()))
    }

    fn read_certificates(&self) -> Result<Vec<Certificate>, ConfError> {
        let passwords = self.passwords.or(Arc::default());
        let staple = self.stapling_file.or(None).filter(|_| self.stapling.or(false));
        let staple = staple.map(|file| file.read(Source::bytes)).transpose()?;
        let pairs = self.certificates.iter().enumerate().map(|(place, certificate)| {
            let source = &certificate.value;
            let Some(key) = self.keys.get(place) else {
                let message =
                    format!("no \"ssl_certificate_key\" is defined for certificate \"{source}\"");
                return Err(certificate.span.error(message));
            };
            let mut pair = tls::load(source, &key.value, &passwords)
                .map_err(|message| certificate.span.error(message))?;
            pair.ocsp.clone_from(&staple);
            Ok(pair)
        });
        pairs.collect()
    }

    fn authorities(&self, server: &Span) -> Result<Option<Authorities>, ConfError> {
        let Some(wanted) = self.verify_client() else { return Ok(None) };
        let (hints, others) = (self.client_certificate.or(None), self.trusted_certificate.or(None));
        if wanted != Wanted::Any && hints.is_none() && others.is_none() {
            let message =
                "no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client";
            return Err(server.error(message));
        }
        let read = |file: Option<Placed<Source>>| match file {
            Some(file) => file.read(tls::certificates),
            None => Ok(Vec::new()),
        };
        let revoked = match self.crl.or(None) {
            Some(file) => file.read(RevocationList::read)?,
            None => Vec::new(),
        };
        let (hints, others) = (read(hints)?, read(others)?);
        let depth = self.verify_depth.or(1);
        Ok(Some(Authorities { hints, others, depth, revoked, wanted }))
    }
}

impl<T> Placed<T> {
    pub(in crate::modules) fn read<V>(
        &self,
        read: impl FnOnce(&T) -> Result<V, String>,
    ) -> Result<V, ConfError> {
        read(&self.value).map_err(|message| self.span.error(message))
    }
}
