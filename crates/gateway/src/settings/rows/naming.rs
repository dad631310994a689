//! gunicorn's "Process Naming".

use super::{One, ROW, Row, text};

pub(super) const ROWS: &[Row] = &[Row {
    name: "proc_name",
    flags: &["-n", "--name"],
    takes: One("NAME"),
    default: "",
    help: "What ps -o comm shows of this process; the kernel keeps 15 bytes",
    read: |to, values| {
        to.name = text(values);
        Ok(())
    },
    ..ROW
}];
