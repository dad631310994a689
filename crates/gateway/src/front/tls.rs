//! TLS, where no web server in front ends it: gunicorn's certfile, keyfile, ca_certs and cert_reqs.
//!
//! As in gunicorn, all listeners speak it or none does, unix sockets too. A handshake is nobody's but
//! its client's: it costs a worker nothing, has one deadline from its first byte to its last, and a
//! bound on its bytes. Must not know what is said inside.

mod certificates; // files, as rustls wants them
mod handshake; // the beginning of a connection
mod records; // plaintext to records, and back

use std::{cell::RefCell, sync::Arc};

use rustls::ServerConfig;

pub(super) use handshake::{HANDSHAKE, Unshaken, greet};
pub(super) use records::Tls;

use crate::{
    log::Log,
    settings::{HttpProtocol, Settings},
};

/// What connections that begin now agree to; none speak TLS if there is nothing here. Those that
/// have begun keep what they agreed on.
#[derive(Default)]
pub(crate) struct Terms(RefCell<Option<Arc<ServerConfig>>>);

impl Terms {
    /// From the files that the settings name. What is said is why they will not do.
    pub(crate) fn read(settings: &Settings) -> Result<Terms, String> {
        let config = certificates::config(settings).map_err(|error| error.to_string())?;
        Ok(Terms(RefCell::new(config)))
    }

    /// The same files again, or others, after a reload. Those that will not do change nothing.
    pub(crate) fn renew(&self, settings: &Settings, log: &Log) {
        match certificates::config(settings) {
            Ok(config) => *self.0.borrow_mut() = config,
            Err(error) => log.error(format_args!(
                "{error}; the certificate that was loaded before stays in use"
            )),
        }
    }

    pub(super) fn now(&self) -> Option<Arc<ServerConfig>> {
        self.0.borrow().clone()
    }
}

/// One line at start for each that is accepted and can not be followed.
pub(crate) fn complain(settings: &Settings, log: &Log) {
    if settings.certfile.is_none() && settings.http_protocols.contains(&HttpProtocol::H2) {
        log.warning(
            "http_protocols includes h2, and there is no certfile: HTTP/2 is spoken over TLS only",
        );
    }
    if let Some(ciphers) = &settings.ciphers {
        log.warning(format_args!(
            "--ciphers \"{ciphers}\" has no effect: the suites are those of rustls, which are for \
             TLS 1.2 and 1.3 and have no known weakness"
        ));
    }
}
