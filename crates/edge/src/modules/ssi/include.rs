//! `include`: another place's answer, as a part of this page, as the value of a variable, or, where
//! there is none, a block of this page in its stead.

use std::{
    io,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;

use super::{Rules, knowledge::Knowledge, page::Page, reader::Command};
use crate::{
    engine::{Answered, Subrequest},
    exchange::Exchange,
    log::Level,
    response::{Body, Response, Source},
    uri,
};

pub(super) struct Include {
    stage: Stage,
    purpose: Purpose,
}

enum Stage {
    Asking(Subrequest),
    /// The exchange stays as long as its answer is read.
    Giving {
        _asked: Box<Exchange>,
        source: Box<dyn Source>,
    },
    Over,
}

enum Purpose {
    Show,
    /// Where there is nothing to show: this block.
    ShowOr(Bytes),
    Set {
        name: String,
        value: Vec<u8>,
        most: u64,
    },
}

/// What the page gets.
pub(super) enum Got {
    Data(Bytes),
    /// For the rest of the request.
    Value {
        name: String,
        value: Bytes,
    },
    End,
}

/// What `virtual` or `file` says, if the rest of the command fits to it.
pub(super) fn place(command: &Command) -> Result<&[u8], String> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let place = match (command.get("virtual"), command.get("file")) {
        (Some(place), Some(file)) => {
            return Err(format!(
                "inclusion may be either virtual=\"{}\" or file=\"{}\"",
                text(place),
                text(file)
            ));
        }
        (None, None) => return Err("no parameter in \"include\" SSI command".to_owned()),
        (Some(place), None) | (None, Some(place)) => place,
    };
    if command.get("set").is_some() && command.get("stub").is_some() {
        let message = "\"set\" and \"stub\" cannot be used together in \"include\" SSI command";
        return Err(message.to_owned());
    }
    // Every include is waited for before the next; the word is read so that a wrong one is told.
    match (command.get("wait"), command.get("file")) {
        (Some(_), Some(file)) => {
            Err(format!("\"wait\" cannot be used with file=\"{}\"", text(file)))
        }
        (Some(wait), None)
            if !wait.eq_ignore_ascii_case(b"yes") && !wait.eq_ignore_ascii_case(b"no") =>
        {
            Err(format!("invalid value \"{}\" in the \"wait\" parameter", text(wait)))
        }
        _ => Ok(place),
    }
}

impl Include {
    /// `place` is what `virtual` or `file` says, looked up. `Err`: why not; `Ok(None)`: the log
    /// knows.
    pub(super) fn begin(
        context: &mut Exchange,
        knowledge: &Knowledge,
        command: &Command,
        place: &[u8],
        rules: Rules,
    ) -> Result<Option<Include>, String> {
        let stub = command.get("stub");
        let purpose = match (command.get("set"), stub) {
            (Some(name), _) => Purpose::Set {
                name: String::from_utf8_lossy(name).to_ascii_lowercase(),
                value: Vec::new(),
                most: rules.set_length,
            },
            (None, None) => Purpose::Show,
            (None, Some(name)) => {
                let block = knowledge.borrow().block(name);
                let missing = || {
                    let name = String::from_utf8_lossy(name);
                    format!("\"stub\"=\"{name}\" for \"include\" not found")
                };
                Purpose::ShowOr(block.ok_or_else(missing)?)
            }
        };
        let Some((path, args)) = split(place) else {
            let place = String::from_utf8_lossy(place);
            return Err(format!("unsafe URI \"{place}\" was detected"));
        };
        let begun = Subrequest::begin(context, path, args, |child| {
            *child.keep::<Knowledge>() = Rc::clone(knowledge);
        });
        Ok(begun.map(|asking| Include { stage: Stage::Asking(asking), purpose }))
    }

    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        rules: Rules,
    ) -> Poll<io::Result<Got>> {
        loop {
            match &mut self.stage {
                Stage::Asking(asking) => {
                    let answered = ready!(std::pin::Pin::new(asking).poll(context));
                    self.stage = self.begin_to_give(answered, rules);
                }
                Stage::Giving { source, .. } => match ready!(source.poll_chunk(context)) {
                    Some(Ok(data)) => match &mut self.purpose {
                        Purpose::Show | Purpose::ShowOr(_) => {
                            return Poll::Ready(Ok(Got::Data(data)));
                        }
                        Purpose::Set { value, most, .. } => {
                            value.extend_from_slice(&data);
                            if value.len() as u64 > *most {
                                let message = "too big subrequest response";
                                return Poll::Ready(Err(io::Error::other(message)));
                            }
                        }
                    },
                    Some(Err(error)) => return Poll::Ready(Err(error)),
                    None => self.stage = Stage::Over,
                },
                Stage::Over => {
                    return Poll::Ready(Ok(
                        match std::mem::replace(&mut self.purpose, Purpose::Show) {
                            Purpose::Set { name, value, .. } => {
                                Got::Value { name, value: value.into() }
                            }
                            Purpose::Show | Purpose::ShowOr(_) => Got::End,
                        },
                    ));
                }
            }
        }
    }

    fn begin_to_give(&self, answered: Answered, rules: Rules) -> Stage {
        let Answered { mut exchange, response } = answered;
        if let Purpose::ShowOr(block) = &self.purpose
            && response.as_ref().is_none_or(says_nothing)
        {
            let page = Page::of_block(&mut exchange, block.clone(), rules);
            return Stage::Giving { _asked: exchange, source: Box::new(page) };
        }
        let Some(response) = response else { return Stage::Over };
        if matches!(response.body, Body::Tunnel(_)) {
            exchange.log(Level::Error, "connection upgrade in subrequest");
            return Stage::Over;
        }
        if matches!(self.purpose, Purpose::Set { .. }) && response.status >= 300 {
            return Stage::Over;
        }
        match response.body.into_source() {
            Some(source) => Stage::Giving { _asked: exchange, source },
            None => Stage::Over,
        }
    }
}

/// An answer that a block may stand for: an error of this server's own, or nothing at all.
fn says_nothing(response: &Response) -> bool {
    response.body.length() == Some(0) || (response.status >= 300 && !response.from_upstream)
}

/// The path, decoded, and the arguments. `None`: it leads upwards, or nowhere.
fn split(place: &[u8]) -> Option<(Bytes, Bytes)> {
    let (path, args) = uri::split_args(&Bytes::copy_from_slice(place));
    if path.first() != Some(&b'/') {
        return None;
    }
    let path = uri::decode(&path).ok()?;
    let leads_up = path.split(|byte| *byte == b'/').any(|segment| segment == b"..");
    (!leads_up).then(|| (path.into(), args))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let check = |place: &str, expected: Option<(&str, &str)>| {
            let found = split(place.as_bytes());
            let expected = expected.map(|(path, args)| {
                (Bytes::copy_from_slice(path.as_bytes()), Bytes::copy_from_slice(args.as_bytes()))
            });
            assert_eq!(found, expected, "{place}");
        };
        check("/a/b?c=d", Some(("/a/b", "c=d")));
        check("/tes%74%3f?%20", Some(("/test?", "%20")));
        check("/a/..b", Some(("/a/..b", "")));
        for bad in ["", "a", "?a", "/../a", "/a/..", "/a/%2e%2e/b", "/%00", "/%zz"] {
            check(bad, None);
        }
    }
}
