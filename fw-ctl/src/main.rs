//! The command line; everything is in [`fw_ctl::cli`].

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    ExitCode::from(fw_ctl::cli::main(env::args_os()))
}
