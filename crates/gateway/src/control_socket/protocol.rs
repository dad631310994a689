//! The frames of gunicorn's control interface: four bytes of length, the highest first, and JSON.

use std::io;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A command is a line somebody typed.
const LONGEST: u32 = 64 * 1024;

/// `None`: the client has left, between two commands.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Value>> {
    let mut prefix = [0; 4];
    if from.read(&mut prefix[..1]).await? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut prefix[1..]).await?;
    let length = u32::from_be_bytes(prefix);
    if length > LONGEST {
        return Err(io::Error::other(format!("a command of {length} bytes")));
    }
    let mut text = vec![0; length as usize];
    from.read_exact(&mut text).await?;
    Ok(Some(serde_json::from_slice(&text)?))
}

pub(super) async fn write(to: &mut (impl AsyncWrite + Unpin), answer: &Value) -> io::Result<()> {
    let text = answer.to_string();
    let length = u32::try_from(text.len()).map_err(io::Error::other)?;
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend_from_slice(text.as_bytes());
    to.write_all(&frame).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_and_go() {
        let mut wire = Vec::new();
        write(&mut wire, &serde_json::json!({"id": 1})).await.unwrap();
        assert_eq!(wire, b"\0\0\0\x08{\"id\":1}");
        let mut reading = &wire[..];
        assert_eq!(read(&mut reading).await.unwrap(), Some(serde_json::json!({"id": 1})));
        assert_eq!(read(&mut reading).await.unwrap(), None);
        for broken in [&b"\0\0"[..], b"\0\0\0\x08{\"id\"", b"\xff\xff\xff\xff", b"\0\0\0\x01x"] {
            assert!(read(&mut &broken[..]).await.is_err(), "{broken:?}");
        }
    }
}
