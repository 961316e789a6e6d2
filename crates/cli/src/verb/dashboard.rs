//! `sweep dashboard`: serves a page that shows sweeps while they are trained.

use std::path::Path;

use dashboard::{ListenError, Options, Server, Token};
use sweep::lookup;
use sweep::plan::{self, Aim};
use sweep::stored::open;
use sweep::wait_for;

use crate::exit::{Failure, Outcome, say};
use crate::global::Global;
use crate::signals::until_signal;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or file of the sweep to show first [default: the most recent sweep]
    pub sweep: Option<String>,
    /// Address of this machine to listen at; other machines can reach any but 127.0.0.1, and then a token is needed
    #[arg(long, default_value = "127.0.0.1")]
    pub host: String,
    /// Port to listen at; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Open the page in a browser
    #[arg(long)]
    pub open: bool,
    /// Token that the address must contain [default: none for 127.0.0.1, else a random one]
    #[arg(long, value_name = "TOKEN", env = "SWEEP_DASHBOARD_TOKEN", hide_env_values = true)]
    pub token: Option<Token>,
    /// Another name under which browsers address this machine, as behind a proxy
    #[arg(long, value_name = "NAME")]
    pub allow_host: Vec<String>,
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let options = Options {
        host: args.host.clone(),
        port: args.port,
        token: args.token.clone(),
        allow_hosts: args.allow_host.clone(),
    };
    let sweep = wait_for(named(args.sweep.as_deref(), global))?;
    let server = Server::listen(&options).map_err(failure)?;
    let url = server.url(sweep.as_deref());
    wait_for(async {
        // Before the address is printed, so that whoever reads it can stop the server.
        let stop = until_signal();
        announce(&url, args, global);
        server.serve(global.context.clone(), stop).await.map_err(Failure::failed)
    })
}

fn announce(url: &str, args: &Args, global: &Global) {
    // Also with --quiet: without the address, nobody finds the page.
    say(format_args!("dashboard: {url}"));
    if !global.quiet {
        say("press Ctrl-C to end it; sweeps are not affected");
    }
    if args.open
        && let Err(error) = open::that_detached(url)
    {
        say(format_args!("can't open a browser: {error}; open the address above yourself"));
    }
}

/// The name of the sweep to show; `None` if there is none yet. A store that does not exist yet is fine: the page waits for it.
async fn named(word: Option<&str>, global: &Global) -> Result<Option<String>, Failure> {
    let Ok(mut reader) = open(&global.context).await else {
        let path = word.map(Path::new).filter(|path| path.is_file());
        return match path {
            Some(path) => Ok(Some(plan::of_file(path, Aim::LookUp, &global.context)?.1.name)),
            None => Ok(word.map(str::to_owned)),
        };
    };
    match (word, reader.sweeps().await?) {
        (None, known) => Ok(known.into_iter().next()),
        (Some(word), known) if !known.iter().any(|name| name == word) && Path::new(word).is_file() => {
            Ok(Some(plan::of_file(Path::new(word), Aim::LookUp, &global.context)?.1.name))
        }
        (Some(word), _) => Ok(Some(lookup::sweep(&mut reader, Some(word), &global.context).await?)),
    }
}

/// A wrong address is a mistake of the user.
pub(crate) fn failure(error: ListenError) -> Failure {
    match error {
        ListenError::Host { .. } => Failure::usage(error),
        _ => Failure::failed(error),
    }
}
