//! gunicorn's "Control": the socket of gunicornc.

use super::{Nothing, One, PathBuf, ROW, Row, last, read};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "control_socket",
        flags: &["--control-socket"],
        takes: One("PATH"),
        default: "",
        help: "Where gunicornc finds us [default: $XDG_RUNTIME_DIR/gunicorn.ctl, or ~/.gunicorn/gunicorn.ctl]",
        read: |to, values| {
            to.control_socket = Some(PathBuf::from(last(values)));
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "control_socket_mode",
        flags: &["--control-socket-mode"],
        takes: One("MODE"),
        default: "0o600",
        help: "Permissions of that socket",
        read: |to, values| read::mask(last(values)).map(|value| to.control_socket_mode = value),
        ..ROW
    },
    Row {
        name: "control_socket_disable",
        flags: &["--no-control-socket"],
        takes: Nothing,
        default: "",
        help: "Open no such socket",
        read: |to, _| {
            to.control_socket_disable = true;
            Ok(())
        },
        ..ROW
    },
];
