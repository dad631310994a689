//! A browser reduced to what the flow needs, and a picture of where each of its requests went.
//!
//! One visit, in reading order: [`options`] says which page; [`profile`] says what a browser sends;
//! [`visit`] fetches the page and everything it names, each request through [`fetch`], with
//! [`cookies`], the [`cache`] and [`redirect`]; [`resources`] and [`stylesheet`] find what is named.
//! Each request leaves one [`story::Story`], from which everything printed is made: [`answered`]
//! reads in it which hop answered, [`timing`] how the time was shared, [`ladder`] draws that,
//! [`table`] lists it and [`report`] puts the pieces on the terminal or into JSON.
//!
//! Nothing here knows how a hop works: all that is said about hops was read from their answers.

#![forbid(unsafe_code)]

pub mod options;
pub mod profile;
pub mod visit;

pub mod cache;
pub mod cookies;
pub mod fetch;
pub mod redirect;

pub mod resources;
pub mod stylesheet;

pub mod answered;
pub mod failure;
pub mod story;
pub mod timing;

pub mod ladder;
pub mod report;
pub mod table;
pub mod terminal;
