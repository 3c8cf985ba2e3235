//! The command line: what can be asked, and what it means when it is not said.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use serde_json::json;

use crate::{
    client::{Client, Whereabouts},
    command,
    config::{Config, Environment},
    failure::Failure,
    logging, serve,
};

const AFTER_HELP: &str = "\
Beside the data directory the commands need no sign-in: they go to the running server through its control socket, or
do without a server. With --server and a token they work from anywhere.

Settings come from the --config file (TOML), over it from the environment (CARDEA__SECTION__KEY, for example
CARDEA__HTTP__LISTEN=127.0.0.1:8443), over that from flags. `cardea config show` prints what is in effect.

Exit codes: 0 fine, 1 the answer is no, 2 wrong usage, 64 bad configuration.";

/// Just-in-time privileged access: privilege is placed when it is asked for, and provably taken away again.
#[derive(Parser)]
#[command(name = "cardea", version, after_help = AFTER_HELP, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Common {
    /// Settings of the server (TOML)
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the server keeps its data [default: ./cardea-data]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// A server elsewhere, https://HOST:PORT
    #[arg(long, global = true, value_name = "URL", env = "CARDEA_SERVER")]
    server: Option<String>,
    /// A file with an API token, for acting as a user
    #[arg(long, global = true, value_name = "FILE", env = "CARDEA_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// The certificates (PEM) to trust instead of the machine's
    #[arg(long, global = true, value_name = "FILE", env = "CARDEA_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Make a new installation: store, keys, certificate and the first administrator; or a further node of one
    Init(command::init::Arguments),
    /// Sign in to a server: a token for these commands, and a certified key for the ssh agent
    Login(command::login::Arguments),
    /// Run the server: web UI, API, SSH gateway and engine
    Serve,
    #[command(flatten)]
    Api(ApiCommand),
    /// Bring the store to this version's form, as the first start does too
    Migrate,
    /// The settings of the server
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// What goes through the API.
#[derive(Subcommand)]
enum ApiCommand {
    /// Show what `apply` would change; exits 1 if there is a difference
    Plan(command::apply::Arguments),
    /// Bring the configuration to what YAML files say
    Apply(command::apply::Arguments),
    /// API tokens
    #[command(subcommand)]
    Token(command::token::Command),
    /// Activity sessions
    #[command(subcommand)]
    Sessions(command::sessions::Command),
    /// Say yes to requests that one is an approver of
    Approve {
        /// The sessions' ids
        #[arg(required = true)]
        ids: Vec<String>,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Makes the session shorter, like 30m; for one session
        #[arg(long, value_name = "TIME")]
        duration: Option<String>,
        /// Makes it begin later, like 2026-12-31T22:00:00Z; for one session
        #[arg(long, value_name = "TIME")]
        start_at: Option<String>,
    },
    /// Say no to requests that one is an approver of
    Deny {
        /// The sessions' ids
        #[arg(required = true)]
        ids: Vec<String>,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Sessions that began without approval, and whether they were reviewed
    Reviews {
        /// Which
        #[arg(long, value_enum, default_value_t = command::reviews::State::Open)]
        state: command::reviews::State,
        /// The most to list, up to 1000
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Say whether it was right to begin a session without approval
    Review {
        /// The session's id
        id: String,
        #[arg(long, value_enum)]
        verdict: command::reviews::Verdict,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Why somebody may, or may not, do something on a resource; exits 1 if the answer is no
    Explain(command::explain::Arguments),
    /// Directories of people
    #[command(subcommand)]
    Directories(command::directories::Command),
    /// Second factors of users
    #[command(subcommand)]
    Factors(command::factors::Command),
    /// SSH keys of users
    #[command(subcommand)]
    Keys(command::keys::Command),
    /// What is out there
    #[command(subcommand)]
    Grants(command::grants::Command),
    /// Host keys of resources
    #[command(subcommand)]
    HostKey(command::host_key::Command),
    /// The authority that certifies people's SSH keys
    #[command(subcommand)]
    Ca(command::ca::Command),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Print the settings in effect, without secrets
    Show,
}

impl Common {
    fn whereabouts(self, environment: Environment) -> Whereabouts {
        Whereabouts {
            server: self.server,
            token_file: self.token_file,
            ca_file: self.ca_file,
            config_file: self.config,
            data_dir: self.data_dir,
            environment,
        }
    }
}

impl Cli {
    /// Does what was asked.
    pub(crate) async fn run(self, environment: Environment) -> Result<ExitCode, Failure> {
        let Self { common, command } = self;
        let json = common.json;
        let config = || Config::load(common.config.as_deref(), &environment, common.data_dir.clone());
        if !matches!(command, Command::Serve) {
            logging::for_commands();
        }
        match command {
            Command::Api(command) => return command.run(common, environment).await,
            Command::Config(ConfigCommand::Show) => command::config::show(&config()?, json)?,
            Command::Login(arguments) => {
                return command::login::run(&arguments, common.whereabouts(environment), json).await;
            }
            Command::Init(arguments) => command::init::run(&arguments, &config()?, json).await?,
            Command::Migrate => command::migrate::run(&config()?, json).await?,
            Command::Serve => serve::serve(config()?).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl ApiCommand {
    async fn run(self, common: Common, environment: Environment) -> Result<ExitCode, Failure> {
        let json = common.json;
        let client = Client::reach(&common.whereabouts(environment)).await?;
        let outcome = match self {
            Self::Plan(arguments) => command::apply::plan(&client, &arguments, json).await,
            Self::Apply(arguments) => command::apply::apply(&client, &arguments, json).await,
            Self::Token(command) => command.run(&client, json).await,
            Self::Sessions(command) => command.run(&client, json).await,
            Self::Approve { ids, reason, duration, start_at } => {
                let mut verdict = json!({ "reason": reason });
                let conditions = [("duration", duration), ("start_at", start_at)];
                for (key, value) in conditions.into_iter().filter_map(|(key, value)| Some((key, value?))) {
                    verdict[key] = json!(value);
                }
                command::sessions::decide(&client, &ids, ("approve", verdict), json).await
            }
            Self::Deny { ids, reason } => {
                command::sessions::decide(&client, &ids, ("deny", json!({ "reason": reason })), json).await
            }
            Self::Reviews { state, limit } => command::reviews::list(&client, state, limit, json).await,
            Self::Review { id, verdict, reason } => {
                command::reviews::review(&client, &id, (verdict, &reason), json).await
            }
            Self::Explain(arguments) => command::explain::run(&client, &arguments, json).await,
            Self::Directories(command) => command.run(&client, json).await,
            Self::Factors(command) => command.run(&client, json).await,
            Self::Keys(command) => command.run(&client, json).await,
            Self::Grants(command) => command.run(&client, json).await,
            Self::HostKey(command) => command.run(&client, json).await,
            Self::Ca(command) => command.run(&client, json).await,
        };
        client.close().await;
        outcome
    }
}
