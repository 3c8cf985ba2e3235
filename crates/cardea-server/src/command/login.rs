//! `cardea login`: a password once, then a token for the command line and a certified key in the ssh agent, both for some hours.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use cardea_domain::{Clock, Period, Secret};
use cardea_vault::System;
use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::{Value, json};

use crate::{
    client::{self, Client, Whereabouts},
    clock::SystemClock,
    documents::read_secret,
    failure::Failure,
    output::{self, printable},
    own_files,
};

/// Who signs in, and for how long.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The user's name in Cardea
    #[arg(long, value_name = "NAME", env = "USER")]
    user: String,
    /// A file with the password, instead of being asked for it
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// A file with a code of the authenticator app or a recovery code, instead of being asked for it
    #[arg(long, value_name = "FILE")]
    code_file: Option<PathBuf>,
    /// How long the token is good
    #[arg(long, value_name = "PERIOD", default_value = "8h")]
    expires: Period,
    /// Get a token only, and no key for ssh
    #[arg(long)]
    no_ssh: bool,
}

const PASSWORD_BYTES_MAX: u64 = 4096;

/// What became of the key.
struct Certified {
    expires_at: String,
    /// The file of the private key; none if only the agent has it.
    file: Option<PathBuf>,
}

/// Does it.
pub(crate) async fn run(arguments: &Arguments, mut whereabouts: Whereabouts, json: bool) -> Result<ExitCode, Failure> {
    let server = whereabouts.server.clone().ok_or_else(|| {
        Failure::Usage("name the server to sign in to, by --server https://HOST:PORT or CARDEA_SERVER".to_owned())
    })?;
    let file = whereabouts.token_file.clone();
    let file = file.or_else(|| own_files::of_server(&whereabouts.environment, "tokens", &server));
    let file = file.ok_or_else(|| {
        Failure::Usage("there is no home to keep the token in: name a file by --token-file".to_owned())
    })?;
    let password = match &arguments.password_file {
        Some(file) => read_secret(file).map_err(Failure::Usage)?,
        None => ask(&format!("Password of {} at {server}: ", printable(&arguments.user)))?,
    };
    let code = || match &arguments.code_file {
        Some(file) => read_secret(file).map_err(Failure::Usage),
        None => ask("Code of your authenticator app, or a recovery code: "),
    };
    let ends = SystemClock.now().plus(arguments.expires.get());
    let at = (server.as_str(), whereabouts.ca_file.as_deref());
    let token = client::token(at, (&arguments.user, password), code, ("cardea login", ends)).await?;
    own_files::write(&file, &token)?;
    whereabouts.token_file = Some(file.clone());
    let certified = if arguments.no_ssh { None } else { Some(certify(&whereabouts, &server).await?) };
    tell(arguments, (&file, &ends.to_string()), certified.as_ref(), json)?;
    Ok(ExitCode::SUCCESS)
}

/// Makes a key pair, has it certified, and hands it to the agent; without an agent it stays in a file.
async fn certify(whereabouts: &Whereabouts, server: &str) -> Result<Certified, Failure> {
    let (key, public_key) = cardea_ssh::generate_key_pair(&System);
    let client = Client::reach(whereabouts).await?;
    let answer = client.post("/me/ssh-certificate", &json!({ "public_key": public_key })).await;
    client.close().await;
    let answer = answer?;
    let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (certificate, expires_at) = (text("certificate"), text("expires_at"));
    let file = own_files::of_server(&whereabouts.environment, "keys", server)
        .ok_or_else(|| Failure::Usage("there is no home to keep a key in: sign in with --no-ssh".to_owned()))?;
    let beside = beside(&file);
    own_files::write(&file, &key)?;
    own_files::write(&beside, &Secret::new(format!("{certificate}\n")))?;
    let has_agent = whereabouts.environment.contains_key("SSH_AUTH_SOCK");
    let seconds = expires_at.parse::<cardea_domain::Timestamp>().map(|at| at.since(SystemClock.now()).as_secs());
    let is_added = has_agent && add(&file, seconds.unwrap_or(0));
    if is_added {
        for path in [&file, &beside] {
            fs::remove_file(path).map_err(|error| Failure::file("remove", path, &error))?;
        }
    }
    Ok(Certified { expires_at, file: (!is_added).then_some(file) })
}

/// Where `ssh` and `ssh-add` look for the certificate of a key.
fn beside(key: &Path) -> PathBuf {
    let mut name = key.as_os_str().to_owned();
    name.push("-cert.pub");
    PathBuf::from(name)
}

/// Hands the key with its certificate to the agent, for as long as it is good.
fn add(key: &Path, seconds: u64) -> bool {
    let mut command = Command::new("ssh-add");
    command.args(["-q", "-t", &seconds.max(1).to_string()]).arg(key);
    let added = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    added.is_ok_and(|status| status.success())
}

fn tell(
    arguments: &Arguments,
    (file, ends): (&Path, &str),
    certified: Option<&Certified>,
    json: bool,
) -> Result<(), Failure> {
    if json {
        return output::json(&json!({
            "user": arguments.user,
            "token_file": file,
            "expires_at": ends,
            "certificate_expires_at": certified.map(|it| &it.expires_at),
            "key_file": certified.and_then(|it| it.file.as_ref()),
        }));
    }
    output::line(&format!(
        "Signed in as {} until {ends}. The token is in {}.",
        printable(&arguments.user),
        file.display()
    ))?;
    match certified {
        None => Ok(()),
        Some(Certified { expires_at, file: None }) => {
            output::line(&format!("Your ssh agent has a certified key until {expires_at}."))
        }
        Some(Certified { expires_at, file: Some(key) }) => output::line(&format!(
            "No ssh agent takes a key. Use `ssh -i {}`, which is certified until {expires_at}.",
            key.display()
        )),
    }
}

/// Asks at the terminal, without showing what is typed.
fn ask(prompt: &str) -> Result<Secret, Failure> {
    let failed = |error: std::io::Error| {
        Failure::Usage(format!("nobody can be asked ({error}): name files by --password-file and --code-file"))
    };
    let mut terminal = File::options().read(true).write(true).open("/dev/tty").map_err(failed)?;
    let before = tcgetattr(&terminal).map_err(|error| failed(error.into()))?;
    let mut quiet = before.clone();
    quiet.local_modes.remove(LocalModes::ECHO);
    terminal.write_all(prompt.as_bytes()).map_err(failed)?;
    tcsetattr(&terminal, OptionalActions::Flush, &quiet).map_err(|error| failed(error.into()))?;
    // Room for all of it at once: growing would leave copies behind in memory.
    let mut typed = String::with_capacity(usize::try_from(PASSWORD_BYTES_MAX).unwrap_or(0));
    let read = BufReader::new(&terminal).take(PASSWORD_BYTES_MAX).read_line(&mut typed);
    let typed = Secret::new(typed);
    let restored = tcsetattr(&terminal, OptionalActions::Flush, &before);
    terminal.write_all(b"\n").map_err(failed)?;
    restored.map_err(|error| failed(error.into()))?;
    read.map_err(failed)?;
    Ok(typed.expose(|text| Secret::new(text.trim_end_matches(['\n', '\r']).to_owned())))
}
