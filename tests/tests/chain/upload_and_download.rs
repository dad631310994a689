//! Ten megabytes each way, byte for byte.

use std::process::Command;

use anyhow::{Context as _, Result};
use e2e::chain::Chain;
use e2e::wire::Answer;

const SIZE: usize = 10 * 1024 * 1024;

/// Flaskr's own pattern: byte n is n modulo 251.
fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8).collect()
}

fn sha256(chain: &Chain, body: &[u8]) -> Result<String> {
    let file = chain.scratch.join("body");
    std::fs::write(&file, body)?;
    let output = Command::new("sha256sum").arg(file).output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split(' ').next().context("sha256sum printed nothing")?.to_owned())
}

fn check(answer: &Answer, chain: &Chain, body: &[u8]) -> Result<()> {
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let told: serde_json::Value = serde_json::from_slice(&answer.body)?;
    assert_eq!(told["bytes"], body.len());
    assert_eq!(told["sha256"], sha256(chain, body)?);
    Ok(())
}

#[tokio::test]
async fn an_upload_with_a_length_arrives_byte_for_byte() -> Result<()> {
    let chain = Chain::of("flaskr").start().await?;
    let body = pattern(SIZE);
    let mut wire = chain.wire().await?;
    wire.send(format!(
        "POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: {SIZE}\r\n\r\n"
    ))
    .await?;
    wire.send(&body).await?;
    check(&wire.answer("POST").await?, &chain, &body)?;
    // Nothing of the body is left on the connection.
    assert_eq!(wire.get("/environ").await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn a_chunked_upload_arrives_byte_for_byte() -> Result<()> {
    let chain = Chain::of("flaskr").start().await?;
    let body = pattern(SIZE);
    let mut wire = chain.wire().await?;
    wire.send("POST /upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await?;
    for piece in body.chunks(77_777) {
        wire.send(format!("{:x}\r\n", piece.len())).await?;
        wire.send(piece).await?;
        wire.send("\r\n").await?;
    }
    wire.send("0\r\n\r\n").await?;
    check(&wire.answer("POST").await?, &chain, &body)?;
    assert_eq!(wire.get("/environ").await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn a_file_in_a_form_arrives_byte_for_byte() -> Result<()> {
    let chain = Chain::of("flaskr").start().await?;
    let file = pattern(SIZE);
    let mut body =
        b"--line\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n"
            .to_vec();
    body.extend_from_slice(&file);
    body.extend_from_slice(b"\r\n--line--\r\n");
    let mut wire = chain.wire().await?;
    let fields = format!(
        "Content-Type: multipart/form-data; boundary=line\r\nContent-Length: {}\r\n",
        body.len()
    );
    wire.send(format!("POST /upload HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")).await?;
    wire.send(&body).await?;
    check(&wire.answer("POST").await?, &chain, &file)
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends_is_told_to_go_on() -> Result<()> {
    let chain = Chain::of("flaskr").start().await?;
    let body = pattern(100_000);
    let mut wire = chain.wire().await?;
    let fields = format!("Expect: 100-continue\r\nContent-Length: {}\r\n", body.len());
    wire.send(format!("POST /upload HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")).await?;
    assert_eq!(wire.head().await?.status, 100);
    wire.send(&body).await?;
    check(&wire.answer("POST").await?, &chain, &body)
}

#[tokio::test]
async fn an_upload_beyond_the_limit_is_refused_by_the_edge() -> Result<()> {
    let chain = Chain::of("flaskr").start().await?;
    let mut wire = chain.wire().await?;
    wire.send("POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n")
        .await?;
    assert_eq!(wire.answer("POST").await?.status(), 413);
    assert_eq!(chain.gateway_access_log().lines_with("/upload"), [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_download_arrives_byte_for_byte() -> Result<()> {
    let chain = Chain::of("flaskr").start().await?;
    let mut wire = chain.wire().await?;
    for size in [0, 1, 65_536, SIZE] {
        let answer = wire.get(&format!("/download?bytes={size}")).await?;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.field("content-length"), Some(size.to_string().as_str()));
        assert!(answer.body == pattern(size), "{size} bytes came back changed");
    }
    let answer = wire.request("HEAD", "/download?bytes=77", "").await?;
    assert_eq!((answer.field("content-length"), answer.body.len()), (Some("77"), 0));
    assert_eq!(wire.get("/environ").await?.status(), 200);
    Ok(())
}
