//! Told once, a topology finishes what it has begun; told twice, it ends at once. Both leave nothing.

use anyhow::{Context as _, Result};
use e2e::scratch::Scratch;
use e2e::wire::PATIENCE;
use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::deployment::{Deployment, Described, shipped, until};

/// An answer that has begun: its connection, and what came of it.
async fn begun(described: &Described, path: &str) -> Result<(TcpStream, Vec<u8>)> {
    let address = described.url.socket_addrs(|| None)?[0];
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut came = Vec::new();
    while !came.windows(7).any(|window| window == b"line 1 ") {
        let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut came)).await??;
        anyhow::ensure!(read > 0, "ended early: {}", String::from_utf8_lossy(&came));
    }
    Ok((stream, came))
}

async fn rest(mut stream: TcpStream, mut came: Vec<u8>) -> Result<String> {
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut came)).await;
    // A reset is an end, too.
    let _ = read.context("the answer goes on")?;
    Ok(String::from_utf8_lossy(&came).into_owned())
}

async fn finishes_what_has_begun(signal: Signal) -> Result<()> {
    let mut deployment = Deployment::start("default", "flaskr")?;
    let described = deployment.ready().await?;
    let traces = deployment.traces();
    let (stream, came) = begun(&described, "/stream?n=20&delay=0.1").await?;
    deployment.signal(signal);
    let answer = rest(stream, came).await?;
    assert!(answer.contains("line 20 of 20"), "{answer}");
    let (code, said) = deployment.ended().await?;
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert!(!described.folder.exists());
    deployment.nothing_is_left_of(&traces).await
}

#[tokio::test]
async fn terminate_lets_an_answer_end() {
    finishes_what_has_begun(Signal::SIGTERM).await.unwrap();
}

#[tokio::test]
async fn interrupt_lets_an_answer_end() {
    finishes_what_has_begun(Signal::SIGINT).await.unwrap();
}

#[tokio::test]
async fn the_second_interrupt_does_not() {
    let mut deployment = Deployment::start("default", "flaskr").unwrap();
    let described = deployment.ready().await.unwrap();
    let traces = deployment.traces();
    let (stream, came) = begun(&described, "/stream?n=100&delay=1").await.unwrap();
    deployment.signal(Signal::SIGINT);
    // The first one has been heard when nobody is let in any more.
    let address = described.url.socket_addrs(|| None).unwrap()[0];
    until(|| std::net::TcpStream::connect(address).is_err()).await.unwrap();
    deployment.signal(Signal::SIGINT);
    let (code, said) = deployment.ended().await.unwrap();
    assert_eq!((code, said.as_str()), (Some(2), "error: asked again: killed\n"));
    let answer = rest(stream, came).await.unwrap();
    assert!(!answer.contains("line 100 of 100"), "{answer}");
    assert!(!described.folder.exists());
    deployment.nothing_is_left_of(&traces).await.unwrap();
}

#[tokio::test]
async fn an_environment_that_is_being_made_is_not_waited_for() {
    let state = Scratch::new();
    let mut deployment =
        Deployment::start_with(&shipped("default"), Some("flaskr"), Some(state.path())).unwrap();
    until(|| deployment.runs("ensurepip") || deployment.runs("pip install")).await.unwrap();
    let traces = deployment.traces();
    deployment.signal(Signal::SIGTERM);
    let (code, said) = deployment.ended().await.unwrap();
    assert_eq!((code, said.as_str()), (Some(2), "error: interrupted\n"));
    deployment.nothing_is_left_of(&traces).await.unwrap();
}

#[tokio::test]
async fn a_hop_that_dies_ends_the_others_and_is_named() {
    let mut deployment = Deployment::start("default", "flaskr").unwrap();
    let described = deployment.ready().await.unwrap();
    let traces = deployment.traces();
    let (_, pid) = described.hops.iter().find(|(name, _)| name == "gateway").unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(*pid), Signal::SIGKILL).unwrap();
    let (code, said) = deployment.ended().await.unwrap();
    assert_eq!(code, Some(2));
    assert!(said.starts_with("error: hop \"gateway\" ended, so everything is stopped"), "{said}");
    deployment.nothing_is_left_of(&traces).await.unwrap();
}
