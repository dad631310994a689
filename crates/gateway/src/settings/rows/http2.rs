//! gunicorn's "HTTP/2".

use super::{List, Number, ROW, Row, last, read, unless_zero};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "http_protocols",
        flags: &["--http-protocols"],
        takes: List("LIST"),
        default: "h1",
        help: "What TLS clients may choose, the best first: h1, h2",
        read: |to, values| {
            read::http_protocols(last(values)).map(|value| to.http_protocols = value)
        },
        ..ROW
    },
    Row {
        name: "http2_max_concurrent_streams",
        flags: &["--http2-max-concurrent-streams"],
        takes: Number("N"),
        default: "100",
        help: "Requests at a time on a connection of HTTP/2",
        read: |to, values| {
            read::number(last(values), 1).map(|value| to.http2_max_concurrent_streams = value)
        },
        ..ROW
    },
    Row {
        name: "http2_initial_window_size",
        flags: &["--http2-initial-window-size"],
        takes: Number("BYTES"),
        default: "65535",
        help: "Of a body, sent before we have asked for more",
        read: |to, values| {
            read::between(last(values), 1, 0x7fff_ffff)
                .map(|value| to.http2_initial_window_size = value)
        },
        ..ROW
    },
    Row {
        name: "http2_max_frame_size",
        flags: &["--http2-max-frame-size"],
        takes: Number("BYTES"),
        default: "16384",
        help: "The longest frame taken",
        read: |to, values| {
            read::between(last(values), 16384, 16_777_215)
                .map(|value| to.http2_max_frame_size = value)
        },
        ..ROW
    },
    Row {
        name: "http2_max_header_list_size",
        flags: &["--http2-max-header-list-size"],
        takes: Number("BYTES"),
        default: "65536",
        help: "The longest head, unpacked; 0: no bound of its own",
        read: |to, values| {
            read::number(last(values), 0)
                .map(|value| to.http2_max_header_list_size = unless_zero(value))
        },
        ..ROW
    },
];
