//! gunicorn's "Server Mechanics", those of HTTP: whose word is believed, and how strictly heads are read.

use super::{Json, List, Nothing, One, Optional, ROW, Row, as_it_is, last, read};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "forwarded_allow_ips",
        flags: &["--forwarded-allow-ips"],
        takes: List("NETWORKS"),
        environment: Some(("FORWARDED_ALLOW_IPS", as_it_is)),
        default: "127.0.0.1,::1",
        help: "Peers whose X-Forwarded-Proto is believed, with commas between them; *: all",
        read: |to, values| read::trusted(last(values)).map(|value| to.forwarded_allow_ips = value),
        ..ROW
    },
    Row {
        name: "secure_scheme_headers",
        flags: &[],
        takes: Json,
        default: "{\"X-FORWARDED-PROTOCOL\": \"ssl\", \"X-FORWARDED-PROTO\": \"https\", \"X-FORWARDED-SSL\": \"on\"}",
        help: "Fields, and their values, by which a trusted peer says that its client spoke https",
        read: |to, values| read::fields(last(values)).map(|value| to.secure_scheme_headers = value),
        ..ROW
    },
    Row {
        name: "forwarder_headers",
        flags: &["--forwarder-headers"],
        takes: List("NAMES"),
        default: "SCRIPT_NAME,PATH_INFO",
        help: "Fields with an underscore that a trusted peer may set, with commas between them",
        read: |to, values| {
            to.forwarder_headers = read::names(last(values));
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "header_map",
        flags: &["--header-map"],
        takes: One("HOW"),
        default: "drop",
        help: "What becomes of fields whose name has an underscore: drop, refuse or dangerous",
        read: |to, values| read::header_map(last(values)).map(|value| to.header_map = value),
        ..ROW
    },
    Row {
        name: "proxy_protocol",
        flags: &["--proxy-protocol"],
        takes: Optional("VERSION", "auto"),
        default: "off",
        help: "Whether a PROXY line comes first: off, v1, v2 or auto",
        read: |to, values| {
            read::proxy_protocol(last(values)).map(|value| to.proxy_protocol = value)
        },
        ..ROW
    },
    Row {
        name: "proxy_allow_ips",
        flags: &["--proxy-allow-from"],
        takes: List("NETWORKS"),
        default: "127.0.0.1,::1",
        help: "Peers that may send one, with commas between them; *: all",
        read: |to, values| read::trusted(last(values)).map(|value| to.proxy_allow_ips = value),
        ..ROW
    },
    Row {
        name: "permit_obsolete_folding",
        flags: &["--permit-obsolete-folding"],
        takes: Nothing,
        default: "",
        help: "Join lines of a field that was folded, rather than refuse it",
        read: |to, _| {
            to.permit_obsolete_folding = true;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "strip_header_spaces",
        flags: &["--strip-header-spaces"],
        takes: Nothing,
        default: "",
        help: "Take blanks between a field's name and its colon; unsafe behind a proxy",
        read: |to, _| {
            to.strip_header_spaces = true;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "permit_unconventional_http_method",
        flags: &["--permit-unconventional-http-method"],
        takes: Nothing,
        default: "",
        help: "Take methods in lower case, with # in them, or of unusual length",
        read: |to, _| {
            to.permit_unconventional_http_method = true;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "permit_unconventional_http_version",
        flags: &["--permit-unconventional-http-version"],
        takes: Nothing,
        default: "",
        help: "Take versions of HTTP other than 1.0 and 1.1",
        read: |to, _| {
            to.permit_unconventional_http_version = true;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "casefold_http_method",
        flags: &["--casefold-http-method"],
        takes: Nothing,
        default: "",
        help: "Turn methods to upper case",
        read: |to, _| {
            to.casefold_http_method = true;
            Ok(())
        },
        ..ROW
    },
];
