//! The project's own commands: `cargo xtask COMMAND`.
//!
//! Each works from a clean clone: it checks what it stands on, installs what is missing below `target/` or from the
//! distribution, and says what it does.
#![expect(clippy::print_stdout, reason = "a command line program talks on stdout")]

mod bench;
mod demo;
mod dist;
mod gate;
mod junit;
mod leaving;
mod packages;
mod postgres;
mod prerequisites;
mod process;
mod tidy;
mod web;
mod workspace;
mod world;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::workspace::Workspace;

const USAGE: &str = "\
cargo xtask COMMAND

  demo [--host ADDRESS[:PORT] --user NAME --key FILE [--host-key LINE] [--elevation sudo|doas|none]]
               build and start Cardea with two throw-away hosts (or one of your own), until Ctrl-C
  test [--long]
               the whole gate; ends with a line of passed and failed checks. --long: with the long proofs at full size, for hours
  tidy         the project's invariants: who may depend on whom, sizes, documents
  dist         build target/release/cardea, the one binary, with the web interface inside
  bench [NAME] measure, and print the figures of docs/performance.md; without a name: what there is
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["test"] => return gate::run(&workspace, false),
        ["test", "--long"] => return gate::run(&workspace, true),
        ["tidy"] => tidy::run(&workspace)?,
        ["dist"] => dist::run(&workspace)?,
        ["demo", rest @ ..] => demo::run(&workspace, rest)?,
        ["bench", rest @ ..] => bench::run(&workspace, rest)?,
        [] | ["help" | "--help" | "-h"] => print!("{USAGE}"),
        [other, ..] => bail!("there is no command `{other}`\n\n{USAGE}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what begins now.
fn heading(text: &str) {
    println!("\n== {text}");
}
