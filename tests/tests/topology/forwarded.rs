//! What the application sees of a browser that came by https, and through a CDN.

use anyhow::{Context as _, Result};
use topology::{Options, Stack, Topology};

use crate::deployment::shipped;

/// The environ of one request, and the version of HTTP it was sent by.
async fn environ(topology: &str) -> Result<(Stack, serde_json::Value, String)> {
    let topology = Topology::read(&shipped(topology))?;
    let topology = topology.serving(&xtask::workspace::root().join("apps/flaskr"))?;
    let stack = Stack::start(&topology, &Options::default()).await?;
    let authority = std::fs::read(stack.authority.as_ref().context("it speaks https")?)?;
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&authority)?])
        .no_proxy()
        .build()?;
    let answer = client
        .get(stack.url.join("environ")?)
        .header("X-Forwarded-For", "203.0.113.7")
        .header("X-Forwarded-Proto", "gopher")
        .send()
        .await?;
    let version = format!("{:?}", answer.version());
    let said: serde_json::Value = serde_json::from_str(&answer.text().await?)?;
    Ok((stack, said["environ"].clone(), version))
}

async fn is_told_of_https(topology: &str, forwarded_for: &str) -> Result<()> {
    let (stack, environ, version) = environ(topology).await?;
    assert_eq!(version, "HTTP/2.0");
    assert_eq!(environ["HTTP_X_FORWARDED_PROTO"], "https");
    assert_eq!(environ["wsgi.url_scheme"], "https");
    assert_eq!(environ["HTTP_X_FORWARDED_FOR"], forwarded_for);
    assert_eq!(environ["HTTP_X_REAL_IP"], "127.0.0.1");
    assert_eq!(environ["HTTP_HOST"], stack.url.authority());
    Ok(())
}

#[tokio::test]
async fn by_https() {
    is_told_of_https("tls", "203.0.113.7, 127.0.0.1").await.unwrap();
}

#[tokio::test]
async fn by_https_to_nginx() {
    is_told_of_https("tls-nginx", "203.0.113.7, 127.0.0.1").await.unwrap();
}

#[tokio::test]
async fn through_a_cdn() {
    is_told_of_https("cdn", "203.0.113.7, 127.0.0.1, 127.0.0.1").await.unwrap();
}

#[tokio::test]
async fn through_a_cdn_of_nginx() {
    is_told_of_https("cdn-nginx", "203.0.113.7, 127.0.0.1, 127.0.0.1").await.unwrap();
}
