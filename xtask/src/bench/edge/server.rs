//! One web server that runs for the bench, from a configuration that both read; and nginx once more, as
//! what is behind either.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use tokio::process::Child;
use xtask::probe::Address;
use xtask::process::Process;
use xtask::{sys, workspace};

/// Whether it serves TLS and HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    On,
    Off,
}

pub(super) struct Server {
    pub(super) name: &'static str,
    pub(super) tls: Tls,
    pub(super) running: Running,
    ports: [u16; 2],
}

/// A master and its worker. However this process ends, theirs is told to.
pub(super) struct Running {
    process: Process,
    child: Child,
}

/// What `return` sends for the upstream.
const BODY: usize = 1024;

impl Server {
    pub(super) async fn start(
        name: &'static str,
        program: &Path,
        workers: usize,
    ) -> Result<Server> {
        let run = folder(name)?;
        fs::create_dir_all(run.join("www"))?;
        fs::write(run.join("www/1k.txt"), "a".repeat(BODY))?;
        certificate(&run)?;
        let ports = [port()?, port()?];
        let file = run.join("nginx.conf");
        let mut tls = Tls::On;
        for attempt in [Tls::On, Tls::Off] {
            fs::write(&file, configuration(&run, ports, workers, attempt, program)?)?;
            let tested = command(program, &run).arg("-t").output()?;
            if tested.status.success() {
                tls = attempt;
                break;
            }
            let said = String::from_utf8_lossy(&tested.stderr);
            ensure!(attempt == Tls::On, "{name} does not take the configuration: {said}");
            println!("{name}, without TLS: {}", said.lines().next().unwrap_or_default());
        }
        let address = Address::Tcp(([127, 0, 0, 1], ports[0]).into());
        let running = Running::start(command(program, &run), &run, &address, "/1k.txt").await?;
        Ok(Server { name, tls, running, ports })
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports[0])
    }

    pub(super) fn tls_url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.ports[1])
    }
}

impl Running {
    async fn start(
        mut command: Command,
        run: &Path,
        address: &Address,
        path: &str,
    ) -> Result<Running> {
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
        let output = File::create(run.join("output.log"))?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).process_group(0);
        sys::die_with_parent(&mut command);
        let program = Path::new(command.get_program()).display().to_string();
        let mut child = tokio::process::Command::from(command).spawn()?;
        let process = child.id().and_then(|pid| Process::of(pid as i32));
        let process = process.context("it ended at once")?;
        let mut last = String::new();
        let answers = address.until_it_answers(path, &mut last);
        let answered = tokio::select! {
            answered = tokio::time::timeout(Duration::from_secs(30), answers) => answered.is_ok(),
            _ = child.wait() => false,
        };
        ensure!(answered, "{program} does not answer: {last}; see {}", run.display());
        Ok(Running { process, child })
    }

    pub(super) fn cpu_seconds(&self) -> f64 {
        self.process.tree().into_iter().map(Process::cpu_seconds).sum()
    }

    /// Of all its processes, in KiB.
    pub(super) fn memory(&self) -> u64 {
        self.process.tree().into_iter().map(Process::memory_kib).sum()
    }

    /// Of all its processes.
    pub(super) fn open_files(&self) -> usize {
        let count = |pid| fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        self.process.tree().into_iter().map(|process| count(process.pid)).sum()
    }

    pub(super) async fn stop(&mut self) {
        self.process.signal(Signal::SIGTERM);
        if tokio::time::timeout(Duration::from_secs(10), self.child.wait()).await.is_err() {
            self.process.signal(Signal::SIGKILL);
        }
    }
}

/// The server that both forward to: the same process for either, and not counted.
pub(super) async fn upstream(nginx: &Path) -> Result<Running> {
    let run = folder("upstream")?;
    let socket = socket()?;
    let body = "b".repeat(BODY);
    let shown = run.display();
    let text = format!(
        "worker_processes 1; pid {shown}/pid; error_log {shown}/error.log;\n\
         events {{ }}\n\
         http {{ access_log off; keepalive_requests 1000000;\n\
         server {{ listen unix:{}; return 200 {body}; }} }}\n",
        socket.display()
    );
    fs::write(run.join("nginx.conf"), text)?;
    let address = Address::Unix(socket);
    Running::start(command(nginx, &run), &run, &address, "/").await
}

/// A fresh one for this run.
fn folder(name: &str) -> Result<PathBuf> {
    let run = workspace::state().join("bench/edge").join(name);
    if run.exists() {
        fs::remove_dir_all(&run)?;
    }
    fs::create_dir_all(&run)?;
    Ok(run)
}

fn socket() -> Result<PathBuf> {
    let path = workspace::state().join("bench/edge/upstream/socket");
    let length = path.as_os_str().len();
    ensure!(length < 108, "\"{}\" is too long for a unix socket", path.display());
    Ok(path)
}

fn port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn certificate(run: &Path) -> Result<()> {
    let mut openssl = Command::new("openssl");
    openssl.current_dir(run).args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "30"]);
    openssl.args(["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=localhost"]);
    openssl.args(["-keyout", "key.pem", "-out", "certificate.pem"]);
    let made = openssl.output().context("cannot start openssl")?;
    ensure!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

/// What both read: but for one word, since HTTP/2 is switched on in another place since nginx 1.25.
fn configuration(
    run: &Path,
    ports: [u16; 2],
    workers: usize,
    tls: Tls,
    program: &Path,
) -> Result<String> {
    let files = getrlimit(Resource::RLIMIT_NOFILE)?.1;
    let (run, upstream) = (run.display(), socket()?);
    let [plain, secure] = ports;
    let (parameter, switch) =
        if has_http2_directive(program)? { ("", "http2 on;") } else { (" http2", "") };
    let secure = match tls {
        Tls::Off => String::new(),
        Tls::On => format!(
            "server {{ listen 127.0.0.1:{secure} ssl{parameter}; {switch}\n\
             ssl_certificate {run}/certificate.pem; ssl_certificate_key {run}/key.pem; }}\n"
        ),
    };
    Ok(format!(
        "worker_processes {workers}; worker_rlimit_nofile {files};\n\
         pid {run}/pid; error_log {run}/error.log;\n\
         events {{ worker_connections {files}; }}\n\
         http {{\n\
         access_log off; sendfile on; tcp_nopush on; default_type text/plain; root {run}/www;\n\
         keepalive_timeout 600s; keepalive_requests 1000000000;\n\
         upstream behind {{ server unix:{upstream}; keepalive 64; }}\n\
         server {{ listen 127.0.0.1:{plain};\n\
         location /proxied {{ proxy_pass http://behind; proxy_http_version 1.1;\n\
         proxy_set_header Connection \"\"; }} }}\n\
         {secure}}}\n",
        upstream = upstream.display()
    ))
}

fn has_http2_directive(program: &Path) -> Result<bool> {
    let said = Command::new(program).arg("-v").output()?.stderr;
    let said = String::from_utf8_lossy(&said).into_owned();
    let version = said.split_once("nginx/").context("no version")?.1;
    let mut numbers = version.split(['.', ' ', '\n']).map_while(|word| word.parse::<u32>().ok());
    Ok((numbers.next(), numbers.next()) >= (Some(1), Some(25)))
}

fn command(program: &Path, run: &Path) -> Command {
    // Else the workers would change to a user who may not even read this checkout.
    let user = if nix::unistd::geteuid().is_root() { " user root;" } else { "" };
    let mut command = Command::new(program);
    command.arg("-p").arg(run).arg("-c").arg(run.join("nginx.conf"));
    command.arg("-e").arg(run.join("error.log")).args(["-g", &format!("daemon off;{user}")]);
    command
}
