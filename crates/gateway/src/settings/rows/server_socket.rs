//! gunicorn's "Server Socket": where connections come from.

use super::{Many, Nothing, Number, ROW, Row, address, last, read};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "bind",
        flags: &["-b", "--bind"],
        takes: Many("ADDRESS"),
        environment: Some(("PORT", |port| format!("0.0.0.0:{port}"))),
        default: "127.0.0.1:8000",
        help: "Where to listen: HOST:PORT, :PORT, unix:PATH or fd://N; repeatable",
        read: |to, values| {
            to.bind = values.iter().map(|text| address(text)).collect::<Result<_, _>>()?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "backlog",
        flags: &["--backlog"],
        takes: Number("N"),
        default: "2048",
        help: "Connections the kernel holds until they are accepted",
        read: |to, values| read::number(last(values), 0).map(|value| to.backlog = value),
        ..ROW
    },
    Row {
        name: "reuse_port",
        flags: &["--reuse-port"],
        takes: Nothing,
        default: "",
        help: "Bind with SO_REUSEPORT, so that other servers may bind the same address",
        read: |to, _| {
            to.reuse_port = true;
            Ok(())
        },
        ..ROW
    },
];
