//! The API as its clients see it, through the router and without a socket.

mod api;
mod changes;
mod conditions;
mod content;
mod entries;
mod files;
mod leaks;
mod panics;
mod site;
mod support;
