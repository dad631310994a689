//! `set`, `return`, `rewrite`, `break` and `if`: a small program per block, run in the order it is
//! written.
//!
//! Never inherited: a server's program runs in the server rewrite phase, a location's in its own.
//! An `if` is a step of the program it stands in, so that a `break` inside it ends the whole; it
//! also enters an unnamed location, and the request stays in the one entered last.

mod condition; // what an `if` asks
mod replacement; // what a `rewrite` makes of a URI

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    body::file::Opening,
    conf::ConfError,
    engine::plan::{self, Answer, Plan, Rewritten},
    exchange::Exchange,
    load::{
        Args,
        Arity::{AtLeast, Between, Exactly},
        Block, Body, Directive, Module, Scope, Setting, Site, block, directive,
    },
    modules::{limit_rate, open_file_cache::OpenFileCache, types::Types},
    response::{self, Response},
    vars::{Template, VarId},
};
use condition::Condition;
use replacement::Replacement;

#[derive(Default)]
pub struct Rewrite {
    program: Vec<Step>,
    /// `rewrite_log`: whether each step is told to the error log, at level notice.
    tells_steps: Setting<bool>,
    uninitialized_variable_warn: Setting<bool>,
}

enum Step {
    Set(VarId, Template),
    /// `set $args`: not a variable of the configuration's own, but the request's query string.
    SetArgs(Template),
    /// `set $limit_rate`: the request's own, and not a variable either.
    SetLimitRate(Template),
    Return(u16, Option<Template>),
    Rewrite(Replacement),
    Break,
    If {
        condition: Condition,
        /// The unnamed location; a server's `if` has none to enter.
        enters: Option<Scope>,
        steps: Vec<Step>,
    },
}

/// How a program goes on after a step.
enum Flow {
    Next,
    /// `break`, `last`: no step is run any more.
    End,
    Answer(Answer),
}

const BLOCKS: &[Block] = &[Block::Server, Block::ServerIf, Block::Location, Block::If];
const FLAGS: &[Block] = &[Block::Http, Block::Server, Block::ServerIf, Block::Location, Block::If];

impl Module for Rewrite {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("set", BLOCKS, Exactly(2), Rewrite::set),
        directive("return", BLOCKS, Between(1, 2), Rewrite::return_),
        directive("rewrite", BLOCKS, Between(2, 3), |rewrite, args| {
            let replacement = Replacement::read(args)?;
            rewrite.program.push(Step::Rewrite(replacement));
            Ok(())
        }),
        directive("break", BLOCKS, Exactly(0), |rewrite, _| {
            rewrite.program.push(Step::Break);
            Ok(())
        }),
        block("if", &[Block::Server, Block::Location], AtLeast(1), Body::Own, Rewrite::if_),
        directive("rewrite_log", FLAGS, Exactly(1), |rewrite, args| {
            rewrite.tells_steps.set(args.flag()?, args)
        }),
        directive("uninitialized_variable_warn", FLAGS, Exactly(1), |rewrite, args| {
            rewrite.uninitialized_variable_warn.set(args.flag()?, args)
        }),
    ];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.tells_steps.inherit(&outer.tells_steps);
        self.uninitialized_variable_warn.inherit(&outer.uninitialized_variable_warn);
    }

    fn install(self: Arc<Self>, plan: &mut Plan, site: &Site<'_>) -> Result<(), ConfError> {
        plan.quiet_about_unset = !self.uninitialized_variable_warn.or(true);
        if !self.program.is_empty() {
            let opening = site.get::<OpenFileCache>().opening();
            plan.rewrite.push(Arc::new(Program { rules: self, opening }));
        }
        Ok(())
    }
}

/// One block's rules, with how its files are looked at.
struct Program {
    rules: Arc<Rewrite>,
    opening: Opening,
}

impl plan::Rewrite for Program {
    fn rewrite(&self, exchange: &mut Exchange) -> Rewritten {
        let rewrite_log = self.rules.tells_steps.or(false);
        let mut run = Run { rewrite_log, opening: &self.opening, relocate: false };
        match run.steps(&self.rules.program, exchange) {
            Flow::Answer(answer) => Rewritten::Answer(answer),
            Flow::Next | Flow::End if run.relocate => Rewritten::Relocate,
            Flow::Next | Flow::End => Rewritten::Unchanged,
        }
    }
}

/// One run of a program.
struct Run<'a> {
    rewrite_log: bool,
    opening: &'a Opening,
    /// Whether the URI was changed, so that its location must be searched for again.
    relocate: bool,
}

impl Run<'_> {
    fn steps(&mut self, steps: &[Step], exchange: &mut Exchange) -> Flow {
        let here = Arc::clone(&exchange.location);
        for step in steps {
            match step {
                Step::Set(id, value) => {
                    let value = value.render(exchange);
                    exchange.set_var(*id, value);
                }
                Step::SetArgs(value) => exchange.args = value.render(exchange),
                Step::SetLimitRate(value) => {
                    let value = value.render(exchange);
                    limit_rate::set(exchange, &value);
                }
                Step::Return(status, text) => {
                    return Flow::Answer(answer(exchange, *status, text.as_ref()));
                }
                Step::Break => {
                    self.relocate = false;
                    return Flow::End;
                }
                Step::Rewrite(replacement) => match replacement.run(self, exchange) {
                    Flow::Next => (),
                    ended => return ended,
                },
                Step::If { condition, enters, steps } => {
                    if !condition.holds(exchange, self.rewrite_log, self.opening) {
                        continue;
                    }
                    if let Some(scope) = enters {
                        let scope = here.scope(*scope);
                        exchange.handler_left = exchange.location.plan.handler.is_some()
                            && scope.plan.handler.is_none();
                        exchange.location = scope;
                    }
                    match self.steps(steps, exchange) {
                        Flow::Next => (),
                        ended => return ended,
                    }
                }
            }
        }
        Flow::Next
    }
}

impl Rewrite {
    fn set(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let word = args.word(0).to_owned();
        let Some(name) = word.strip_prefix('$').filter(|name| !name.is_empty()) else {
            return Err(args.complain(format!("invalid variable name \"{word}\"")));
        };
        let value = args.template(1)?;
        if name.eq_ignore_ascii_case("args") {
            self.program.push(Step::SetArgs(value));
            return Ok(());
        }
        if name.eq_ignore_ascii_case("limit_rate") {
            self.program.push(Step::SetLimitRate(value));
            return Ok(());
        }
        if crate::vars::is_builtin(name) {
            return Err(args.complain(format!("the duplicate \"{name}\" variable")));
        }
        let id = args.loader.names.assign(name, &args.node.name.span);
        self.program.push(Step::Set(id, value));
        Ok(())
    }

    /// `return code`, `return code text`, `return url`.
    fn return_(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let word = args.word(0);
        let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        let code = word.parse().ok().filter(|code| digits && *code <= 999_u16);
        let step = match code {
            Some(code) => {
                let text = args.get(1).is_some().then(|| args.template(1)).transpose()?;
                Step::Return(code, text)
            }
            None if !digits && args.len() == 1 && replacement::is_redirect(word) => {
                Step::Return(302, Some(args.template(0)?))
            }
            None => return Err(args.complain(format!("invalid return code \"{word}\""))),
        };
        self.program.push(step);
        Ok(())
    }

    fn if_(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let condition = Condition::read(args)?;
        let kind = if args.block == Block::Server { Block::ServerIf } else { Block::If };
        let scope = args.scope(kind)?;
        // Its steps are steps of this program; what else stands in it belongs to its location.
        let steps = std::mem::take(&mut args.family::<Rewrite>(scope).program);
        let enters = (kind == Block::If).then_some(scope);
        self.program.push(Step::If { condition, enters, steps });
        Ok(())
    }
}

/// What `return` says. A bare code from 400 on is left to `error_page` and the built-in pages.
fn answer(exchange: &Exchange, status: u16, text: Option<&Template>) -> Answer {
    let text = match text {
        None if status == 444 => return Answer::Close,
        None if status >= 400 => return Answer::Status(status),
        None => Bytes::new(),
        Some(template) if status >= 400 && template.is_empty() => return Answer::Status(status),
        Some(template) => template.render(exchange),
    };
    if matches!(status, 301 | 302 | 303 | 307 | 308) {
        return Answer::response(Response::redirect(exchange, status, text));
    }
    let mut response = Response::new(status);
    if status != 204 {
        response.content_type = Types::of(exchange);
    }
    response.body = response::Body::Bytes(text);
    Answer::response(response)
}
