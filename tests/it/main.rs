//! The whole, end to end: the binary against real namespaces, real registries, and the tools that
//! others use.
#![allow(clippy::unwrap_used)]

mod agents;
mod attacks;
mod build;
mod chaos;
mod checks;
mod classic;
mod commit;
mod conformance;
mod containers;
mod contexts;
mod crowd;
mod demo;
mod disk;
mod doctor;
mod escapes;
mod everybody;
mod exec;
mod files;
mod forms;
mod images;
mod inspect;
mod interop;
mod kill;
mod limits;
mod login;
mod logs;
mod messages;
mod mirror;
mod mounts;
mod outputs;
mod packages;
mod platforms;
mod ps;
mod real;
mod reproducible;
mod rootless;
mod run;
mod secrets;
mod sharing;
mod sizes;
mod terminal;
mod tools;
mod tutorial;
mod volumes;
