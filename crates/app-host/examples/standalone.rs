//! An app-host without a gateway, for a web server that speaks FastCGI itself.
//!
//! `standalone [--python PYTHON] OPTIONS module:callable`, where the options are those of
//! `HostOptions`: `--bind`, `--threads`, `--chdir`, `--pythonpath`. The interpreter takes this
//! process over, so signals and exit codes are its own.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

use causeway_app_host::{HostOptions, command, library};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut python = PathBuf::from("python3");
    if arguments.first().is_some_and(|first| first == "--python") && arguments.len() > 1 {
        python = PathBuf::from(&arguments[1]);
        arguments.drain(..2);
    }
    let options = HostOptions::from_arguments(arguments)?;
    let library = library().ok_or("libcauseway_app_host.so is not next to this program")?;
    Err(command(&python, &library, &options).exec().into())
}
