//! The nginx.conf of the deployment tutorials, with only its paths adapted, starts the real nginx and
//! our edge; the same requests get the same answers from both.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use e2e::binary;
use e2e::chain::{Chain, free_port, nginx};
use e2e::hop::Hop;
use e2e::wire::{Answer, Wire};
use xtask::edge_conf::EdgeConf;
use xtask::probe::Address;
use xtask::workspace;

/// An edge that runs on the tutorial's files.
struct Site {
    address: SocketAddr,
    hop: Hop,
}

impl Site {
    async fn start(chain: &Chain, program: PathBuf, name: &'static str) -> Result<Site> {
        let run = chain.scratch.join(name);
        let conf = EdgeConf { run: run.clone(), port: free_port()?, ..chain.recipe.conf() };
        fs::create_dir_all(run.join("sites-enabled"))?;
        let templates = workspace::root().join("tests/conf");
        let fill = |template: &str| -> Result<String> {
            conf.fill(&fs::read_to_string(templates.join(template))?)
        };
        fs::write(run.join("nginx.conf"), fill("tutorial-nginx.conf.in")?)?;
        fs::write(run.join("sites-enabled/mysite"), fill("tutorial-site.in")?)?;
        for file in ["mime.types", "proxy_params"] {
            fs::copy(workspace::root().join("deploy").join(file), run.join(file))?;
        }
        let user = if nix::unistd::geteuid().is_root() { " user root;" } else { "" };
        let mut command = Command::new(program);
        command
            .arg("-p")
            .arg(&run)
            .arg("-c")
            .arg(run.join("nginx.conf"))
            .arg("-e")
            .arg(run.join("error.log"));
        command.args(["-g", &format!("daemon off;{user}")]);
        let mut hop = Hop::start(name, command, &run.join("output.log"))?;
        let address = SocketAddr::from(([127, 0, 0, 1], conf.port));
        hop.ready(&Address::Tcp(address), "/pybo/").await?;
        Ok(Site { address, hop })
    }

    async fn ask(&self, request: &Request) -> Result<Answer> {
        let mut wire = Wire::tcp(self.address).await?;
        let Request { method, path, fields, body } = request;
        let host = self.address;
        wire.send(format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n{body}"))
            .await?;
        wire.answer(method).await.with_context(|| format!("{method} {path} of {host}"))
    }
}

struct Request {
    method: &'static str,
    path: String,
    fields: String,
    body: &'static str,
}

fn get(path: &str) -> Request {
    with(path, "")
}

fn with(path: &str, fields: &str) -> Request {
    Request { method: "GET", path: path.to_owned(), fields: fields.to_owned(), body: "" }
}

/// What may differ, and nothing else: the time, the program's name (also at the foot of its own error
/// pages), the port it listens on, the boundary it chose.
fn comparable(answer: &Answer, site: &Site) -> (u16, BTreeMap<String, Vec<String>>, String) {
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut boundary = None;
    for (name, value) in &answer.head.fields {
        let name = name.to_ascii_lowercase();
        if name == "date" || name == "server" {
            continue;
        }
        // The length of an error page follows from the name at its foot.
        if name == "content-length" && answer.status() >= 400 {
            continue;
        }
        boundary =
            boundary.or(value.split_once("boundary=").map(|(_, boundary)| boundary.to_owned()));
        fields.entry(name).or_default().push(value.replace(&site.address.to_string(), "HOST"));
    }
    let mut body = answer.text().replace(&site.address.to_string(), "HOST");
    if let Some(boundary) = boundary {
        body = body.replace(&boundary, "BOUNDARY");
        for value in fields.values_mut().flatten() {
            *value = value.replace(&boundary, "BOUNDARY");
        }
    }
    if answer.status() >= 400
        && let Some(at) = body.find("<hr><center>")
    {
        body.truncate(at);
    }
    (answer.status(), fields, body)
}

fn requests(tag: &str, date: &str) -> Vec<Request> {
    let file = "/static/style.css";
    let mut requests: Vec<Request> = [
        file,
        "/static/pybo.png",
        "/static/pybo.js",
        "/static/missing.css",
        "/static",
        "/static/",
        "/static/admin",
        "/static/%73tyle.css",
        "/static//style.css",
        "/static/../static/style.css",
        "/static/style.css?version=2",
        "/static/style.css/",
        "/favicon.ico",
        "/",
        "/pybo/",
        "/pybo/?page=3",
        "/pybo/?kw=%EC%9E%A5%EA%B3%A0",
        "/pybo/1/",
        "/pybo/99999/",
        "/nothing/here",
        "/..",
    ]
    .iter()
    .map(|path| get(path))
    .collect();
    for fields in [
        format!("If-None-Match: {tag}\r\n"),
        format!("If-None-Match: W/{tag}\r\n"),
        format!("If-Modified-Since: {date}\r\n"),
        "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n".to_owned(),
        "If-Match: \"x\"\r\n".to_owned(),
        "Range: bytes=0-99\r\n".to_owned(),
        "Range: bytes=-5\r\n".to_owned(),
        "Range: bytes=0-1,5-6\r\n".to_owned(),
        "Range: bytes=999999-\r\n".to_owned(),
        "Range: bytes=5-2\r\n".to_owned(),
        "Range: lines=1-2\r\n".to_owned(),
        "Accept-Encoding: gzip\r\n".to_owned(),
        "Connection: close\r\n".to_owned(),
    ] {
        requests.push(with(file, &fields));
    }
    requests.push(Request { method: "HEAD", ..get(file) });
    requests.push(Request { method: "HEAD", ..get("/pybo/") });
    requests.push(Request {
        method: "POST",
        fields: "Content-Length: 3\r\n".to_owned(),
        body: "a=b",
        ..get(file)
    });
    requests.push(Request {
        method: "POST",
        fields: "Content-Length: 3\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            .to_owned(),
        body: "a=b",
        ..get("/common/login/")
    });
    requests.push(Request {
        method: "POST",
        fields: "Content-Length: 99999999\r\n".to_owned(),
        ..get("/pybo/")
    });
    requests.push(Request { method: "DELETE", ..get(file) });
    requests
}

#[tokio::test]
async fn nginx_and_our_edge_answer_alike() -> Result<()> {
    let chain = Chain::of("pybo").start().await?;
    let real = Site::start(&chain, nginx()?, "nginx").await?;
    let ours = Site::start(&chain, binary::program("causeway-edge")?, "causeway-edge").await?;

    let whole = real.ask(&get("/static/style.css")).await?;
    let (tag, date) =
        (whole.field("etag").context("etag")?, whole.field("last-modified").context("date")?);
    let mut different = Vec::new();
    for request in requests(tag, date) {
        let what = format!("{} {} {:?}", request.method, request.path, request.fields);
        let expected = comparable(&real.ask(&request).await?, &real);
        match ours.ask(&request).await {
            Ok(answer) => {
                let found = comparable(&answer, &ours);
                if found != expected {
                    different.push(difference(&what, &expected, &found));
                }
            }
            Err(error) => different.push(format!("{what}: {error:#}")),
        }
    }
    assert!(different.is_empty(), "{} answers differ:\n{}", different.len(), different.join("\n"));
    drop((real.hop, ours.hop));
    Ok(())
}

type Comparable = (u16, BTreeMap<String, Vec<String>>, String);

fn difference(what: &str, expected: &Comparable, found: &Comparable) -> String {
    let mut lines = vec![what.to_owned()];
    if expected.0 != found.0 {
        lines.push(format!("  status: nginx {}, ours {}", expected.0, found.0));
    }
    if expected.1 != found.1 {
        lines.push(format!("  fields: nginx {:?}\n          ours  {:?}", expected.1, found.1));
    }
    if expected.2 != found.2 {
        let start = |text: &str| text.chars().take(200).collect::<String>();
        lines.push(format!(
            "  body: nginx {:?}\n        ours  {:?}",
            start(&expected.2),
            start(&found.2)
        ));
    }
    lines.join("\n")
}

#[tokio::test]
async fn both_call_the_tutorials_file_right() -> Result<()> {
    let chain = Chain::of("pybo").start().await?;
    let run = chain.scratch.join("nginx");
    let site = Site::start(&chain, nginx()?, "nginx").await?;
    for program in [nginx()?, binary::program("causeway-edge")?] {
        let output = test_configuration(&program, &run)?;
        assert!(
            output.contains("syntax is ok") && output.contains("test is successful"),
            "{output}"
        );
    }
    fs::write(run.join("sites-enabled/mysite"), "server { listen 127.0.0.1:1; locaton / { } }\n")?;
    let [real, ours] = [nginx()?, binary::program("causeway-edge")?]
        .map(|program| test_configuration(&program, &run));
    let complaint =
        |text: &str| text.lines().find(|line| line.contains("[emerg]")).map(after_emerg);
    assert_eq!(complaint(&ours?), complaint(&real?));
    drop(site.hop);
    Ok(())
}

/// A line of nginx's log without its time and process.
fn after_emerg(line: &str) -> String {
    let (_, message) = line.split_once("[emerg] ").unwrap_or(("", line));
    message.split_once("#0: ").map_or(message, |(_, message)| message).to_owned()
}

fn test_configuration(program: &Path, run: &Path) -> Result<String> {
    let mut command = Command::new(program);
    command
        .arg("-t")
        .arg("-p")
        .arg(run)
        .arg("-c")
        .arg(run.join("nginx.conf"))
        .arg("-e")
        .arg("stderr");
    Ok(String::from_utf8_lossy(&command.output()?.stderr).into_owned())
}
