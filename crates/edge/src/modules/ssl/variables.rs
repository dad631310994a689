//! `$ssl_*`: what was agreed on, and what the client's certificate says. Over a connection without
//! TLS there are none.

use std::fmt::Write;

use bytes::Bytes;
use rustls::{CipherSuite, NamedGroup, ProtocolVersion};

use crate::{
    clock,
    connection::Secured,
    exchange::Exchange,
    tls::{Subject, Verified, cipher_name, curve_name, subject},
    vars::{Variable, variable},
};

pub(super) const VARIABLES: &[Variable] = &[
    variable("ssl_protocol", |exchange, _| {
        of(exchange, |tls| Some(protocol_name(tls.protocol).into()))
    }),
    variable("ssl_cipher", |exchange, _| of(exchange, |tls| Some(cipher_name(tls.cipher).into()))),
    variable("ssl_ciphers", |exchange, _| {
        of(exchange, |tls| Some(list(&tls.offer.ciphers, |it: &CipherSuite| cipher_name(*it))))
    }),
    variable("ssl_curve", |exchange, _| {
        of(exchange, |tls| tls.group.map(|group| curve_name(group).into()))
    }),
    variable("ssl_curves", |exchange, _| {
        of(exchange, |tls| Some(list(&tls.offer.groups, |it: &NamedGroup| curve_name(*it))))
    }),
    variable("ssl_server_name", |exchange, _| of(exchange, |tls| tls.offer.name.clone())),
    variable("ssl_alpn_protocol", |exchange, _| of(exchange, |tls| tls.alpn.clone())),
    variable("ssl_session_id", |exchange, _| {
        of(exchange, |tls| {
            let hex: String = tls.session_id.iter().map(|byte| format!("{byte:02x}")).collect();
            Some(hex.into())
        })
    }),
    variable("ssl_session_reused", |exchange, _| {
        of(exchange, |tls| Some(Bytes::from_static(if tls.resumed { b"r" } else { b"." })))
    }),
    // Nothing is read before the handshake is over.
    variable("ssl_early_data", |_, _| None),
    variable("ssl_client_verify", |exchange, _| {
        of(exchange, |tls| {
            Some(match tls.verified {
                Verified::None => Bytes::from_static(b"NONE"),
                Verified::Success => Bytes::from_static(b"SUCCESS"),
                Verified::Failed(fault) => format!("FAILED:{}", fault.words).into(),
            })
        })
    }),
    variable("ssl_client_cert", |exchange, _| {
        // As a field of a request can hold it: every line but the first begins with a tab.
        client(exchange, |it| subject::pem(it).trim_end().replace('\n', "\n\t"))
    }),
    variable("ssl_client_raw_cert", |exchange, _| client(exchange, subject::pem)),
    variable("ssl_client_escaped_cert", |exchange, _| {
        client(exchange, |it| escape_component(&subject::pem(it)))
    }),
    variable("ssl_client_s_dn", |exchange, _| client(exchange, subject::name)),
    variable("ssl_client_i_dn", |exchange, _| client(exchange, subject::issuer)),
    variable("ssl_client_s_dn_legacy", |exchange, _| client(exchange, subject::legacy_name)),
    variable("ssl_client_i_dn_legacy", |exchange, _| client(exchange, subject::legacy_issuer)),
    variable("ssl_client_serial", |exchange, _| client(exchange, subject::serial)),
    variable("ssl_client_fingerprint", |exchange, _| client(exchange, subject::fingerprint)),
    variable("ssl_client_v_start", |exchange, _| client(exchange, subject::start)),
    variable("ssl_client_v_end", |exchange, _| client(exchange, subject::end)),
    variable("ssl_client_v_remain", |exchange, _| {
        client(exchange, |it| subject::days_left(it, clock::now().0 as i64).to_string())
    }),
];

/// nginx's variables are missing where they would be empty.
fn of(exchange: &Exchange, get: impl FnOnce(&Secured) -> Option<Bytes>) -> Option<Bytes> {
    exchange.client.peer.tls().and_then(get).filter(|value| !value.is_empty())
}

fn client(exchange: &Exchange, get: impl FnOnce(&Subject<'_>) -> String) -> Option<Bytes> {
    of(exchange, |tls| {
        let subject = Subject::of(tls.certificates.first()?).ok()?;
        Some(get(&subject).into())
    })
}

fn protocol_name(protocol: ProtocolVersion) -> &'static str {
    match protocol {
        ProtocolVersion::TLSv1_3 => "TLSv1.3",
        _ => "TLSv1.2",
    }
}

fn list<T>(all: &[T], name: impl Fn(&T) -> String) -> Bytes {
    all.iter().map(name).collect::<Vec<_>>().join(":").into()
}

/// All but letters, digits and `-._~` as `%XX`.
fn escape_component(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            escaped.push(char::from(byte));
        } else {
            let _in_memory = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}
