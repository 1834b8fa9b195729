//! The binary `kabar`.

mod cli;
mod config;
mod demo;
mod mailer;
mod rest;
mod serve;
mod telemetry;

use std::process::ExitCode;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// After how many milliseconds the allocator gives unused memory back. With its own second it keeps what
/// the start needed, which is a third of what a server that rests would use.
const PURGE_DELAY: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "10");

fn main() -> ExitCode {
    let name = PURGE_DELAY.0;
    if std::env::var_os(name).is_none() {
        start_over();
    }
    run()
}

/// The allocator reads its settings from the environment before `main`; so this program takes its own
/// place, with them. Where that does not go, it goes on without.
#[cfg(unix)]
fn start_over() {
    use std::os::unix::process::CommandExt as _;
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut again = std::process::Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    let (name, value) = PURGE_DELAY;
    // Returns only when it failed.
    let _ = again.args(arguments).env(name, value).exec();
}

#[cfg(not(unix))]
const fn start_over() {}

#[tokio::main]
async fn run() -> ExitCode {
    match cli::run(cli::Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kabar: {error}");
            let mut cause = error.source();
            while let Some(why) = cause {
                eprintln!("  because: {why}");
                cause = why.source();
            }
            ExitCode::FAILURE
        }
    }
}
