//! The process workers are forked from, as the gateway sees it: one question at a time over a packet
//! socket, one answer to each. What it does with them is in the app-host's `nursery.py`.
//!
//! Dropping it dismisses it: the socket closes, and the process ends. Its workers are not its
//! children but the gateway's, and stay.

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::Path,
    process::Stdio,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::socket::{
        AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, setsockopt,
        socketpair, sockopt,
    },
};
use serde_json::{Value, json};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{mpsc, oneshot},
};

use crate::{
    privileges::Identity,
    settings::{ConfigFile, Contents},
    sys,
};

/// The longest message, and the longest configuration.
const LONGEST: usize = 1 << 20;
/// Questions that wait for the one in hand.
const MOST_WAITING: usize = 1024;

/// Why the nursery did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// gunicorn's exit code for it.
    pub(super) code: u8,
    pub(super) reason: String,
}

impl Refusal {
    /// As gunicorn names it, by its exit code.
    pub(super) fn in_words(&self) -> String {
        let what = if self.code == 4 { "App failed to load" } else { "Worker failed to boot" };
        format!("{what}: {}", self.reason)
    }

    fn gone(why: &str) -> Refusal {
        Refusal { code: 3, reason: format!("the nursery is gone: {why}") }
    }
}

/// A nursery that was started, before there is a runtime to talk to it in.
pub(super) struct Seedling {
    pub(super) pid: u32,
    channel: OwnedFd,
}

impl Seedling {
    pub(super) fn start(
        python: &Path,
        library: &Path,
        config: Option<&ConfigFile>,
        folder: &Path,
        identity: Option<&Identity>,
    ) -> Result<Seedling, String> {
        let failed = |error: io::Error| format!("no channel to the nursery: {error}");
        let (channel, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .map_err(|error| failed(error.into()))?;
        for socket in [&channel, &theirs] {
            // The kernel grants what it likes; what is too long then, is refused by name.
            setsockopt(socket, sockopt::SndBuf, &LONGEST).map_err(|error| failed(error.into()))?;
        }
        let config = config.map(ConfigFile::to_argument);
        let mut command = causeway_app_host::nursery_command(python, library, config.as_deref());
        if let Some(identity) = identity {
            identity.start_as(&mut command);
        }
        let child = command
            .current_dir(folder)
            .stdin(Stdio::from(theirs))
            // Ctrl-C in a terminal is for the gateway, which then says what each has to do.
            .process_group(0)
            .spawn();
        let child = child.map_err(|error| {
            format!("interpreter \"{}\" can not be started: {error}", python.display())
        })?;
        Ok(Seedling { pid: child.id(), channel })
    }

    /// What the configuration file holds, if there is one.
    pub(super) fn read(&self) -> Result<Option<Contents>, Refusal> {
        contents(self.ask(&json!({"do": "read"}))?)
    }

    pub(super) fn ask(&self, question: &Value) -> Result<Value, Refusal> {
        let mut packet = vec![0; LONGEST];
        let failed = |error: io::Error| Refusal::gone(&error.to_string());
        send(&self.channel, question, &[]).map_err(failed)?;
        let length = receive(&self.channel, &mut packet).map_err(failed)?;
        answer(&packet[..length])
    }

    /// From here on it is talked to by a task of the runtime.
    pub(super) fn grow(self) -> io::Result<Nursery> {
        let flags = OFlag::from_bits_retain(fcntl(&self.channel, FcntlArg::F_GETFL)?);
        fcntl(&self.channel, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        let channel = sys::watched(self.channel)?;
        let (questions, waiting) = mpsc::channel(MOST_WAITING);
        tokio::task::spawn_local(converse(channel, waiting));
        Ok(Nursery { pid: self.pid, questions })
    }
}

pub(super) struct Nursery {
    pub(super) pid: u32,
    questions: mpsc::Sender<Question>,
}

struct Question {
    message: Value,
    descriptors: Vec<OwnedFd>,
    answer: oneshot::Sender<Result<Value, Refusal>>,
}

impl Nursery {
    pub(super) async fn read(&self) -> Result<Option<Contents>, Refusal> {
        contents(self.ask(json!({"do": "read"})).await?)
    }

    pub(super) async fn ask(&self, message: Value) -> Result<Value, Refusal> {
        self.hand_over(message, Vec::new()).await
    }

    /// A question with descriptors in it, closed here once they have left.
    pub(super) async fn hand_over(
        &self,
        message: Value,
        descriptors: Vec<OwnedFd>,
    ) -> Result<Value, Refusal> {
        let (answer, answered) = oneshot::channel();
        let question = Question { message, descriptors, answer };
        let gone = || Refusal::gone("it was dismissed");
        self.questions.send(question).await.map_err(|_| gone())?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Asked in its turn, and nobody waits for the answer: `false` where it has too much to do
    /// already.
    pub(super) fn tell(&self, message: Value) -> bool {
        let (answer, _) = oneshot::channel();
        self.questions.try_send(Question { message, descriptors: Vec::new(), answer }).is_ok()
    }
}

/// Asks one question after the other, until nobody can ask any more.
async fn converse(channel: AsyncFd<OwnedFd>, mut waiting: mpsc::Receiver<Question>) {
    let mut packet = vec![0; LONGEST];
    while let Some(Question { message, descriptors, answer: to }) = waiting.recv().await {
        let sent = channel
            .async_io(Interest::WRITABLE, |channel| send(channel, &message, &descriptors))
            .await;
        drop(descriptors);
        let received = match sent {
            Ok(()) => {
                let read = channel
                    .async_io(Interest::READABLE, |channel| receive(channel, &mut packet))
                    .await;
                read.map(|length| answer(&packet[..length]))
            }
            Err(error) => Err(error),
        };
        let answer = received.unwrap_or_else(|error| Err(Refusal::gone(&error.to_string())));
        // Whoever asked may have lost interest.
        let _ = to.send(answer);
    }
}

fn send(channel: &OwnedFd, message: &Value, descriptors: &[OwnedFd]) -> io::Result<()> {
    let bytes = message.to_string();
    let numbers: Vec<_> = descriptors.iter().map(|it| it.as_fd().as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let rights = if numbers.is_empty() { &[][..] } else { &rights[..] };
    let pieces = [IoSlice::new(bytes.as_bytes())];
    let flags = MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(channel.as_raw_fd(), &pieces, rights, flags, None)?;
    Ok(())
}

fn receive(channel: &OwnedFd, packet: &mut [u8]) -> io::Result<usize> {
    let mut pieces = [IoSliceMut::new(packet)];
    let length = loop {
        match recvmsg::<()>(channel.as_raw_fd(), &mut pieces, None, MsgFlags::empty()) {
            Ok(message) => break message.bytes,
            Err(Errno::EINTR) => (),
            Err(error) => return Err(error.into()),
        }
    };
    if length == 0 { Err(io::Error::other("it has ended")) } else { Ok(length) }
}

fn answer(packet: &[u8]) -> Result<Value, Refusal> {
    let invalid = |what: String| Refusal { code: 3, reason: format!("the nursery said {what}") };
    let mut answer: Value =
        serde_json::from_slice(packet).map_err(|error| invalid(error.to_string()))?;
    if let Some(done) = answer.get_mut("done") {
        return Ok(done.take());
    }
    let (Some(code), Some(reason)) = (answer["failed"].as_u64(), answer["reason"].as_str()) else {
        return Err(invalid(answer.to_string()));
    };
    Err(Refusal { code: u8::try_from(code).unwrap_or(3), reason: reason.to_owned() })
}

fn contents(value: Value) -> Result<Option<Contents>, Refusal> {
    if value.is_null() {
        return Ok(None);
    }
    serde_json::from_value(value).map(Some).map_err(|error| Refusal {
        code: 1,
        reason: format!("what the configuration file holds can not be read: {error}"),
    })
}
