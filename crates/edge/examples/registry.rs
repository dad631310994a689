//! What the registry holds, a line for each fact, for `cargo xtask directives`, which makes a page of it.
//! An example and not a flag: nginx's command line has no place for it, and xtask stays quick to build.
#![expect(clippy::print_stdout, reason = "the one who asks reads it from there")]

use causeway_edge::{
    load::{Arity, Block, Body, NGINX},
    modules::MODULES,
    vars::{self, Variable},
};

/// What the loader itself takes, before it asks a family.
const STRUCTURE: [(&str, &str, &str); 4] = [
    ("http", "main", "0 {}"),
    ("include", "everywhere", "1"),
    ("location", "server, location", "1-2 {}"),
    ("server", "http", "0 {}"),
];

fn main() {
    for (name, blocks, words) in STRUCTURE {
        println!("directive\tthe loader\t{name}\t{blocks}\t{words}");
    }
    variables("the request", vars::BUILTIN);
    for entry in MODULES {
        let family = (entry.family)();
        for row in (entry.directives)().into_iter().filter(|row| !row.is_lacking()) {
            let blocks: Vec<&str> = row.blocks().iter().map(|block| place(*block)).collect();
            let braces = if row.body() == Body::None { "" } else { " {}" };
            let (name, blocks, words) = (row.name(), blocks.join(", "), words(row.arity()));
            println!("directive\t{family}\t{name}\t{blocks}\t{words}{braces}");
        }
        variables(family, entry.variables);
    }
    for module in NGINX {
        for name in module.directives {
            println!("nginx\t{}\tdirective\t{name}", module.name);
        }
        for name in module.variables {
            println!("nginx\t{}\tvariable\t{name}", module.name);
        }
    }
}

fn variables(family: &str, rows: &[Variable]) {
    for row in rows {
        println!("variable\t{family}\t{}", row.name);
    }
}

fn place(block: Block) -> &'static str {
    match block {
        Block::Main => "main",
        Block::Events => "events",
        Block::Http => "http",
        Block::Upstream => "upstream",
        Block::Server => "server",
        Block::ServerIf => "if in server",
        Block::Location => "location",
        Block::If => "if in location",
        Block::LimitExcept => "limit_except",
    }
}

fn words(arity: Arity) -> String {
    match arity {
        Arity::Exactly(number) => number.to_string(),
        Arity::Between(low, high) => format!("{low}-{high}"),
        Arity::AtLeast(low) => format!("{low} or more"),
    }
}
