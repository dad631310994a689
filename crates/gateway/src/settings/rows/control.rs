//! gunicorn's "Control": the socket of gunicornc.

use std::env;

use super::{
    Nothing, Number, One, PathBuf, ROW, Row, Settings, Value, file, in_python, last, read,
};

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
    let folder = |name: &str| env::var_os(name).map(PathBuf::from);
    let path = match folder("XDG_RUNTIME_DIR").filter(|folder| folder.is_dir()) {
        Some(folder) => folder.join("gunicorn.ctl"),
        None => folder("HOME").unwrap_or_default().join(".gunicorn/gunicorn.ctl"),
    };
    path.display().to_string().into()
}
