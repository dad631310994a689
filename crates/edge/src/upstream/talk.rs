//! One request on one connection: sent, and answered by a head, which may come before all is sent.

use std::{
    future::poll_fn,
    io,
    pin::pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;

use super::{
    Connection, Failure, Head, Limits, NextUpstream, Outgoing,
    ask::Trouble,
    codec::{Expectation, HeadError},
    protocol::HeadReader,
    wait::{Interruption, watch},
};
use crate::{conf::errno, exchange::Exchange, log::Level};

/// Sending a request and reading the head of its response, which may come before all is sent.
pub(super) struct Talk<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) outgoing: &'a mut Outgoing,
    pub(super) limits: &'a Limits,
    pub(super) expected: Expectation,
    pub(super) reader: HeadReader,
}

/// Why the talk ended without a head.
pub(super) enum Broken {
    Send(io::Error),
    SendTimeout,
    Read(io::Error),
    ReadTimeout,
    /// The peer closed; whether it had said anything before.
    Closed {
        silent: bool,
    },
    Head(HeadError),
    Gone {
        sending: bool,
    },
    /// The client's body is at fault.
    Client(u16),
}

/// One wait's outcome.
enum Step {
    Sent,
    SendFailed(io::Error),
    Read(io::Result<usize>),
}

impl Talk<'_> {
    /// The head, and whether the whole request has been sent.
    pub(super) async fn head(
        &mut self,
        exchange: &Exchange,
    ) -> Result<Option<(Box<Head>, bool)>, Broken> {
        let mut sent = false;
        let mut send_error = None;
        let mut read_any = false;
        loop {
            let limit = if sent { self.limits.read } else { self.limits.send };
            let step = watch(&exchange.client, self.limits, limit, |context| {
                self.poll_step(context, sent)
            });
            match step.await {
                Err(Interruption::Gone) => return Err(Broken::Gone { sending: !sent }),
                Err(Interruption::Timeout) if sent => return Err(Broken::ReadTimeout),
                Err(Interruption::Timeout) => return Err(Broken::SendTimeout),
                Ok(Step::Sent) => sent = true,
                Ok(Step::SendFailed(error)) => {
                    // The peer reads no more, but it may have said why before it closed.
                    send_error = Some(error);
                    sent = true;
                }
                Ok(Step::Read(Err(error))) => {
                    return Err(send_error.map_or(Broken::Read(error), Broken::Send));
                }
                Ok(Step::Read(Ok(0))) => {
                    return Err(match send_error {
                        Some(error) => Broken::Send(error),
                        None => Broken::Closed { silent: !read_any },
                    });
                }
                Ok(Step::Read(Ok(_))) => {
                    read_any = true;
                    let head = self.read_head();
                    self.say_notes(exchange);
                    if let Some(mut head) = head? {
                        head.keep &= send_error.is_none();
                        return Ok(Some((head, sent)));
                    }
                }
            }
        }
    }

    fn read_head(&mut self) -> Result<Option<Box<Head>>, Broken> {
        let head = self.reader.head(&mut self.connection.buffer, self.expected);
        // In a box: it goes through many hands.
        head.map(|head| head.map(Box::new)).map_err(Broken::Head)
    }

    /// What the peer has said that is no part of its answer.
    fn say_notes(&mut self, exchange: &Exchange) {
        for note in self.reader.notes() {
            exchange.log(note.level, &while_reading(&note.text));
        }
    }

    fn poll_step(&mut self, context: &mut Context<'_>, sent: bool) -> Poll<Step> {
        if !sent {
            match self.outgoing.poll_send(context, self.connection) {
                Poll::Ready(Ok(())) => return Poll::Ready(Step::Sent),
                Poll::Ready(Err(error)) => return Poll::Ready(Step::SendFailed(error)),
                Poll::Pending => (),
            }
        }
        self.connection.poll_read(context).map(Step::Read)
    }

    /// Sends the body as it comes from the client. A head that comes before the end ends it.
    pub(super) async fn stream(
        &mut self,
        exchange: &mut Exchange,
    ) -> Result<Option<Box<Head>>, Broken> {
        let client = Rc::clone(&exchange.client);
        // What has come already leaves with the head.
        let mut piece = exchange.body.taken();
        let mut last = piece.is_some() && exchange.body.is_given_out();
        loop {
            if let Some(piece) = piece {
                self.outgoing.push(piece);
            }
            if last {
                self.outgoing.end();
            }
            // What is there is sent before more is read: that is the client's backpressure.
            loop {
                let step = watch(&client, self.limits, self.limits.send, |context| {
                    self.poll_step(context, false)
                });
                match step.await {
                    Err(Interruption::Gone) => return Err(Broken::Gone { sending: true }),
                    Err(Interruption::Timeout) => return Err(Broken::SendTimeout),
                    Ok(Step::Sent) => break,
                    // `head` reads what the peer has said before.
                    Ok(Step::SendFailed(_)) => return Ok(None),
                    Ok(Step::Read(Err(error))) => return Err(Broken::Read(error)),
                    Ok(Step::Read(Ok(0))) => return Err(Broken::Closed { silent: false }),
                    Ok(Step::Read(Ok(_))) => {
                        let head = self.read_head();
                        self.say_notes(exchange);
                        if let Some(head) = head? {
                            return Ok(Some(head));
                        }
                    }
                }
            }
            if last {
                return Ok(None);
            }
            let next = self.next_piece(exchange).await;
            self.say_notes(exchange);
            piece = match next? {
                Next::Piece(piece) => piece,
                Next::Head(head) => return Ok(Some(head)),
            };
            last = piece.is_none() || exchange.body.is_given_out();
        }
    }

    /// More from the client, or an answer from the peer, whichever is first.
    async fn next_piece(&mut self, exchange: &mut Exchange) -> Result<Next, Broken> {
        let mut chunk = pin!(exchange.body.chunk(self.limits.client_body));
        poll_fn(|context| {
            if let Poll::Ready(piece) = chunk.as_mut().poll(context) {
                return Poll::Ready(match piece {
                    Ok(piece) => Ok(Next::Piece(piece)),
                    Err(error) => Err(Broken::Client(error.status())),
                });
            }
            loop {
                match self.connection.poll_read(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::Read(error))),
                    Poll::Ready(Ok(0)) => {
                        return Poll::Ready(Err(Broken::Closed { silent: false }));
                    }
                    Poll::Ready(Ok(_)) => match self.read_head() {
                        Ok(None) => (),
                        Ok(Some(head)) => return Poll::Ready(Ok(Next::Head(head))),
                        Err(broken) => return Poll::Ready(Err(broken)),
                    },
                }
            }
        })
        .await
    }
}

enum Next {
    /// `None`: that was the last.
    Piece(Option<Bytes>),
    Head(Box<Head>),
}

impl Broken {
    /// Says it in the log, and what follows from it.
    pub(super) fn trouble(self, exchange: &Exchange, cached: bool) -> Trouble {
        let sending = |message: String| format!("{message} while sending request to upstream");
        let mut stale = false;
        let (why, status, level, message) = match self {
            Broken::Gone { sending: true } => {
                return gone(exchange, "sending request to upstream");
            }
            Broken::Gone { sending: false } => {
                return gone(exchange, "reading response header from upstream");
            }
            Broken::Client(status) => {
                let message = "client prematurely closed connection";
                exchange.log(Level::Info, &sending(message.to_owned()));
                return Trouble::Final(Failure::Status(status));
            }
            Broken::Send(error) => {
                stale = cached;
                let message = format!("writev() failed ({})", errno(&error));
                (NextUpstream::ERROR, 502, Level::Error, sending(message))
            }
            Broken::SendTimeout => {
                let message = "upstream timed out (110: Connection timed out)".to_owned();
                (NextUpstream::TIMEOUT, 504, Level::Error, sending(message))
            }
            Broken::ReadTimeout => {
                let message = "upstream timed out (110: Connection timed out)";
                (NextUpstream::TIMEOUT, 504, Level::Error, while_reading(message))
            }
            Broken::Read(error) => {
                stale = cached;
                let message = format!("recv() failed ({})", errno(&error));
                (NextUpstream::ERROR, 502, Level::Error, while_reading(&message))
            }
            Broken::Closed { silent } => {
                stale = cached && silent;
                let message = "upstream prematurely closed connection";
                (NextUpstream::ERROR, 502, Level::Error, while_reading(message))
            }
            Broken::Head(error) => {
                let message = while_reading(&error.to_string());
                (NextUpstream::INVALID_HEADER, 502, Level::Error, message)
            }
        };
        // That an idle connection is closed in the very moment it is used is nobody's fault.
        exchange.log(if stale { Level::Info } else { level }, &message);
        Trouble::Peer { why, status, sent: true, stale }
    }
}

pub(super) fn gone(exchange: &Exchange, stage: &str) -> Trouble {
    let message =
        "client prematurely closed connection, so upstream connection is closed too while";
    exchange.log(Level::Info, &format!("{message} {stage}"));
    Trouble::Final(Failure::Gone)
}

pub(super) fn while_reading(message: &str) -> String {
    format!("{message} while reading response header from upstream")
}
