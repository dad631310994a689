//! gunicorn's "Server Mechanics", those of the process: its folder, its user, its files.

use std::path::Path;

use super::{
    Inverted, Many, Nothing, Number, One, PathBuf, ROW, Row, Value, absolute, file, in_python,
    last, read, text,
};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "chdir",
        flags: &["--chdir"],
        takes: One("FOLDER"),
        default: "",
        unset: Some(|to| to.chdir.as_deref().map(Path::to_string_lossy).into()),
        typed: |folder| absolute(folder.as_ref()).to_string_lossy().into(),
        help: "Where the application is loaded from [default: here]",
        read: |to, values| {
            let folder = PathBuf::from(last(values));
            // From where another is looked at, `Recipe::settle` knows.
            if folder.is_absolute() && !folder.is_dir() {
                return Err(format!("can't chdir to \"{}\"", folder.display()));
            }
            to.chdir = Some(folder);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "raw_env",
        flags: &["-e", "--env"],
        takes: Many("KEY=VALUE"),
        default: "",
        help: "An environment variable for the application; repeatable",
        read: |to, values| {
            to.env = values.iter().map(|text| read::variable(text)).collect::<Result<_, _>>()?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "pidfile",
        flags: &["-p", "--pid"],
        takes: One("FILE"),
        default: "",
        help: "A file for the process id, removed at exit",
        read: |to, values| {
            to.pid = file(values);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "umask",
        flags: &["-m", "--umask"],
        takes: Number("MASK"),
        default: "0",
        typed: in_python::mask,
        help: "Permissions a unix socket is made without; 0: everyone may connect",
        read: |to, values| read::mask(last(values)).map(|value| to.umask = value),
        ..ROW
    },
    Row {
        name: "pythonpath",
        flags: &["--pythonpath"],
        takes: One("FOLDERS"),
        default: "",
        help: "Folders to import from, with commas between them",
        read: |to, values| {
            let folders = last(values).split(',').filter(|folder| !folder.is_empty());
            to.pythonpath = folders.map(PathBuf::from).collect();
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "preload_app",
        flags: &["--preload"],
        takes: Nothing,
        default: "",
        help: "Import the application once, before workers are forked",
        read: |to, _| {
            to.preload_app = true;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "sendfile",
        flags: &["--no-sendfile"],
        takes: Inverted,
        environment: Some(("SENDFILE", sendfile)),
        default: "",
        help: "Never use sendfile() for wsgi.file_wrapper",
        read: |to, values| {
            to.sendfile = read::truth(last(values))?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "daemon",
        flags: &["-D", "--daemon"],
        takes: Nothing,
        default: "",
        help: "Go to the background",
        read: |to, _| {
            to.daemon = true;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "worker_tmp_dir",
        flags: &["--worker-tmp-dir"],
        takes: One("FOLDER"),
        default: "",
        idle: "no heartbeat files are written",
        read: |_, _| Ok(()),
        ..ROW
    },
    Row {
        name: "user",
        flags: &["-u", "--user"],
        takes: One("USER"),
        default: "",
        unset: Some(|_| nix::unistd::geteuid().as_raw().into()),
        typed: |text| read::user(text).map_or_else(|_| text.into(), Value::from),
        help: "Who answers requests, by name or number, once everything is open",
        read: |to, values| {
            to.user = text(values);
            read::user(last(values)).map(drop)
        },
        ..ROW
    },
    Row {
        name: "group",
        flags: &["-g", "--group"],
        takes: One("GROUP"),
        default: "",
        unset: Some(|_| nix::unistd::getegid().as_raw().into()),
        typed: |text| read::group(text).map_or_else(|_| text.into(), Value::from),
        help: "Its group, by name or number",
        read: |to, values| {
            to.group = text(values);
            read::group(last(values)).map(drop)
        },
        ..ROW
    },
    Row {
        name: "initgroups",
        flags: &["--initgroups"],
        takes: Nothing,
        default: "",
        help: "And every other group that user is in",
        read: |to, _| {
            to.initgroups = true;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "tmp_upload_dir",
        flags: &[],
        takes: One("FOLDER"),
        default: "",
        idle: "nor has it any in gunicorn",
        read: |_, _| Ok(()),
        ..ROW
    },
];

/// As gunicorn reads that variable: whatever it does not know means off.
fn sendfile(value: &str) -> String {
    let on = matches!(value.to_lowercase().as_str(), "y" | "1" | "yes" | "true");
    on.to_string()
}
