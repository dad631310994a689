//! Two deployments that everybody copies, with only the program's name changed.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use e2e::chain::{free_port, nginx};
use e2e::hop::Hop;
use e2e::visitor::Visitor;
use e2e::wire::{PATIENCE, Wire};
use nix::sys::signal::Signal;
use xtask::probe::Address;
use xtask::workspace;

use crate::site::Site;

fn unit(name: &str) -> Result<String> {
    Ok(fs::read_to_string(workspace::root().join("tests/conf").join(name))?)
}

#[tokio::test]
async fn the_tutorials_line() -> Result<()> {
    let site = Site::new()?;
    let words = site.exec_start(&unit("tutorial-gunicorn.service")?)?;
    let mut command = site.command(Path::new(&words[0]));
    command.args(&words[1..]);
    let mut gateway = Hop::start("the gateway", command, &site.scratch.join("log"))?;
    let socket = site.scratch.join("app.sock");
    gateway.ready(&Address::Unix(socket.clone()), "/pybo/").await?;
    let page = Wire::unix(&socket).await?.get("/pybo/").await?;
    assert!(page.text().contains("Question number 300"), "{}", page.text());
    assert!(gateway.stop(Signal::SIGTERM).await?.success());
    let log = site.scratch.read("log");
    assert_eq!(log.matches("Booting worker with pid: ").count(), 3, "{log}");
    assert!(!socket.exists(), "its socket is gone with it");
    Ok(())
}

/// systemd holds the socket and waits for `READY=1`; nginx asks through the socket.
#[tokio::test]
async fn gunicorns_own_page() -> Result<()> {
    let site = Site::new()?;
    let (socket, notify) = (site.scratch.join("gunicorn.sock"), site.scratch.join("notify"));
    let heard = UnixDatagram::bind(&notify)?;
    heard.set_read_timeout(Some(PATIENCE))?;
    let mut command = site.command(Path::new("/usr/bin/systemd-socket-activate"));
    command.arg("-l").arg(&socket);
    for (name, value) in [("NOTIFY_SOCKET", &notify), ("PYBO_DATA", &site.scratch.join("data"))] {
        command.arg("-E").arg(format!("{name}={}", value.display()));
    }
    command.args(site.exec_start(&unit("gunicorn-deploy.service")?)?);
    let mut gateway = Hop::start("the gateway", command, &site.scratch.join("log"))?;
    gateway.ready(&Address::Unix(socket.clone()), "/pybo/").await?;
    wait_for("READY=1", &heard).with_context(|| site.scratch.read("log"))?;

    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let mut front = Hop::start("nginx", web_server(&site, address)?, &site.scratch.join("nginx"))?;
    front.ready(&Address::Tcp(address), "/pybo/").await?;
    let mut visitor = Visitor::of(address);
    // Its web server passes no Host on, so Django, whoever serves it, takes no form from this origin.
    assert!(visitor.get("/pybo/").await?.text().contains("Question number 300"));

    // ExecReload
    gateway.signal(Signal::SIGHUP);
    wait_for("RELOADING=1", &heard)?;
    wait_for("READY=1", &heard)?;
    assert_eq!(visitor.get("/pybo/").await?.status(), 200);
    let log = site.scratch.read("log");
    assert!(log.contains("Hang up: Master"), "{log}");
    assert!(gateway.stop(Signal::SIGTERM).await?.success());
    assert!(socket.exists(), "the socket is systemd's");
    Ok(())
}

fn wait_for(wanted: &str, heard: &UnixDatagram) -> Result<()> {
    let mut message = [0; 4096];
    loop {
        let length = heard.recv(&mut message).with_context(|| format!("no {wanted} came"))?;
        if String::from_utf8_lossy(&message[..length]).lines().any(|line| line == wanted) {
            return Ok(());
        }
    }
}

fn web_server(site: &Site, address: SocketAddr) -> Result<Command> {
    let run = site.scratch.path();
    let user = if nix::unistd::geteuid().is_root() { "user root;\n" } else { "" };
    let page = unit("gunicorn-deploy-nginx.conf.in")?;
    ensure!(page.contains("/run/gunicorn.sock"), "the page's socket is in it");
    let conf = page
        .replace("/run/gunicorn.sock", &run.join("gunicorn.sock").display().to_string())
        .replace("user www-data;\n", user)
        .replace("http {\n", &format!("http {{\n{}", temporary_folders(run)))
        .replace("listen          8000;", &format!("listen {address};"));
    fs::write(run.join("nginx.conf"), conf)?;
    let mut command = Command::new(nginx()?);
    command.arg("-p").arg(run).arg("-c").arg(run.join("nginx.conf"));
    command.arg("-e").arg(run.join("nginx-error.log"));
    command.args(["-g", &format!("daemon off; pid {};", run.join("nginx.pid").display())]);
    Ok(command)
}

/// Debian's nginx keeps bodies where only root can write.
fn temporary_folders(run: &Path) -> String {
    let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let folder = |name| format!("    {name}_temp_path {}/{name};\n", run.display());
    folders.map(folder).concat()
}
