//! What can be wrong with an order, and the status the control API answers it with. The statuses are
//! Toxiproxy's, because its clients choose by them.

use std::io;

#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    #[error("bad request body: {0}")]
    Body(String),
    #[error("missing required field: {0}")]
    MissingField(String),
    #[error("\"{0}\" is not an address: HOST:PORT, unix:/PATH or unix:@NAME is")]
    Address(String),
    #[error("a path of {length} bytes is too long for a unix socket: \"{path}\"")]
    PathTooLong { path: String, length: usize },
    #[error("stream was invalid, can be either upstream or downstream: \"{0}\"")]
    Stream(String),
    #[error("invalid toxic type: \"{0}\"")]
    ToxicType(String),
    #[error("invalid toxicity: {0} is not between 0 and 1")]
    Toxicity(f64),
    #[error("invalid attribute of \"{toxic}\": {reason}")]
    Attribute { toxic: String, reason: String },
    #[error("\"{0}\" can not be changed here")]
    Fixed(&'static str),
    #[error("proxy not found: \"{0}\"")]
    ProxyNotFound(String),
    #[error("proxy already exists: \"{0}\"")]
    ProxyExists(String),
    #[error("toxic not found: \"{0}\"")]
    ToxicNotFound(String),
    #[error("toxic already exists: \"{0}\"")]
    ToxicExists(String),
    #[error("cannot listen on \"{listen}\": {error}")]
    Listen { listen: String, error: io::Error },
}

impl FaultError {
    pub fn status(&self) -> u16 {
        match self {
            FaultError::ProxyNotFound(_) | FaultError::ToxicNotFound(_) => 404,
            FaultError::ProxyExists(_) | FaultError::ToxicExists(_) => 409,
            FaultError::Listen { .. } => 500,
            _ => 400,
        }
    }
}
