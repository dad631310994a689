//! gunicorn's "Control": the socket of gunicornc.

use super::{Nothing, Number, One, ROW, Row, Settings, Value, file, in_python, last, read};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "control_socket",
        flags: &["--control-socket"],
        takes: One("PATH"),
        default: "",
        unset: Some(usual_place),
        help: "Where gunicornc finds us [default: $XDG_RUNTIME_DIR/gunicorn.ctl, or ~/.gunicorn/gunicorn.ctl]",
        read: |to, values| {
            to.control_socket = file(values);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "control_socket_mode",
        flags: &["--control-socket-mode"],
        takes: Number("MODE"),
        default: "0o600",
        typed: in_python::mask,
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

fn usual_place(_: &Settings) -> Value {
    crate::control_socket::default_path().map_or(Value::Null, |path| path.to_string_lossy().into())
}
