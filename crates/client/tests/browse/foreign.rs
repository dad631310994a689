//! Servers that are not ours and say nothing of themselves: Python's own, over HTTP and TLS.

use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::site::{requests, run, run_json};

/// Serves a folder and says on which port.
const SERVE: &str = "
import functools, http.server, ssl, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
";

struct Python {
    port: u16,
    /// Killed when dropped.
    _child: Child,
    _folder: TempDir,
}

async fn serve(certificate: Option<&Path>) -> Python {
    let folder = tempfile::tempdir().unwrap();
    let page = "<link rel=icon href=data:,><link rel=stylesheet href=a.css>";
    std::fs::write(folder.path().join("index.html"), page).unwrap();
    std::fs::write(folder.path().join("a.css"), "a{}").unwrap();
    let mut command = Command::new("python3");
    command.args(["-c", SERVE]).arg(folder.path()).args(certificate);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().expect("python3 is needed by the chain anyway");
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).await.unwrap();
    Python { port: line.trim().parse().unwrap(), _child: child, _folder: folder }
}

#[tokio::test]
async fn a_foreign_server_is_guessed_at_and_it_is_said() {
    let python = serve(None).await;
    let url = format!("http://127.0.0.1:{}/", python.port);
    let (code, json) = run_json(&[&url]).await;
    assert_eq!(code, 0, "{json}");
    for request in requests(&json, 0) {
        assert_eq!(request["answered"]["certainty"], "guess");
        assert_eq!(request["answered"]["by"], "SimpleHTTP");
        assert_eq!(request["answered"]["kind"], "static");
        assert_eq!(request["protocol"], "HTTP/1.0");
    }
    let run = run(&["--flow", &url]).await;
    assert!(run.stdout.contains("guess: static"), "{}", run.stdout);
    assert!(run.stdout.contains("perhaps answered by SimpleHTTP"), "{}", run.stdout);
    assert!(run.stdout.contains('?'), "{}", run.stdout);
}

#[tokio::test]
async fn a_certificate_of_nobody_is_refused_unless_it_is_asked_for() {
    let certificate = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browse/self_signed.pem");
    let python = serve(Some(&certificate)).await;
    let url = format!("https://localhost:{}/", python.port);
    let refused = run(&[&url]).await;
    assert_eq!(refused.code, 2, "{}", refused.stdout);
    assert!(
        refused.stderr.contains("the certificate of localhost is not accepted"),
        "{}",
        refused.stderr
    );
    let accepted = run(&["--insecure", &url]).await;
    assert_eq!(accepted.code, 0, "{}{}", accepted.stdout, accepted.stderr);
    assert!(accepted.stdout.contains("/a.css"), "{}", accepted.stdout);
}
