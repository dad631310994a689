//! Conditional and range requests for a static file, RFC 9110 §13 and §14.

use anyhow::{Context as _, Result};
use e2e::chain::Chain;

const FILE: &str = "/static/pybo.png";

#[tokio::test]
async fn a_file_the_browser_has_is_not_sent_again() -> Result<()> {
    let chain = Chain::of("pybo").start().await?;
    let mut wire = chain.wire().await?;
    let whole = wire.get(FILE).await?;
    let tag = whole.field("etag").context("an ETag")?.to_owned();
    let date = whole.field("last-modified").context("a Last-Modified")?.to_owned();

    for condition in [
        format!("If-None-Match: {tag}\r\n"),
        format!("If-None-Match: \"other\", {tag}\r\n"),
        "If-None-Match: *\r\n".to_owned(),
        format!("If-Modified-Since: {date}\r\n"),
    ] {
        let answer = wire.request("GET", FILE, &condition).await?;
        assert_eq!((answer.status(), answer.body.len()), (304, 0), "{condition}");
        assert_eq!(answer.field("etag"), Some(tag.as_str()));
    }
    for condition in
        ["If-None-Match: \"other\"\r\n", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"]
    {
        let answer = wire.request("GET", FILE, condition).await?;
        assert_eq!((answer.status(), &answer.body), (200, &whole.body), "{condition}");
    }
    for condition in
        ["If-Match: \"other\"\r\n", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"]
    {
        let answer = chain.wire().await?.request("GET", FILE, condition).await?;
        assert_eq!(answer.status(), 412, "{condition}");
    }
    Ok(())
}

#[tokio::test]
async fn parts_of_a_file_are_sent_as_asked() -> Result<()> {
    let chain = Chain::of("pybo").start().await?;
    let mut wire = chain.wire().await?;
    let whole = wire.get(FILE).await?;
    let size = whole.body.len();
    assert_eq!(whole.field("accept-ranges"), Some("bytes"));
    let tag = whole.field("etag").context("an ETag")?.to_owned();

    for (range, from, to) in
        [("0-9", 0, 10), ("10-", 10, size), ("-7", size - 7, size), ("5-999999999", 5, size)]
    {
        let answer = wire.request("GET", FILE, &format!("Range: bytes={range}\r\n")).await?;
        assert_eq!(answer.status(), 206, "{range}");
        assert_eq!(
            answer.field("content-range"),
            Some(format!("bytes {from}-{}/{size}", to - 1).as_str())
        );
        assert_eq!(answer.body, &whole.body[from..to], "{range}");
    }

    let answer = wire.request("GET", FILE, "Range: bytes=0-1,4-6\r\n").await?;
    assert_eq!(answer.status(), 206);
    let kind = answer.field("content-type").context("a type")?;
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").context(kind.to_owned())?;
    let mut expected = Vec::new();
    for (from, to) in [(0, 2), (4, 7)] {
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: image/png\r\nContent-Range: bytes {from}-{}/{size}\r\n\r\n",
            to - 1
        );
        expected.extend_from_slice(head.as_bytes());
        expected.extend_from_slice(&whole.body[from..to]);
    }
    expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    assert_eq!(answer.body, expected);

    let answer = wire.request("GET", FILE, &format!("Range: bytes={size}-\r\n")).await?;
    assert_eq!(answer.status(), 416);
    assert_eq!(answer.field("content-range"), Some(format!("bytes */{size}").as_str()));

    let fresh =
        wire.request("GET", FILE, &format!("Range: bytes=0-0\r\nIf-Range: {tag}\r\n")).await?;
    assert_eq!((fresh.status(), fresh.body.len()), (206, 1));
    let changed = wire.request("GET", FILE, "Range: bytes=0-0\r\nIf-Range: \"other\"\r\n").await?;
    assert_eq!((changed.status(), changed.body.len()), (200, size));
    Ok(())
}

#[tokio::test]
async fn the_head_of_a_file_comes_without_its_body() -> Result<()> {
    let chain = Chain::of("pybo").start().await?;
    let mut wire = chain.wire().await?;
    let whole = wire.get(FILE).await?;
    let head = wire.request("HEAD", FILE, "").await?;
    assert_eq!(head.status(), 200);
    assert_eq!(head.field("content-length"), Some(whole.body.len().to_string().as_str()));
    assert!(head.body.is_empty());
    assert_eq!(wire.get(FILE).await?.body, whole.body);
    Ok(())
}
