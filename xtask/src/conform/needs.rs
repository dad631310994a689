//! What nginx's suite wants of this machine. What is missing is told in one sentence: a file of the suite
//! that lacks a library skips itself, and a skipped test is not a passed one.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail, ensure};

/// A library of Perl, and the Debian package that has it.
const LIBRARIES: [(&str, &str); 7] = [
    ("IO::Socket::SSL", "libio-socket-ssl-perl"),
    ("Net::SSLeay", "libnet-ssleay-perl"),
    ("CryptX", "libcryptx-perl"),
    ("Protocol::WebSocket", "libprotocol-websocket-perl"),
    ("FCGI", "libfcgi-perl"),
    ("SCGI", "libscgi-perl"),
    ("Cache::Memcached", "libcache-memcached-perl"),
];

/// A file that a package installs.
const PROGRAMS: [(&str, &str); 6] = [
    ("/usr/bin/unshare", "util-linux"),
    ("/usr/bin/setpriv", "util-linux"),
    ("/usr/sbin/ip", "iproute2"),
    ("/usr/bin/openssl", "openssl"),
    ("/usr/bin/uwsgi", "uwsgi"),
    ("/usr/lib/uwsgi/plugins/python3_plugin.so", "uwsgi-plugin-python3"),
];

pub(super) fn check() -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "nginx's suite runs in a network of its own, which only root can make: run this as root"
    );
    let perl = Path::new("/usr/bin/perl");
    let mut missing = Vec::new();
    if !perl.is_file() {
        missing.push("perl");
    }
    let lacks = |library: &str| {
        let mut command = Command::new(perl);
        command.arg(format!("-M{library}")).args(["-e", "1"]).stderr(Stdio::null());
        !command.status().is_ok_and(|status| status.success())
    };
    missing.extend(LIBRARIES.iter().filter(|(name, _)| lacks(name)).map(|(_, package)| *package));
    let absent = PROGRAMS.iter().filter(|(path, _)| !Path::new(path).is_file());
    missing.extend(absent.map(|(_, package)| *package));
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    bail!("nginx's suite needs what is not here: apt-get install {}", missing.join(" "))
}
