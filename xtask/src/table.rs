//! The table of a running chain, as `up` and `status` print it.

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use xtask::running::Running;

pub(crate) fn table(running: &Running) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["hop", "pid", "socket", "log"]);
    for hop in &running.hops {
        let log = |at: usize| {
            hop.logs.get(at).map(|log| short(&log.display().to_string())).unwrap_or_default()
        };
        let state =
            if hop.process.alive() { hop.process.pid.to_string() } else { "dead".to_owned() };
        table.add_row([hop.name.clone(), state, short(&hop.address.to_string()), log(0)]);
        if hop.name == "gateway" {
            for worker in hop.process.children() {
                let (name, socket) = match worker.name().as_deref() {
                    Some("nursery") => ("nursery", "forks the app-hosts"),
                    _ => ("app-host", "from the gateway"),
                };
                let pid = worker.pid.to_string();
                table.add_row([name.to_owned(), pid, socket.to_owned(), log(0)]);
            }
        }
    }
    format!("{table}\n{} at {}", running.application, running.url)
}

/// Paths as seen from the workspace.
fn short(path: &str) -> String {
    path.replace(&format!("{}/", xtask::workspace::root().display()), "")
}
