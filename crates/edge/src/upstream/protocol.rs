//! What is spoken with a peer: HTTP/1, FastCGI or uwsgi. Everything else of asking (who is asked,
//! how long, how often, what is read ahead) is the same for all of them.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{
    Head,
    codec::{self, Expectation, HeadError, Opening},
    outgoing::Envelope,
    records::{Note, Records},
};

#[derive(Clone, Debug)]
pub enum Protocol {
    Http,
    FastCgi(FastCgiRules),
    Uwsgi,
}

#[derive(Clone, Debug)]
pub struct FastCgiRules {
    /// `fastcgi_keep_conn`: the application is asked not to close.
    pub keep: bool,
    /// `fastcgi_catch_stderr`: what makes an answer invalid when it is said on STDERR.
    pub caught: Arc<[Bytes]>,
}

impl Protocol {
    /// As the error log shows it.
    pub(super) fn scheme(&self) -> &'static str {
        match self {
            Protocol::Http => "http",
            Protocol::FastCgi(_) => "fastcgi",
            Protocol::Uwsgi => "uwsgi",
        }
    }

    /// Idle connections that locations share are shared by those of one protocol.
    pub(super) fn pool(&self) -> usize {
        match self {
            Protocol::Http => 0,
            Protocol::FastCgi(_) => 1,
            Protocol::Uwsgi => 2,
        }
    }

    /// How a body is written whose length its peer has been told, or has not.
    pub(super) fn envelope(&self, chunked: bool) -> Envelope {
        match self {
            Protocol::FastCgi(_) => Envelope::Stdin,
            Protocol::Http if chunked => Envelope::Chunked,
            Protocol::Http | Protocol::Uwsgi => Envelope::Plain,
        }
    }

    pub(super) fn reader(&self) -> HeadReader {
        match self {
            Protocol::Http => HeadReader::Lines { opening: Opening::StatusLine, interim: 0 },
            Protocol::Uwsgi => HeadReader::Lines { opening: Opening::Either, interim: 0 },
            Protocol::FastCgi(rules) => {
                let records = Some(Box::new(Records::new(rules)));
                HeadReader::FastCgi { records, notes: Vec::new() }
            }
        }
    }
}

/// Reads the head of one answer.
pub(super) enum HeadReader {
    Lines {
        opening: Opening,
        /// How much was no answer yet.
        interim: usize,
    },
    FastCgi {
        /// `None`: the head has come, and the body is what the records are for now.
        records: Option<Box<Records>>,
        notes: Vec<Note>,
    },
}

impl HeadReader {
    /// Takes a head from the front of the buffer. `None`: read more.
    pub(super) fn head(
        &mut self,
        buffer: &mut BytesMut,
        expected: Expectation,
    ) -> Result<Option<Head>, HeadError> {
        match self {
            HeadReader::Lines { opening, interim } => {
                codec::head(buffer, *opening, expected, interim)
            }
            HeadReader::FastCgi { records: place, notes } => {
                let Some(records) = place else { return Ok(None) };
                let read = records.head(buffer, expected);
                notes.extend(records.notes());
                let Some(mut head) = read? else { return Ok(None) };
                if expected.has_body(head.status) {
                    head.framing = place.take().map_or(head.framing, codec::Framing::FastCgi);
                } else {
                    // Nobody waits for the end of a body that is not there.
                    head.keep = false;
                }
                Ok(Some(head))
            }
        }
    }

    /// What the log is to hear of what was read.
    pub(super) fn notes(&mut self) -> Vec<Note> {
        match self {
            HeadReader::FastCgi { notes, .. } => std::mem::take(notes),
            HeadReader::Lines { .. } => Vec::new(),
        }
    }
}
