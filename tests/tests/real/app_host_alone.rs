//! The real nginx before `causeway-app-host` itself, by `fastcgi_pass`: no gateway in between.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use e2e::apps::{self, Prepared};
use e2e::binary;
use e2e::chain::{free_port, nginx};
use e2e::hop::Hop;
use e2e::scratch::Scratch;
use e2e::visitor::Visitor;
use nix::sys::signal::Signal;
use xtask::probe::Address;

struct Site {
    // The browser's side is dropped first.
    nginx: Hop,
    host: Hop,
    address: SocketAddr,
    scratch: Scratch,
}

impl Site {
    async fn start(name: &str) -> Result<Site> {
        let prepared = apps::prepared(name)?;
        let scratch = Scratch::new();
        let data = scratch.join("data");
        prepared.copy_data(&data)?;
        let socket = scratch.join("app.sock");
        let host = start_host(&prepared, &data, &socket, &scratch)?;
        let statics = prepared.application.static_folder(&data);
        let url = prepared.application.static_url();
        let port = free_port()?;
        let mut conf =
            format!("daemon off; pid {}; worker_processes 1;\n", scratch.join("pid").display());
        if nix::unistd::geteuid().is_root() {
            conf.push_str("user root;\n");
        }
        conf.push_str("events {}\nhttp {\n    access_log off;\n");
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            writeln!(conf, "    {kind}_temp_path {};", scratch.join(kind).display())?;
        }
        write!(
            conf,
            "    server {{\n        listen 127.0.0.1:{port};\n        \
             location {url}/ {{ alias {}/; }}\n        \
             location / {{ include /etc/nginx/fastcgi_params; \
             fastcgi_param HTTP_HOST $http_host; fastcgi_pass unix:{}; }}\n    }}\n}}\n",
            statics.display(),
            socket.display()
        )?;
        let file = scratch.join("nginx.conf");
        fs::write(&file, conf)?;
        let mut command = Command::new(nginx()?);
        command.arg("-p").arg(scratch.path()).arg("-c").arg(&file);
        command.arg("-e").arg(scratch.join("nginx-error.log"));
        let mut nginx = Hop::start("nginx", command, &scratch.join("nginx-output.log"))?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let ready = nginx.ready(&Address::Tcp(address), prepared.application.first_page()).await;
        ready.with_context(|| {
            let log = |name| fs::read_to_string(scratch.join(name)).unwrap_or_default();
            format!(
                "the app-host and nginx said:\n{}{}",
                log("app-host.log"),
                log("nginx-error.log")
            )
        })?;
        Ok(Site { nginx, host, address, scratch })
    }
}

fn start_host(prepared: &Prepared, data: &Path, socket: &Path, scratch: &Scratch) -> Result<Hop> {
    let mut command = Command::new(binary::program("causeway-app-host")?);
    command.arg("--python").arg(prepared.environment.python());
    command.arg("--bind").arg(format!("unix:{}", socket.display())).args(["--threads", "4"]);
    command.arg("--chdir").arg(&prepared.application.folder).arg(prepared.application.callable());
    command.env("PYTHONUNBUFFERED", "1").envs(prepared.application.variables(data));
    Hop::start("the app-host", command, &scratch.join("app-host.log"))
}

/// A page, a file, a login, a question with a form, the question found again.
#[tokio::test]
async fn pybo_is_served() -> Result<()> {
    let mut site = Site::start("pybo").await?;
    let mut visitor = Visitor::of(site.address);
    assert!(visitor.get("/pybo/").await?.text().contains("Question number 300"));
    assert_eq!(visitor.get("/static/style.css").await?.status(), 200);
    assert_eq!(visitor.get("/no/such/page/").await?.status(), 404);
    let login = [("username", "alice"), ("password", "pybo-alice-pw")];
    let answer = visitor.fill_in("/common/login/", &login).await?;
    assert_eq!(answer.status(), 302, "{}", answer.text());
    assert!(visitor.get("/pybo/").await?.text().contains("alice"));
    let question = [("subject", "Is there a gateway?"), ("content", "없음 & <b>none</b>")];
    let answer = visitor.fill_in("/pybo/question/create/", &question).await?;
    assert_eq!(answer.status(), 302, "{}", answer.text());
    let found = visitor.get("/pybo/?kw=%EC%97%86%EC%9D%8C").await?.text();
    assert!(found.contains("Is there a gateway?"), "{found}");
    let said = fs::read_to_string(site.scratch.join("app-host.log"))?;
    assert!(!said.contains("ERROR"), "{said}");
    // Its end takes the socket along, and nginx says so.
    let status = site.host.stop(Signal::SIGTERM).await?;
    assert!(status.success(), "{status}");
    assert!(!site.scratch.join("app.sock").exists());
    assert_eq!(visitor.get("/pybo/").await?.status(), 502);
    site.nginx.stop(Signal::SIGQUIT).await.context("nginx does not end")?;
    Ok(())
}
