//! The client's body, on its way on: read whole before the upstream is asked, or passed on as it
//! comes.

use crate::{
    body::BodyError, engine::plan::Answer, exchange::Exchange, log::Level, upstream::RequestBytes,
};

/// What one location does with bodies.
pub struct BodyRules {
    /// `*_pass_request_body`.
    pub passed: bool,
    /// `*_request_buffering`.
    pub buffered: bool,
}

/// A body, and what is known of it before it has been sent.
pub struct Outbound {
    pub bytes: RequestBytes,
    pub length: BodyLength,
}

/// How the body's end is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    None,
    Known(u64),
    /// It is passed on as it comes, and its client has not said how long it is.
    Unknown,
}

/// Whether the upstream can be sent a body whose length nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownLength {
    Possible,
    /// Then the whole body has to come first.
    Impossible,
}

impl Outbound {
    pub fn nothing(length: BodyLength) -> Outbound {
        Outbound { bytes: RequestBytes::Whole(None), length }
    }
}

impl BodyRules {
    /// The request's body; `Err`: it can not be had, and the log knows why.
    pub async fn take(
        &self,
        exchange: &mut Exchange,
        unknown: UnknownLength,
    ) -> Result<Outbound, Answer> {
        match self.read(exchange, unknown).await {
            Ok(outbound) => Ok(outbound),
            Err(error) => {
                let level = match error {
                    BodyError::Spool(_) => Level::Crit,
                    BodyError::TooLarge => Level::Error,
                    _ => Level::Info,
                };
                exchange.log(level, &error.to_string());
                exchange.request.keep_alive = false;
                Err(Answer::Status(error.status()))
            }
        }
    }

    async fn read(
        &self,
        exchange: &mut Exchange,
        unknown: UnknownLength,
    ) -> Result<Outbound, BodyError> {
        let declared = exchange.body.declared_length();
        // `Content-Length: 0` is a statement; no length is none.
        if declared == Some(0) && !exchange.request.headers.contains("content-length") {
            return Ok(Outbound::nothing(BodyLength::None));
        }
        let can_stream = declared.is_some() || unknown == UnknownLength::Possible;
        let streams = self.passed && !self.buffered && can_stream;
        if streams && !Box::pin(exchange.has_whole_body()).await? {
            let length = declared.map_or(BodyLength::Unknown, BodyLength::Known);
            return Ok(Outbound {
                bytes: RequestBytes::Streamed { chunked: declared.is_none() },
                length,
            });
        }
        let spool = Box::pin(exchange.spool_body()).await?;
        if !self.passed {
            // The upstream may be told of it all the same, by `$request_body_file`.
            return Ok(Outbound::nothing(BodyLength::None));
        }
        let length = BodyLength::Known(spool.len());
        Ok(Outbound { bytes: RequestBytes::Whole(Some(spool)), length })
    }
}
