#![doc = include_str!("../README.md")]

mod auth;
mod blob;
mod client;
mod config;
mod failure;
mod feed;
mod helper;
mod host;
mod keep;
mod known;
mod login;
mod pull;
mod push;
mod registries;
mod retry;
mod secret;
mod tls;
mod token;
mod transport;
mod upload;
mod worker;

pub use client::{Client, Hosts, Options, Remote};
pub use config::DockerConfig;
pub use host::{Endpoint, Host, Serves};
pub use keep::Kept;
pub use registries::{Places, Registries};
pub use secret::{Anonymous, Credential, Credentials, Secret};
pub use tls::Identity;
