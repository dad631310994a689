//! The command line and the exit code, nothing else.

use std::{
    env,
    io::{self, Write},
    process::ExitCode,
};

use causeway_gateway::settings::{self, Request};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let environment = |name: &str| env::var(name).ok();
    match settings::read(env::args_os().collect(), &environment) {
        Ok(Request::Print(text)) => {
            // Whoever closed the pipe has read enough.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Ok(Request::Run(sources)) => causeway_gateway::run(sources),
        Err(error) => {
            let text = error.to_string();
            let _ = writeln!(io::stderr(), "{}", text.trim_end());
            ExitCode::from(error.code())
        }
    }
}
