//! What may be printed where the output goes: how wide, in colour or not, in which characters.
//!
//! Asked once, at the start; what draws is handed the answers, so that a drawing can be tested.

use std::env;
use std::io::{self, IsTerminal as _};

use crate::answered::Hop;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    Unicode,
    Ascii,
}

#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// Unknown where the output is no terminal: then lines are as long as they are.
    pub width: Option<usize>,
    pub colour: Colour,
    pub charset: Charset,
}

impl Terminal {
    pub fn of_stdout() -> Terminal {
        let output = if io::stdout().is_terminal() { Output::Terminal } else { Output::Other };
        // The library of the tables asks the terminal itself; no second way to ask is needed.
        let measured = comfy_table::Table::new().width().map(usize::from);
        Terminal::of(output, measured, |name| env::var(name).ok())
    }

    fn of(
        output: Output,
        measured: Option<usize>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Terminal {
        let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
        let plain = variable("NO_COLOR").is_some() || variable("TERM").is_some_and(|t| t == "dumb");
        let columns = variable("COLUMNS").and_then(|columns| columns.parse().ok());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable);
        Terminal {
            width: columns.filter(|&columns| columns > 0).or(measured),
            colour: match output {
                Output::Terminal if !plain => Colour::Always,
                _ => Colour::Never,
            },
            charset: charset(locale.as_deref()),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Output {
    Terminal,
    Other,
}

/// By the locale's name; one without a name is the plain one, `C`.
fn charset(locale: Option<&str>) -> Charset {
    let locale = locale.unwrap_or("C").to_ascii_lowercase();
    if locale.contains("utf-8") || locale.contains("utf8") {
        Charset::Unicode
    } else {
        Charset::Ascii
    }
}

/// How a piece of a drawing is set off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    Plain,
    Strong,
    /// What the request did not come to.
    Faint,
    Of(Hop),
}

impl Paint {
    /// The number of SGR, ECMA-48 §8.3.117.
    fn code(self) -> &'static str {
        match self {
            Paint::Plain => "0",
            Paint::Strong => "1",
            Paint::Faint => "2",
            Paint::Of(Hop::Browser) => "36",
            Paint::Of(Hop::Edge) => "32",
            Paint::Of(Hop::Gateway) => "33",
            Paint::Of(Hop::AppHost) => "34",
            Paint::Of(Hop::Application) => "35",
        }
    }

    pub fn on(self, text: &str, colour: Colour) -> String {
        match (self, colour) {
            (Paint::Plain, _) | (_, Colour::Never) => text.to_owned(),
            (paint, Colour::Always) => format!("\x1b[{}m{text}\x1b[0m", paint.code()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_decides_on_the_characters() {
        assert_eq!(charset(Some("ko_KR.UTF-8")), Charset::Unicode);
        assert_eq!(charset(Some("C.utf8")), Charset::Unicode);
        assert_eq!(charset(Some("ko_KR.eucKR")), Charset::Ascii);
        assert_eq!(charset(None), Charset::Ascii);
    }

    fn check(output: Output, environment: &[(&str, &str)], colour: Colour, width: Option<usize>) {
        let measured = (output == Output::Terminal).then_some(120);
        let terminal = Terminal::of(output, measured, |name| {
            let found = environment.iter().find(|(candidate, _)| *candidate == name);
            found.map(|(_, value)| (*value).to_owned())
        });
        assert_eq!((terminal.colour, terminal.width), (colour, width), "{environment:?}");
    }

    #[test]
    fn the_environment_is_honoured() {
        check(Output::Terminal, &[], Colour::Always, Some(120));
        check(Output::Other, &[], Colour::Never, None);
        check(Output::Terminal, &[("NO_COLOR", "1")], Colour::Never, Some(120));
        check(Output::Terminal, &[("NO_COLOR", "")], Colour::Always, Some(120));
        check(Output::Terminal, &[("TERM", "dumb")], Colour::Never, Some(120));
        check(Output::Other, &[("COLUMNS", "90")], Colour::Never, Some(90));
        check(Output::Terminal, &[("COLUMNS", "0")], Colour::Always, Some(120));
    }

    #[test]
    fn the_first_locale_that_is_set_counts() {
        let of = |environment: fn(&str) -> Option<String>| {
            Terminal::of(Output::Other, None, environment).charset
        };
        let set = |name: &str| (name == "LANG").then(|| "C.UTF-8".to_owned());
        assert_eq!(of(set), Charset::Unicode);
        let set = |name: &str| Some(if name == "LC_ALL" { "C" } else { "C.UTF-8" }.to_owned());
        assert_eq!(of(set), Charset::Ascii);
    }

    #[test]
    fn colour_is_put_on_only_where_it_is_wanted() {
        assert_eq!(Paint::Of(Hop::Edge).on("x", Colour::Never), "x");
        assert_eq!(Paint::Of(Hop::Edge).on("x", Colour::Always), "\x1b[32mx\x1b[0m");
        assert_eq!(Paint::Plain.on("x", Colour::Always), "x");
    }
}
