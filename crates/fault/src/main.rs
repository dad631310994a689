//! `causeway-fault`: the command line, nothing else.

use std::{fs, path::PathBuf, process::ExitCode};

use clap::Parser;
use fault::{Fault, Journal};
use tokio::signal::unix::{SignalKind, signal};

/// A proxy that injects faults between two hops, driven by Toxiproxy's API.
#[derive(Parser)]
#[command(name = "causeway-fault", version)]
struct Arguments {
    /// Where the control API listens.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Its port; 0 for one that is free, which is told on standard error.
    #[arg(long, default_value_t = 8474)]
    port: u16,
    /// Proxies to begin with: a JSON list, as `POST /populate` takes it.
    #[arg(long)]
    config: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let journal = Journal::stderr();
    match run(Arguments::parse(), journal.clone()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            journal.write(format_args!("causeway-fault: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments, journal: Journal) -> Result<(), String> {
    // Before anything listens: whoever sees a socket may end the process.
    let signals = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
    let [mut terminate, mut interrupt, mut hangup] = signals.map(signal);
    let failed = |error: &std::io::Error| format!("cannot take signals: {error}");
    let terminate = terminate.as_mut().map_err(|error| failed(error))?;
    let interrupt = interrupt.as_mut().map_err(|error| failed(error))?;
    let hangup = hangup.as_mut().map_err(|error| failed(error))?;
    let Arguments { host, port, config } = arguments;
    let config = config.map(|path| {
        let text = fs::read(&path);
        text.map_err(|error| format!("cannot read \"{}\": {error}", path.display()))
    });
    let config = config.transpose()?;
    let address =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let (fault, _) = Fault::start(&address, journal)
        .await
        .map_err(|error| format!("cannot listen on \"{address}\": {error}"))?;
    if let Some(config) = config {
        fault.configure(&config).await.map_err(|error| error.to_string())?;
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hangup.recv() => {}
    }
    fault.stop().await;
    Ok(())
}
