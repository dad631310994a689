//! A real nginx in front, over `fastcgi_pass`, with the parameters Debian's nginx comes with.
//!
//! Where there is no nginx the test fails: `apt-get install nginx` brings it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::host::Host;

struct Nginx {
    master: Child,
    socket: PathBuf,
}

impl Nginx {
    fn start(host: &Host) -> Nginx {
        let folder = host.scratch.path();
        let socket = folder.join("nginx.sock");
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let paths = paths.map(|name| format!("{name}_temp_path {}/{name};\n", folder.display()));
        let paths = paths.concat();
        let configuration = format!(
            "daemon off; user root; pid {folder}/nginx.pid; error_log {folder}/nginx.log;\n\
             events {{}}\n\
             http {{ access_log off; {paths} client_max_body_size 20m;\n\
             upstream app {{ server unix:{app}; keepalive 1; }}\n\
             server {{ listen unix:{socket};\n\
             location / {{ include /etc/nginx/fastcgi_params; fastcgi_pass unix:{app}; }}\n\
             location /kept/ {{ include /etc/nginx/fastcgi_params; fastcgi_keep_conn on;\n\
             fastcgi_pass app; }} }} }}\n",
            folder = folder.display(),
            app = host.socket.display(),
            socket = socket.display(),
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, configuration).unwrap();
        let log = folder.join("nginx.log");
        let command = |more: &[&str]| {
            let mut command = Command::new("nginx");
            command.arg("-p").arg(folder).arg("-c").arg(&file).arg("-e").arg(&log).args(more);
            command
        };
        // It forks nothing and is ready when its socket answers; `-t` first, so that waiting for
        // that can not be for ever.
        let checked = command(&["-t"]).output().expect("nginx: `apt-get install nginx`");
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        let master = command(&[]).spawn().unwrap();
        while UnixStream::connect(&socket).is_err() {
            std::thread::yield_now();
        }
        Nginx { master, socket }
    }

    fn request(&self, text: &str, body: &[u8]) -> String {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn get(&self, path: &str) -> String {
        self.request(&format!("GET {path} HTTP/1.0\r\nHost: example\r\n\r\n"), b"")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Not SIGKILL: that would leave its worker behind.
        let _ = kill(Pid::from_raw(self.master.id().try_into().unwrap()), Signal::SIGTERM);
        let _ = self.master.wait();
    }
}

#[test]
fn a_page_through_nginx() {
    let host = Host::start("environ");
    let nginx = Nginx::start(&host);
    for path in ["/a%20b?q=1", "/kept/a%20b?q=1", "/kept/a%20b?q=1"] {
        let answer = nginx.get(path);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let decoded = path.split('?').next().unwrap().replace("%20", " ");
        for entry in [
            format!("PATH_INFO: str: '{decoded}'\n"),
            "SCRIPT_NAME: str: ''\n".to_owned(),
            "QUERY_STRING: str: 'q=1'\n".to_owned(),
            format!("RAW_URI: str: '{path}'\n"),
            "HTTP_HOST: str: 'example'\n".to_owned(),
            "wsgi.url_scheme: str: 'http'".to_owned(),
        ] {
            assert!(answer.contains(&entry), "{entry}{answer}");
        }
    }
}

#[test]
fn bodies_both_ways_through_nginx() {
    let host = Host::start("echo_body");
    let nginx = Nginx::start(&host);
    let body = "0123456789abcdef".repeat(200_000);
    // Not `/parts`: nginx stops sending a body once the response has begun.
    for path in ["/read", "/lines", "/ignored"] {
        let head = format!(
            "POST {path} HTTP/1.0\r\nHost: example\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = nginx.request(&head, body.as_bytes());
        let expected = if path == "/ignored" { "ignored" } else { &body };
        let received = answer.split("\r\n\r\n").nth(1);
        assert!(received == Some(expected), "{path}: {} bytes", answer.len());
    }
}

/// nginx waits for the end of a connection it does not keep.
#[test]
fn an_input_that_is_kept_keeps_no_connection() {
    let host = Host::start("echo_body");
    let nginx = Nginx::start(&host);
    let descriptors = nginx.get("/descriptors");
    for _ in 0..5 {
        assert!(nginx.get("/keep").ends_with("\r\n\r\nkept"));
    }
    assert_eq!(nginx.get("/descriptors").lines().last(), descriptors.lines().last());
}

#[test]
fn nginx_needs_no_empty_record_at_the_end_of_a_response() {
    let host = Host::start("close");
    let nginx = Nginx::start(&host);
    for (path, expected) in [("/all", "all"), ("/empty", ""), ("/kept/all", "KeyError")] {
        let answer = nginx.get(path);
        if expected == "KeyError" {
            assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        } else {
            assert!(answer.ends_with(&format!("\r\n\r\n{expected}")), "{answer}");
        }
    }
    let complaints = std::fs::read_to_string(host.scratch.path().join("nginx.log")).unwrap();
    assert!(!complaints.contains("[error]"), "{complaints}");
}
