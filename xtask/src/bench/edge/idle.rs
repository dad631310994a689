//! Connections that asked once, are kept, and say nothing: what a server's memory is for most of its
//! clients most of the time.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde::Serialize;
use tokio::time::Instant;
use xtask::{sys, workspace};

use super::{Server, find};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Kind {
    Plain,
    Tls,
    Http2,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Idle {
    kind: Kind,
    server: &'static str,
    connections: usize,
    before_kib: u64,
    with_kib: u64,
}

/// How long the connections may take to be there; TLS handshakes are what takes it.
const ENOUGH: Duration = Duration::from_mins(2);

/// Far longer than it is looked at.
const SILENCE: Duration = Duration::from_mins(10);

/// h2load keeps the connections: each asks at once, and again only after a long silence.
pub(super) async fn measure(kind: Kind, server: &Server, wanted: usize) -> Result<Idle> {
    let url = match kind {
        Kind::Plain => server.url("/1k.txt"),
        Kind::Tls | Kind::Http2 => server.tls_url("/1k.txt"),
    };
    let script = workspace::state().join("bench/edge/silence");
    fs::write(&script, format!("0\t{url}\n{}\t{url}\n", SILENCE.as_millis()))?;
    let mut command = Command::new(find("h2load").context("seen above")?);
    command.args(["-t1", &format!("-c{wanted}")]);
    command.arg(format!("--timing-script-file={}", script.display()));
    if kind != Kind::Http2 {
        command.arg("--h1");
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    sys::die_with_parent(&mut command);
    let (before, files) = (server.running.memory(), server.running.open_files());
    let mut holder = tokio::process::Command::from(command).kill_on_drop(true).spawn()?;
    let begun = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    // Until they are all there, or no more of them come, and nothing is being done for them.
    let mut last = (0, 0.0);
    loop {
        tick.tick().await;
        let now = (server.running.open_files().saturating_sub(files), server.running.cpu_seconds());
        if now.0 > 0 && now == last {
            break;
        }
        if begun.elapsed() > ENOUGH || holder.try_wait()?.is_some() {
            bail!("{}: {} of {wanted} connections are there, and no rest", server.name, now.0);
        }
        last = now;
    }
    let with = server.running.memory();
    holder.kill().await?;
    let (before_kib, with_kib) = (before, with);
    Ok(Idle { kind, server: server.name, connections: last.0, before_kib, with_kib })
}

pub(super) fn table(measured: &[Idle]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["idle", "server", "connections", "memory (PSS)", "before", "each"]);
    for Idle { kind, server, connections, before_kib, with_kib } in measured {
        let kind = match kind {
            Kind::Plain => "HTTP/1.1",
            Kind::Tls => "TLS, HTTP/1.1",
            Kind::Http2 => "TLS, HTTP/2",
        };
        let mebibytes = |kib: &u64| format!("{:.1} MiB", *kib as f64 / 1024.0);
        let each = with_kib.saturating_sub(*before_kib) as f64 / (*connections).max(1) as f64;
        table.add_row([
            kind.to_owned(),
            (*server).to_owned(),
            connections.to_string(),
            mebibytes(with_kib),
            mebibytes(before_kib),
            format!("{each:.1} KiB"),
        ]);
    }
    table
}
