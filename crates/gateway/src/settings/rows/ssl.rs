//! gunicorn's "SSL": TLS, where no web server in front ends it.

use super::{Nothing, Number, One, ROW, Row, file, last, read, text};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "keyfile",
        flags: &["--keyfile"],
        takes: One("FILE"),
        default: "",
        help: "The key of --certfile [default: in that file]",
        read: |to, values| {
            to.keyfile = file(values);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "certfile",
        flags: &["--certfile"],
        takes: One("FILE"),
        default: "",
        help: "The certificate, and those between it and the root; speak TLS",
        read: |to, values| {
            to.certfile = file(values);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "ca_certs",
        flags: &["--ca-certs"],
        takes: One("FILE"),
        default: "",
        help: "Certificates that clients' are to be signed by",
        read: |to, values| {
            to.ca_certs = file(values);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "cert_reqs",
        flags: &["--cert-reqs"],
        takes: Number("N"),
        default: "0",
        help: "Certificates of clients: 0, not asked for; 1, if there is one; 2, required",
        read: |to, values| read::cert_reqs(last(values)).map(|value| to.cert_reqs = value),
        ..ROW
    },
    Row {
        name: "ciphers",
        flags: &["--ciphers"],
        takes: One("LIST"),
        default: "",
        idle: "rustls has no suites but safe ones",
        read: |to, values| {
            to.ciphers = text(values);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "ssl_version",
        flags: &["--ssl-version"],
        takes: One("N"),
        default: "",
        unset: Some(|_| 2.into()),
        idle: "TLS 1.2 and 1.3 are spoken; nor has it any in gunicorn",
        read: |_, _| Ok(()),
        ..ROW
    },
    Row {
        name: "suppress_ragged_eofs",
        flags: &["--suppress-ragged-eofs"],
        takes: Nothing,
        default: "",
        unset: Some(|_| true.into()),
        idle: "an end without close_notify is an end",
        read: |_, _| Ok(()),
        ..ROW
    },
    Row {
        name: "do_handshake_on_connect",
        flags: &["--do-handshake-on-connect"],
        takes: Nothing,
        default: "",
        idle: "no handshake holds anybody up",
        read: |_, _| Ok(()),
        ..ROW
    },
];
