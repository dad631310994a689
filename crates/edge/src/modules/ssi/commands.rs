//! What there is to be said, and with which parameters.

use super::reader::Command;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Include,
    Echo,
    Config,
    Set,
    If,
    Elif,
    Else,
    Endif,
    Block,
    Endblock,
}

/// The parameters a command may have; those marked it must have.
type Allowed = &'static [(&'static str, Presence)];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Needed,
    Optional,
}

use Presence::{Needed, Optional};

impl Kind {
    pub(super) fn of(name: &str) -> Option<Kind> {
        Some(match name {
            "include" => Kind::Include,
            "echo" => Kind::Echo,
            "config" => Kind::Config,
            "set" => Kind::Set,
            "if" => Kind::If,
            "elif" => Kind::Elif,
            "else" => Kind::Else,
            "endif" => Kind::Endif,
            "block" => Kind::Block,
            "endblock" => Kind::Endblock,
            _ => return None,
        })
    }

    /// Whether it decides about what follows, and so is heard where nothing else is.
    pub(super) fn is_about_conditions(self) -> bool {
        matches!(self, Kind::Elif | Kind::Else | Kind::Endif)
    }

    fn allowed(self) -> Allowed {
        match self {
            Kind::Include => &[
                ("virtual", Optional),
                ("file", Optional),
                ("wait", Optional),
                ("set", Optional),
                ("stub", Optional),
            ],
            Kind::Echo => &[("var", Needed), ("default", Optional), ("encoding", Optional)],
            Kind::Config => &[("errmsg", Optional), ("timefmt", Optional)],
            Kind::Set => &[("var", Needed), ("value", Needed)],
            Kind::If | Kind::Elif => &[("expr", Needed)],
            Kind::Block => &[("name", Needed)],
            Kind::Else | Kind::Endif | Kind::Endblock => &[],
        }
    }
}

impl Command {
    /// Whether it has the parameters its kind asks for, each once, and no others.
    pub(super) fn check(&self, kind: Kind) -> Result<(), String> {
        let allowed = kind.allowed();
        let command = &self.name;
        for (place, (key, _)) in self.parameters.iter().enumerate() {
            if !allowed.iter().any(|(name, _)| name == key) {
                return Err(format!(
                    "invalid parameter name: \"{key}\" in \"{command}\" SSI command"
                ));
            }
            if self.parameters[..place].iter().any(|(before, _)| before == key) {
                return Err(format!("duplicate \"{key}\" parameter in \"{command}\" SSI command"));
            }
        }
        for (name, presence) in allowed {
            if *presence == Needed && self.get(name).is_none() {
                return Err(format!(
                    "mandatory \"{name}\" parameter is absent in \"{command}\" SSI command"
                ));
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        let found = self.parameters.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| &value[..])
    }
}
