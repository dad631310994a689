//! The file a program reads, made for one run: the topology's own or the kind's, with what differs from
//! run to run filled in. It knows no format; what the words stand for is each kind's affair.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::place::Place;
use crate::words::{self, Words};

pub(super) fn read(config: &Path) -> Result<String> {
    fs::read_to_string(config).with_context(|| format!("cannot read \"{}\"", config.display()))
}

/// Into the place's folder, under this name. An error names the file it came from.
pub(super) fn write(place: &Place<'_>, name: &str, text: &str, words: &Words) -> Result<PathBuf> {
    let from = || match &place.hop.config {
        Some(config) => config.display().to_string(),
        None => name.to_owned(),
    };
    let text = words::replace(text, &place.hop.replace, words)
        .and_then(|text| words::fill(&text, words))
        .with_context(from)?;
    let filled = place.folder.join(name);
    fs::write(&filled, text).with_context(|| format!("cannot write \"{}\"", filled.display()))?;
    Ok(filled)
}

/// The same for a kind with one file: `own` is what it is configured by when the topology says nothing.
pub(super) fn own_or_given(
    place: &Place<'_>,
    name: &str,
    own: &str,
    words: &Words,
) -> Result<PathBuf> {
    match &place.hop.config {
        Some(config) => write(place, name, &read(config)?, words),
        None => write(place, name, own, words),
    }
}
