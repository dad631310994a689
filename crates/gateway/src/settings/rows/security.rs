//! gunicorn's "Security": how long a head may be.

use super::{Number, ROW, Row, last, read, unless_zero};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "limit_request_line",
        flags: &["--limit-request-line"],
        takes: Number("BYTES"),
        default: "4094",
        help: "Longest request line; 0: the most there is, 65536",
        read: |to, values| {
            let limit = read::number(last(values), 0)?;
            to.limit_request_line = unless_zero(limit);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "limit_request_fields",
        flags: &["--limit-request-fields"],
        takes: Number("N"),
        default: "100",
        help: "Most header fields of a request; never over 32768",
        read: |to, values| {
            let limit: usize = read::number(last(values), 0)?;
            to.limit_request_fields = unless_zero(limit).unwrap_or(32768).min(32768);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "limit_request_field_size",
        flags: &["--limit-request-field_size"],
        takes: Number("BYTES"),
        default: "8190",
        help: "Longest header field of a request; 0: 8190",
        read: |to, values| {
            let limit: usize = read::number(last(values), 0)?;
            to.limit_request_field_size = unless_zero(limit).unwrap_or(8190);
            Ok(())
        },
        ..ROW
    },
];
