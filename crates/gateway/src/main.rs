//! The command line and the exit code, nothing else.

use std::{
    env,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use causeway_gateway::settings::{self, Request, SettingsError};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let has_config = Path::new("gunicorn.conf.py").exists();
    let environment = |name: &str| env::var(name).ok();
    match settings::read(env::args_os().collect(), &environment, has_config) {
        Ok(Request::Print(text)) => {
            // Whoever closed the pipe has read enough.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Ok(Request::Run { settings, mode, chosen }) => {
            if mode == settings::Mode::Print {
                let _ = io::stdout().write_all(settings::print(&chosen).as_bytes());
            }
            causeway_gateway::run(*settings, mode)
        }
        Err(error) => {
            let text = error.to_string();
            let _ = writeln!(io::stderr(), "{}", text.trim_end());
            match error {
                SettingsError::Usage(_) => ExitCode::from(2),
                SettingsError::Value(_) => ExitCode::from(1),
            }
        }
    }
}
