//! All of a client's connection, on a whole server: heads, bodies, pipelining, the PROXY protocol,
//! HTTP/2, and what the phases make of it. It comes to its end, and over HTTP/1 the pieces in which a
//! request comes do not change the answer.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use causeway_edge::connection::{self, Client, Io, Peer, PeerAddress};
use causeway_edge::load::{self, Http, Options};
use causeway_edge::process::Drain;
use http2::PREFACE;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

/// Small limits, so that small input finds their edges; no file, and no other server.
const CONFIGURATION: &str = r#"
events { }
http {
    access_log off; error_log /dev/null emerg; root /nonexistent;
    large_client_header_buffers 4 256; client_max_body_size 64; keepalive_requests 8;
    map $http_x_map $mapped { default d; ~^(?<first>.)(.*)$ "$first-$2"; hostnames; *.example.org e; }
    server {
        listen 127.0.0.1:1; listen 127.0.0.1:2 proxy_protocol; http2 on; http2_max_concurrent_streams 4;
        set_real_ip_from 0.0.0.0/0; set_real_ip_from ::/0; real_ip_header X-Forwarded-For; real_ip_recursive on;
        location / { return 200 "$request_method $uri $args $host $mapped $remote_addr $cookie_a $arg_b\n"; }
        location /away { return 301 /to?$args; }
        location /rewritten { rewrite ^/rewritten/(.*)/(\d+)$ /$2/$1?x=$1; return 204; }
        location /if { if ($http_if ~* "^a(b+)") { return 403 $1; } if ($args = c) { set $d $uri; } return 200 $d; }
        location /error { error_page 404 =200 /away; return 404; }
        location /files/ { add_header X-Uri $uri always; }
        location /alias/ { alias /nonexistent/; }
        location ~ \.(php|cgi)$ { deny all; }
        location /gzip { gzip on; gzip_min_length 1; gzip_types *; return 200 "$uri$uri$uri"; }
    }
    server { listen 127.0.0.1:1; server_name *.example.org ~^(?<label>.)\.test$; return 200 $label; }
}
"#;

struct Server {
    runtime: Runtime,
    /// Requests that wait go on in tasks of their own.
    local: LocalSet,
    http: Arc<Http>,
}

thread_local! {
    static SERVER: OnceCell<Server> = const { OnceCell::new() };
}

pub(crate) fn http1(data: &[u8]) {
    let Some((whole, part, rest)) = crate::cut(data) else { return };
    // It need not be whole to be meant.
    if whole.starts_with(&PREFACE[..4]) {
        return;
    }
    on_server(|Server { runtime, local, http }| {
        for address in 0..http.addresses.len() {
            let at_once = local.block_on(runtime, ask(http, address, &[whole]));
            let in_pieces = local.block_on(runtime, ask(http, address, &[part, rest]));
            // A body that is broken may be answered before that is known.
            if !is_broken(&at_once) && !is_broken(&in_pieces) {
                let text = |said: &[u8]| String::from_utf8_lossy(said).into_owned();
                assert_eq!(text(&at_once), text(&in_pieces), "cut at {}", part.len());
            }
        }
    });
}

/// What is answered first is for the server to say, so that only the end is asked for.
pub(crate) fn http2(data: &[u8]) {
    let Some((whole, part, rest)) = crate::cut(data) else { return };
    on_server(|Server { runtime, local, http }| {
        local.block_on(runtime, ask(http, 0, &[PREFACE, whole]));
        local.block_on(runtime, ask(http, 0, &[PREFACE, part, rest]));
    });
}

fn on_server(ask: impl FnOnce(&Server)) {
    SERVER.with(|server| ask(server.get_or_init(start)));
}

fn start() -> Server {
    let file = "/dev/null".into();
    let options = Options { globals: CONFIGURATION.to_owned(), file, ..Options::default() };
    let config = load::load(&options);
    let config = config.unwrap_or_else(|error| panic!("the configuration is good: {error}"));
    let http = config.http.expect("it has an http block");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Server { runtime: runtime.expect("a runtime"), local: LocalSet::new(), http }
}

/// What the server says to these bytes before it closes, without the time of day.
async fn ask(http: &Arc<Http>, address: usize, pieces: &[&[u8]]) -> Vec<u8> {
    let (mut ours, theirs) = UnixStream::pair().expect("two sockets");
    let at = PeerAddress::Ip(([127, 0, 0, 1], 1).into());
    let peer = Peer::new(1, at.clone(), at);
    let client = Client::new(Io::Unix(theirs), Rc::new(peer));
    let serve = connection::serve(Arc::clone(http), address, client, Drain::default());
    let talk = async {
        for piece in pieces {
            // A server that has heard enough closes: that is its right.
            if ours.write_all(piece).await.is_err() {
                break;
            }
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
        }
        let _closed = ours.shutdown().await;
        let mut said = Vec::new();
        let _reset = ours.read_to_end(&mut said).await;
        said
    };
    let both = async { tokio::join!(serve, talk) };
    let ((), said) = tokio::time::timeout(Duration::from_secs(5), both)
        .await
        .expect("a client that has said all is answered and left");
    without_dates(&said)
}

fn without_dates(said: &[u8]) -> Vec<u8> {
    let lines = said.split_inclusive(|byte| *byte == b'\n');
    lines.filter(|line| !line.starts_with(b"Date: ")).collect::<Vec<_>>().concat()
}

fn is_broken(said: &[u8]) -> bool {
    const LINE: &[u8] = b"HTTP/1.1 400 ";
    said.windows(LINE.len()).any(|words| words == LINE)
}
