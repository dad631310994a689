//! What a family may ask when it is installed: the settled values of its own block and of `http`.
//!
//! At install and never at run time: a request meets only what was installed for it.

use std::sync::Arc;

use super::{
    blocks::Name,
    module::{Block, Module},
    settle::Family,
};

pub struct Site<'a> {
    pub block: Block,
    /// The location's name, for those whose behaviour hangs on it (`proxy_pass` with a URI).
    pub name: &'a Name,
    pub(super) here: &'a [Family],
    pub(super) http: &'a [Family],
}

impl Site<'_> {
    /// Another family's value in the same block.
    pub fn get<M: Module>(&self) -> Arc<M> {
        find(self.here)
    }

    /// A family's value in the `http` block, where one-per-file things live: upstreams, formats.
    pub fn http<M: Module>(&self) -> Arc<M> {
        find(if self.http.is_empty() { self.here } else { self.http })
    }
}

pub(super) fn find<M: Module>(families: &[Family]) -> Arc<M> {
    families
        .iter()
        .find_map(|family| Arc::clone(family).into_any().downcast().ok())
        .expect("every family of the registry has a value in every block")
}
