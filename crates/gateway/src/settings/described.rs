//! What there is to say of each setting, for those who write it down elsewhere: the reference page, and
//! tests that nothing is missing there.

use super::rows::{Row, SECTIONS, Takes};

pub struct Described {
    pub section: &'static str,
    /// In a configuration file.
    pub name: &'static str,
    /// With what they take; the short one first.
    pub flags: Vec<String>,
    pub environment: Option<&'static str>,
    /// As it would be typed.
    pub default: &'static str,
    pub help: String,
    /// What to do without it, if it is refused.
    pub refused: Option<&'static str>,
}

/// In the order of gunicorn's manual, those it does not have and those it alone has at the end.
pub fn described() -> impl Iterator<Item = Described> {
    SECTIONS.iter().flat_map(|section| section.rows.iter().map(|row| describe(section.title, row)))
}

fn describe(section: &'static str, row: &'static Row) -> Described {
    let value = match row.takes {
        Takes::One(name) | Takes::Number(name) | Takes::List(name) | Takes::Many(name) => {
            format!(" {name}")
        }
        Takes::Optional(name, _) => format!(" [{name}]"),
        Takes::Nothing | Takes::Inverted | Takes::Json | Takes::Hook(_) => String::new(),
    };
    Described {
        section,
        name: row.name,
        flags: row.flags.iter().map(|flag| format!("{flag}{value}")).collect(),
        environment: row.environment.map(|(variable, _)| variable),
        default: row.default,
        help: row.about(),
        refused: Some(row.refused).filter(|advice| !advice.is_empty()),
    }
}
