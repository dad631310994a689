//! The three ways in which a block hears from the block around it.
//!
//! Nearly every directive of nginx is one of these: a [`Setting`] (said here, else outside, else the
//! default), a [`List`] (any here replaces all outside), or never inherited, which needs no type.

use std::ops::Deref;

/// A family's plain settings, a row each: what a reader calls it, the blocks it may be said in, its
/// type, what holds where nobody says it, and how its words are read. From a row come the directive,
/// the way it is inherited, and the method that asks for it.
macro_rules! settings {
    ($family:ident.$field:ident: $settings:ident, $rows:ident = {
        $($(#[$comment:meta])* $name:ident($blocks:ident): $kind:ty = $unsaid:expr, $read:expr;)*
    }) => {
        #[derive(Clone, Default)]
        pub(super) struct $settings {
            $($name: $crate::load::Setting<$kind>,)*
        }

        impl $settings {
            pub(super) fn inherit(&mut self, outer: &Self) {
                $(self.$name.inherit(&outer.$name);)*
            }
        }

        pub(super) const $rows: &[$crate::load::Directive<$family>] = &[
            $($crate::load::directive(
                stringify!($name),
                $blocks,
                $crate::load::Arity::Exactly(1),
                |family, args| {
                    let read: $crate::load::Reader<$kind> = $read;
                    family.$field.$name.set(read(args)?, args)
                },
            ),)*
        ];

        impl $family {
            $($(#[$comment])* pub fn $name(&self) -> $kind {
                self.$field.$name.or($unsaid)
            })*
        }
    };
}

pub(crate) use settings;

/// How a setting's words become its value.
pub type Reader<T> = fn(&super::Args<'_>) -> Result<T, crate::conf::ConfError>;

/// One value, said at most once in a block.
#[derive(Clone, Debug)]
pub struct Setting<T>(Option<T>);

impl<T> Default for Setting<T> {
    fn default() -> Setting<T> {
        Setting(None)
    }
}

impl<T: Clone> Setting<T> {
    pub fn said(&self) -> Option<&T> {
        self.0.as_ref()
    }

    /// Sets the value without asking whether there was one; for what may be said again.
    pub fn replace(&mut self, value: T) {
        self.0 = Some(value);
    }

    /// Sets the value; a second time in the same block is nginx's `"x" directive is duplicate`.
    pub fn set(&mut self, value: T, args: &super::Args<'_>) -> Result<(), crate::conf::ConfError> {
        if self.0.is_some() {
            return Err(args.refuse("is duplicate"));
        }
        self.0 = Some(value);
        Ok(())
    }

    pub fn inherit(&mut self, outer: &Setting<T>) {
        if self.0.is_none() {
            self.0.clone_from(&outer.0);
        }
    }

    pub fn or_default(&self) -> T
    where
        T: Default,
    {
        self.0.clone().unwrap_or_default()
    }

    pub fn or(&self, default: T) -> T {
        self.0.clone().unwrap_or(default)
    }
}

/// A list that a block writes anew or takes over whole.
#[derive(Clone, Debug)]
pub struct List<T>(Vec<T>);

impl<T> Default for List<T> {
    fn default() -> List<T> {
        List(Vec::new())
    }
}

impl<T: Clone> List<T> {
    pub fn push(&mut self, value: T) {
        self.0.push(value);
    }

    pub fn inherit(&mut self, outer: &List<T>) {
        if self.0.is_empty() {
            self.0.clone_from(&outer.0);
        }
    }
}

impl<T> Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}
