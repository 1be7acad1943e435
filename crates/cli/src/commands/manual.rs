//! `selfsame completions` and `selfsame man`.

use std::process::ExitCode;

use clap::CommandFactory;

use crate::args::{Args, Completions, Man};
use crate::misuse;
use crate::terminal::print;

pub fn completions(args: &Completions) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "selfsame", &mut script);
    print(&script);
    Ok(ExitCode::SUCCESS)
}

pub fn page(args: &Man) -> anyhow::Result<ExitCode> {
    let mut program = Args::command();
    program.build();
    let command = match &args.verb {
        None => program,
        Some(verb) => {
            let known = program.find_subcommand(verb);
            known.ok_or_else(|| misuse(format!("there is no command {verb}")))?.clone()
        }
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    print(&page);
    Ok(ExitCode::SUCCESS)
}
