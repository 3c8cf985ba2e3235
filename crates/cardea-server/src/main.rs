//! The one binary: reads its configuration, puts the product together, and runs it or does one command.

mod cli;
mod client;
mod clock;
mod command;
mod config;
mod control;
mod crowd;
mod data_dir;
mod documents;
#[cfg(feature = "fail-points")]
mod fail_point;
mod failure;
mod host_key;
mod logging;
mod node;
mod output;
mod own_files;
mod process;
mod serve;
mod tls;
mod trace;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

use crate::{cli::Cli, failure::Failure};

/// A third of what a session costs Cardea was the C library's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // What is not UTF-8 is no setting of ours.
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let environment = environment.collect();
    #[cfg(feature = "fail-points")]
    fail_point::arm(&environment);
    let outcome = start().and_then(|runtime| runtime.block_on(cli.run(environment)));
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            output::remark(&format!("cardea: {failure}"));
            failure.exit_code()
        }
    }
}

fn start() -> Result<tokio::runtime::Runtime, Failure> {
    // The only provider in the tree; nobody else installs one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::No(format!("the process cannot start its threads: {error}")))
}
