//! gunicorn's "Process Naming".

use super::{One, ROW, Row, last};

pub(super) const ROWS: &[Row] = &[Row {
    name: "proc_name",
    flags: &["-n", "--name"],
    takes: One("NAME"),
    default: "",
    help: "What ps -o comm shows of this process; the kernel keeps 15 bytes",
    read: |to, values| {
        to.name = Some(last(values).to_owned());
        Ok(())
    },
    ..ROW
}];
