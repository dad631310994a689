//! systemd: a unit for each hop, confined as far as a web server can be; a socket unit for whoever takes its
//! socket from systemd, so that it stays while the hop restarts. The files lie as they lie below `/`.

mod read_me;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::elsewhere::Source;
use super::image::quoted;
use super::rehearse::{Exported, rehearse};
use super::target::{Logs, Socket, Target};
use super::{Elsewhere, Written};
use crate::file::{Database, Hop, Listen, Topology};
use crate::probe::Address;

/// What a web application has no need of.
const CONFINED: &str = "\
CapabilityBoundingSet=@CAPABILITIES@
AmbientCapabilities=@CAPABILITIES@
NoNewPrivileges=yes
UMask=0027
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
LockPersonality=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
# Of a unix socket of its own, to itself.
SystemCallFilter=@chown
SystemCallErrorNumber=EPERM
";

/// One machine for all of it.
struct Machine<'a> {
    application: &'a str,
    tls: bool,
    port: u16,
}

impl Machine<'_> {
    fn unit(&self, hop: &str) -> String {
        format!("{}-{hop}", self.application)
    }
}

impl Target for Machine<'_> {
    fn application(&self) -> PathBuf {
        Path::new("/srv").join(self.application).join("app")
    }
    fn environment(&self) -> PathBuf {
        Path::new("/srv").join(self.application).join("venv")
    }
    fn data(&self) -> PathBuf {
        Path::new("/var/lib").join(self.application)
    }
    fn config(&self, hop: &str) -> PathBuf {
        Path::new("/etc").join(self.application).join(hop)
    }
    fn run(&self, hop: &str) -> PathBuf {
        Path::new("/run").join(self.unit(hop))
    }
    fn logs(&self, hop: &str) -> Logs {
        Logs::Folder(Path::new("/var/log").join(self.unit(hop)))
    }
    fn tls(&self) -> PathBuf {
        self.config("tls")
    }
    fn socket(&self, at: usize, name: &str, hop: &Hop, elsewhere: &Elsewhere) -> Socket {
        let listen = match (at, hop.listen) {
            (0, _) => Address::Tcp(([0, 0, 0, 0], self.port).into()),
            (_, Listen::Tcp) => Address::Tcp(([127, 0, 0, 1], 8000 + at as u16).into()),
            // Its own folder in /run comes and goes with the service.
            (_, Listen::Unix) if elsewhere.takes_sockets => {
                Address::Unix(Path::new("/run").join(self.application).join(format!("{name}.sock")))
            }
            (_, Listen::Unix) => Address::Unix(self.run(name).join(format!("{name}.sock"))),
        };
        Socket { listen, reached: None }
    }
}

pub(super) fn files(topology: &Topology, port: Option<u16>) -> Result<Vec<Written>> {
    super::one_machine(topology)?;
    let name = topology.application.name.as_str();
    let tls = topology.hops[0].tls;
    let port = port.unwrap_or(if tls { 443 } else { 80 });
    let machine = Machine { application: name, tls, port };
    let exported = rehearse(topology, &machine)?;
    let units = Path::new("etc/systemd/system");
    let mut files = vec![
        Written::new(units.join(format!("{name}.target")), target(topology)),
        Written::new(units.join(format!("{name}-prepare.service")), prepare(topology, &machine)),
    ];
    for (at, hop) in exported.iter().enumerate() {
        let unit = units.join(machine.unit(&hop.name));
        files.push(Written::new(unit.with_extension("service"), service(&machine, &exported, at)));
        if takes_socket(hop) {
            files.push(Written::new(unit.with_extension("socket"), socket(topology, hop)));
        }
    }
    let own = Path::new("etc").join(name);
    files.push(Written::new(own.join("environment"), environment(topology, &exported)));
    files.push(Written::new(format!("etc/sysusers.d/{name}.conf"), users(topology)));
    files.push(Written::new(format!("etc/logrotate.d/{name}"), rotation(&machine, &exported)));
    files.push(Written::new("README.md", read_me::read_me(topology, &machine, &exported)));
    for hop in exported {
        let folder = own.join(&hop.name);
        let placed = hop.files.into_iter();
        files.extend(placed.map(|file| Written::new(folder.join(file.path), file.contents)));
    }
    Ok(files)
}

fn takes_socket(hop: &Exported<'_>) -> bool {
    hop.elsewhere.takes_sockets
}

fn target(topology: &Topology) -> String {
    format!(
        "# {topology}: {about}
[Unit]
Description={name}: all of its services

[Install]
WantedBy=multi-user.target
",
        topology = topology.name,
        about = topology.about,
        name = topology.application.name,
    )
}

fn service(machine: &Machine<'_>, exported: &[Exported<'_>], at: usize) -> String {
    let hop = &exported[at];
    let name = machine.application;
    let unit = machine.unit(&hop.name);
    let mut text = format!(
        "[Unit]\nDescription={name}: {} ({})\nPartOf={name}.target\nAfter=network-online.target\nWants=network-online.target\n",
        hop.name,
        hop.hop.kind.name()
    );
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(text, "{key}={value}");
    };
    for behind in exported[at + 1..].iter().filter(|behind| behind.hop.name != hop.hop.name) {
        line("Wants", &format!("{}.service", machine.unit(&behind.name)));
        line("After", &format!("{}.service", machine.unit(&behind.name)));
    }
    if hop.is_server() {
        line("Requires", &format!("{name}-prepare.service"));
        line("After", &format!("{name}-prepare.service"));
    }
    if takes_socket(hop) {
        line("Requires", &format!("{unit}.socket"));
        line("After", &format!("{unit}.socket"));
    }
    text.push_str("\n[Service]\n");
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(text, "{key}={value}");
    };
    line("Type", if hop.elsewhere.notifies { "notify" } else { "exec" });
    if hop.elsewhere.notifies {
        line("NotifyAccess", "main");
    }
    let user = if hop.is_server() { name.to_owned() } else { format!("{name}-web") };
    line("User", &user);
    line("Group", &user);
    if hop.is_server() {
        line("WorkingDirectory", &machine.application().display().to_string());
        line("EnvironmentFile", &format!("/etc/{name}/environment"));
        line("StateDirectory", name);
        line("StateDirectoryMode", "0750");
    } else {
        // To read the static files, and to connect to the socket.
        line("SupplementaryGroups", name);
    }
    for (name, value) in &hop.hop.env {
        line("Environment", &word(&format!("{name}={value}")));
    }
    line("RuntimeDirectory", &unit);
    line("RuntimeDirectoryMode", "0750");
    line("LogsDirectory", &unit);
    line("LogsDirectoryMode", "0750");
    line("ExecStart", &words(&hop.command));
    if let Some(signal) = hop.hop.kind.reload() {
        line("ExecReload", &format!("/bin/kill -s {} $MAINPID", short(signal)));
    }
    line("KillSignal", hop.hop.kind.stop().as_str());
    // First a word to the master alone, which lets its workers finish.
    line("KillMode", "mixed");
    // Longer than a request may take to finish, or it is killed in the middle.
    line("TimeoutStopSec", "40");
    line("TimeoutStartSec", "90");
    line("Restart", "on-failure");
    line("OOMPolicy", "continue");
    if let Source::Package { temporary: [folder, _], .. } = hop.elsewhere.source {
        // In place of the package's own, which belongs to the package's user.
        line("TemporaryFileSystem", &format!("{folder}:mode=0777"));
    }
    text.push('\n');
    text.push_str(&confined(if at == 0 && !takes_socket(hop) {
        "CAP_NET_BIND_SERVICE"
    } else {
        ""
    }));
    let _ = write!(text, "\n[Install]\nWantedBy={name}.target\n");
    text
}

fn confined(capabilities: &str) -> String {
    CONFINED.replace("@CAPABILITIES@", capabilities)
}

fn socket(topology: &Topology, hop: &Exported<'_>) -> String {
    let name = &topology.application.name;
    let (listen, owner) = match &hop.listen {
        Address::Tcp(address) => (address.to_string(), String::new()),
        Address::Unix(path) => (
            path.display().to_string(),
            // Who may connect: the group, in which the hop before it is.
            format!("SocketUser={name}\nSocketGroup={name}\nSocketMode=0660\n"),
        ),
    };
    format!(
        "# Held by systemd: it stays while the service restarts, and requests wait in it.
[Unit]
Description={name}: the socket of {hop}
PartOf={name}.target

[Socket]
ListenStream={listen}
Backlog=2048
{owner}
[Install]
WantedBy={name}.target
",
        hop = hop.name,
    )
}

fn prepare(topology: &Topology, machine: &Machine<'_>) -> String {
    let name = machine.application;
    let mut text = format!(
        "# Brings the database and the static files up to date: systemctl restart {name}-prepare
[Unit]
Description={name}: database and static files
PartOf={name}.target

[Service]
Type=oneshot
RemainAfterExit=yes
User={name}
Group={name}
WorkingDirectory={}
EnvironmentFile=/etc/{name}/environment
StateDirectory={name}
StateDirectoryMode=0750
",
        machine.application().display()
    );
    let python = machine.environment().join("bin/python").display().to_string();
    for arguments in topology.application.preparation() {
        let mut command = vec![python.clone()];
        command.extend(arguments.iter().cloned());
        let _ = writeln!(text, "ExecStart={}", words(&command));
    }
    if topology.application.preparation().is_empty() {
        text.push_str("# This application needs nothing.\nExecStart=/bin/true\n");
    }
    let _ = write!(text, "\n{}", confined(""));
    text
}

fn environment(topology: &Topology, exported: &[Exported<'_>]) -> String {
    let mut text = String::from(
        "# What the application finds in its environment, one NAME=VALUE a line: allowed host names, secrets.\n",
    );
    if let Some(server) = exported.iter().find(|hop| hop.is_server()) {
        for (name, value) in &server.variables {
            if !server.hop.env.contains_key(name) {
                let _ = writeln!(text, "{name}={}", quoted(value));
            }
        }
    }
    if topology.database == Database::Postgresql {
        text.push_str("DATABASE_URL=postgres://USER:PASSWORD@127.0.0.1:5432/NAME\n");
    }
    text
}

fn users(topology: &Topology) -> String {
    let name = &topology.application.name;
    format!(
        "# The application's, and who answers visitors and may read what the application collected.
u {name} - \"{name}\" /var/lib/{name}
u {name}-web - \"{name}, web server\" -
m {name}-web {name}
"
    )
}

fn rotation(machine: &Machine<'_>, exported: &[Exported<'_>]) -> String {
    let folders: Vec<String> =
        exported.iter().map(|hop| format!("/var/log/{}/*.log", machine.unit(&hop.name))).collect();
    let reopen: String = exported
        .iter()
        .filter_map(|hop| {
            let signal = short(hop.elsewhere.reopen?);
            let unit = machine.unit(&hop.name);
            Some(format!("        systemctl kill --kill-whom=main -s {signal} {unit}.service\n"))
        })
        .collect();
    format!(
        "{} {{
    weekly
    rotate 8
    compress
    delaycompress
    missingok
    notifempty
    sharedscripts
    postrotate
{reopen}    endscript
}}
",
        folders.join(" ")
    )
}

fn short(signal: nix::sys::signal::Signal) -> &'static str {
    signal.as_str().trim_start_matches("SIG")
}

/// Of a command line, where a `$` would begin a variable.
fn words(command: &[String]) -> String {
    let words = command.iter().map(|each| word(&each.replace('$', "$$")));
    words.collect::<Vec<_>>().join(" ")
}

/// As units are read: a `%` begins something, and what has a blank is quoted.
fn word(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('%', "%%");
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || "\"';#".contains(c)) {
        return format!("\"{}\"", text.replace('"', "\\\""));
    }
    text
}
