//! gunicorn's "Debugging".

use super::{Many, Mode, Nothing, One, ROW, Row, last, read};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "reload",
        flags: &["--reload"],
        takes: Nothing,
        default: "",
        help: "Restart the workers when a file of a module they have imported changes; for development",
        read: |to, _| {
            to.reload = true;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "reload_engine",
        flags: &["--reload-engine"],
        takes: One("ENGINE"),
        default: "auto",
        help: "How changes are seen: auto, poll or inotify",
        read: |to, values| read::reload_engine(last(values)).map(|value| to.reload_engine = value),
        ..ROW
    },
    Row {
        name: "reload_extra_files",
        flags: &["--reload-extra-file"],
        takes: Many("FILE"),
        default: "",
        help: "One more file, or glob of files, to watch; repeatable",
        read: |to, values| {
            to.reload_extra_files =
                values.iter().map(|text| read::file_or_glob(text)).collect::<Result<_, _>>()?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "check_config",
        flags: &["--check-config"],
        takes: Nothing,
        default: "",
        help: "Import the application once, then leave with 0 or 1",
        read: |to, _| {
            to.mode = to.mode.max(Mode::Check);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "print_config",
        flags: &["--print-config"],
        takes: Nothing,
        default: "",
        help: "Print every setting, then do as --check-config",
        read: |to, _| {
            to.mode = Mode::Print;
            Ok(())
        },
        ..ROW
    },
];
