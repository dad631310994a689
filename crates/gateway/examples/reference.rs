//! What is written down of the settings, made from their rows: `reference page|man|bash|zsh|fish`. For
//! `cargo xtask settings`, which puts it into files; an example, so that the gateway itself carries
//! nothing that only those who build it need.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use causeway_gateway::settings::{self, Described};
use clap_complete::{Shell, generate};
use clap_mangen::Man;

const PROGRAM: &str = "causeway-gateway";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut output = Vec::new();
    match std::env::args().nth(1).as_deref() {
        Some("page") => output.write_all(page()?.as_bytes())?,
        Some("man") => manual(&mut output)?,
        Some("bash") => completions(Shell::Bash, &mut output),
        Some("zsh") => completions(Shell::Zsh, &mut output),
        Some("fish") => completions(Shell::Fish, &mut output),
        _ => return Err("usage: reference page|man|bash|zsh|fish".into()),
    }
    // Generators leave blanks at the end of lines.
    let text: String =
        String::from_utf8(output)?.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    Ok(io::stdout().write_all(text.as_bytes())?)
}

fn completions(shell: Shell, output: &mut Vec<u8>) {
    generate(shell, &mut offered(), PROGRAM, output);
}

/// The command line without what it only knows in order to refuse it.
fn offered() -> clap::Command {
    let all = settings::command();
    let mut offered = clap::Command::new(PROGRAM)
        .about(all.get_about().cloned().unwrap_or_default())
        .disable_version_flag(true);
    for argument in all.get_arguments().filter(|argument| !argument.is_hide_set()) {
        offered = offered.arg(argument.clone());
    }
    offered
}

fn page() -> Result<String, std::fmt::Error> {
    let rows: Vec<Described> = settings::described().collect();
    let refused = rows.iter().filter(|row| row.refused.is_some()).count();
    let mut page = String::new();
    writeln!(
        page,
        "# The gateway's settings\n\n\
         Written by `cargo xtask settings` from the gateway's rows. It has {} settings, and refuses {refused} more of\n\
         gunicorn's by name. The command line is stronger than `GUNICORN_CMD_ARGS`, that stronger than the\n\
         configuration file (`-c FILE`, or `gunicorn.conf.py` where it is started), and that stronger than a setting's own\n\
         variable. Lists are replaced, not merged. What is otherwise than in gunicorn is told in `docs/gateway.md`.\n\n\
         Two things are no settings but look like it: `-c`, `--config FILE` and, in a file, `wsgi_app`, the application\n\
         where the command line names none.",
        rows.len() - refused,
    )?;
    let mut section = "";
    for row in &rows {
        if row.section != section {
            section = row.section;
            let header = match row.refused {
                None => "| setting | flags | default | what it means |\n| --- | --- | --- | --- |",
                Some(_) => "| setting | flags | instead |\n| --- | --- | --- |",
            };
            writeln!(page, "\n## {section}\n\n{header}")?;
        }
        let flags: Vec<String> = row.flags.iter().map(|flag| format!("`{flag}`")).collect();
        let (name, flags) = (row.name, flags.join(", "));
        match row.refused {
            None => {
                writeln!(page, "| `{name}` | {flags} | {} | {} |", default(row), cell(&row.help))?;
            }
            Some(advice) => writeln!(page, "| `{name}` | {flags} | {} |", cell(advice))?,
        }
    }
    Ok(page)
}

fn default(row: &Described) -> String {
    let default = match row.default {
        "" => String::new(),
        text => format!("`{}`", cell(text)),
    };
    match row.environment {
        None => default,
        Some(variable) => format!(
            "`${variable}`{}",
            if default.is_empty() { String::new() } else { format!(", else {default}") }
        ),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn manual(output: &mut Vec<u8>) -> io::Result<()> {
    // Which lists no second name of its own accord.
    let described = offered().mut_args(|argument| {
        let Some(names) = argument.get_visible_aliases().filter(|names| !names.is_empty()) else {
            return argument;
        };
        let names: Vec<String> = names.iter().map(|name| format!("--{name}")).collect();
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        argument.help(format!("{help} [also: {}]", names.join(", ")))
    });
    let manual =
        Man::new(described).title(PROGRAM).section("1").manual("Causeway").source("Causeway");
    manual.render_title(output)?;
    manual.render_name_section(output)?;
    output.write_all(
        b".SH SYNOPSIS\n\\fBcauseway\\-gateway\\fR [\\fIOPTIONS\\fR] \\fIMODULE:CALLABLE\\fR\n",
    )?;
    manual.render_description_section(output)?;
    manual.render_options_section(output)?;
    output.write_all(REST.as_bytes())
}

/// What a command line does not know of itself.
const REST: &str = r".SH SIGNALS
.TP
\fBTERM\fR
Take no more connections, answer what was begun, for at most \-\-graceful\-timeout; leave with 0.
.TP
\fBINT\fR, \fBQUIT\fR
Leave at once.
.TP
\fBHUP\fR
Read the configuration again and replace the workers; if that fails, everything goes on as it was.
.TP
\fBUSR1\fR
Open the log files again.
.TP
\fBUSR2\fR
Start a new gateway on the same sockets.
.TP
\fBTTIN\fR, \fBTTOU\fR
One worker more, one fewer.
.TP
\fBWINCH\fR
With \-\-daemon: let all workers go, and stay.
.SH EXIT STATUS
.TP
\fB0\fR
It was told to stop, or a check succeeded.
.TP
\fB1\fR
A setting is wrong, or an address or a file can not be opened.
.TP
\fB2\fR
A flag is unknown or has no fitting value.
.TP
\fB3\fR
No worker could boot.
.TP
\fB4\fR
The application is not there or can not be called.
.SH ENVIRONMENT
.TP
\fBGUNICORN_CMD_ARGS\fR
More flags, weaker than those of the command line and stronger than the configuration file.
.TP
\fBWEB_CONCURRENCY\fR, \fBPORT\fR, \fBFORWARDED_ALLOW_IPS\fR, \fBSENDFILE\fR
Defaults of \-\-workers, \-\-bind, \-\-forwarded\-allow\-ips and \-\-no\-sendfile.
.TP
\fBSCRIPT_NAME\fR
The prefix that the application is mounted under.
.TP
\fBLISTEN_FDS\fR, \fBLISTEN_PID\fR, \fBNOTIFY_SOCKET\fR
systemd's: sockets to listen on, and where to tell that all is ready.
.SH FILES
.TP
\fI./gunicorn.conf.py\fR
Settings, where no \-\-config names another file.
.SH SEE ALSO
\fBgunicorn\fR(1), \fBsystemd.service\fR(5)
";
