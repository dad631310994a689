//! The command line, and nothing else.

use std::{process::ExitCode, sync::Arc};

use causeway_edge::{listen, load, process};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut options = load::Options::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-c" => options.file = words.next().unwrap_or_default().into(),
            "-p" => options.prefix = words.next().unwrap_or_default().into(),
            "-e" => options.error_log = words.next(),
            "-g" => options.globals = words.next().unwrap_or_default(),
            _ => return ExitCode::FAILURE,
        }
    }
    options.file = options.prefix.join(&options.file);
    match start(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nginx: [emerg] {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(options: &load::Options) -> anyhow::Result<()> {
    let config = Arc::new(load::load(options)?);
    config.files.open(None)?;
    let addresses = config.http.iter().flat_map(|http| &http.addresses);
    let sockets: Result<Vec<_>, _> =
        addresses.map(|address| listen::bind(&address.listen)).collect();
    let sockets = sockets?;
    if let Some(pid) = config.main.pid() {
        std::fs::write(pid, format!("{}\n", std::process::id()))?;
    }
    process::run(&config, &sockets)?;
    Ok(())
}
