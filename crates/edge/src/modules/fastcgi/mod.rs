//! `fastcgi_pass`: the request goes on as FastCGI, to PHP or to any application of that protocol.

mod script; // $fastcgi_script_name, $fastcgi_path_info

use std::sync::Arc;

use bytes::Bytes;
use fastcgi::{KeepConnection, RequestWriter};

pub use script::Script;

use super::passing::{Dialect, PLACES, Packet, Param, Params, Passing, To, passing_directives};
use crate::{
    conf::ConfError,
    engine::plan::Plan,
    exchange::Exchange,
    load::{
        Arity::{Between, Exactly},
        Block, Directive, List, Module, Setting, Site, directive,
    },
    regex::{Case, Regex},
    upstream::{FastCgiRules, Protocol, REQUEST_ID},
    vars::Variable,
};

#[derive(Clone, Default)]
pub struct FastCgi {
    passing: Passing,
    pass: Option<To>,
    params: List<Param>,
    index: Setting<Bytes>,
    split: Setting<Regex>,
    keep_conn: Setting<bool>,
    catch_stderr: List<Bytes>,
}

/// Not passed on, unless `fastcgi_pass_header` says so: it has become the status.
const HIDDEN: &[&str] = &["status"];

impl Module for FastCgi {
    const VARIABLES: &'static [Variable] = script::VARIABLES;

    const DIRECTIVES: &'static [Directive<Self>] = passing_directives![
        "fastcgi",
        directive("fastcgi_pass", &[Block::Location, Block::If], Exactly(1), |family, args| {
            if family.pass.is_some() {
                return Err(args.refuse("is duplicate"));
            }
            family.pass = Some(To::read(args)?);
            Ok(())
        }),
        directive("fastcgi_param", PLACES, Between(2, 3), |family, args| {
            family.params.push(Param::read(args)?);
            Ok(())
        }),
        directive("fastcgi_index", PLACES, Exactly(1), |family, args| {
            family.index.set(Bytes::copy_from_slice(args.word(0).as_bytes()), args)
        }),
        directive("fastcgi_split_path_info", PLACES, Exactly(1), |family, args| {
            let pattern = args.word(0).to_owned();
            let regex = args.regex(&pattern, Case::Sensitive)?;
            if regex.groups() != 2 {
                let message = format!("pattern \"{pattern}\" must have 2 captures");
                return Err(args.complain(message));
            }
            family.split.replace(regex);
            Ok(())
        }),
        directive("fastcgi_keep_conn", PLACES, Exactly(1), |family, args| {
            family.keep_conn.set(args.flag()?, args)
        }),
        directive("fastcgi_catch_stderr", PLACES, Exactly(1), |family, args| {
            family.catch_stderr.push(Bytes::copy_from_slice(args.word(0).as_bytes()));
            Ok(())
        }),
    ];

    fn inherit(&mut self, outer: &Self, into: Block) {
        To::inherit(&mut self.pass, &outer.pass, into);
        self.passing.inherit(&outer.passing);
        self.params.inherit(&outer.params);
        self.index.inherit(&outer.index);
        self.split.inherit(&outer.split);
        self.keep_conn.inherit(&outer.keep_conn);
        self.catch_stderr.inherit(&outer.catch_stderr);
    }

    fn install(self: Arc<Self>, plan: &mut Plan, site: &Site<'_>) -> Result<(), ConfError> {
        if self.index.said().is_some() || self.split.said().is_some() {
            let script = Script::new(self.index.or(Bytes::new()), self.split.said().cloned());
            plan.fastcgi_script = Some(Arc::new(script));
        }
        let Some(to) = &self.pass else { return Ok(()) };
        let keep = self.keep_conn.or(false);
        let dialect = Dialect {
            protocol: Protocol::FastCgi(FastCgiRules {
                keep,
                caught: self.catch_stderr.iter().cloned().collect(),
            }),
            hidden: HIDDEN,
            folder: "fastcgi_temp",
            packet: Box::new(Begin {
                keep: if keep { KeepConnection::Yes } else { KeepConnection::No },
            }),
        };
        to.install(&self.passing, &self.params, dialect, plan, site)
    }
}

/// BEGIN_REQUEST and PARAMS. What does not fit into one record goes into several.
struct Begin {
    keep: KeepConnection,
}

impl Packet for Begin {
    fn place<'a>(&self, url: &'a str) -> Result<&'a str, String> {
        Ok(url)
    }

    fn pack(&self, params: &Params, exchange: &Exchange) -> Result<Bytes, String> {
        let mut head = Vec::with_capacity(2 << 10);
        let mut request = RequestWriter::begin(&mut head, REQUEST_ID, self.keep);
        params.tell(exchange, |name, value| request.param(name, value));
        request.params_end();
        Ok(head.into())
    }
}
