//! One root shell on a host that takes frames. It is used until it fails to answer once, and never again after that.

use std::time::{Duration, Instant};

use cardea_domain::{ConnectorError, Credentials, Elevation, Entropy, Target, fail_point};
use data_encoding::HEXLOWER;
use russh::{Channel, ChannelMsg, client};
use tokio::time::{timeout, timeout_at};

use super::{
    answer::{Answer, readable},
    dial::Witness,
    program,
};

const CLOSE_LIMIT: Duration = Duration::from_secs(2);
const OPEN_LIMIT: Duration = Duration::from_secs(10);
const STDERR_BYTES_MAX: usize = 4096;
const LINE_BYTES_MAX: usize = 64 * 1024;
/// A scan's answer of 10,000 paths fits.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
const PROMPT: &str = "cardea-password:";
const READY: &str = "cardea-ready";
/// A shell and the bytes that it said and nobody read yet.
pub(super) struct Shell {
    channel: Channel<client::Msg>,
    /// `PID.START`: which process it is on the host, for ever.
    id: String,
    unread: Vec<u8>,
    stderr: Vec<u8>,
}

/// What a shell says of itself and its host when it starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hello {
    /// The host's monotonic clock, in hundredths of a second, and when that was here.
    pub(super) uptime: u64,
    pub(super) heard_at: Instant,
    /// The host's wall clock, in seconds since 1970.
    pub(super) epoch: i64,
}

/// Where the frame ended: nothing came back, and why.
type Silence = String;

impl Shell {
    /// Starts a shell, as root.
    pub(super) async fn open(
        handle: &client::Handle<Witness>,
        target: &Target,
        credentials: &dyn Credentials,
        installation: &str,
    ) -> Result<(Self, Hello), ConnectorError> {
        let deadline = Instant::now() + OPEN_LIMIT;
        let opened = timeout_at(deadline.into(), handle.channel_open_session()).await;
        let channel = opened
            .map_err(|_| ConnectorError::Unknown("the host opens no shell in time".to_owned()))?
            .map_err(|error| ConnectorError::Unknown(format!("the host opens no shell: {error}")))?;
        let mut shell = Self { channel, id: String::new(), unread: Vec::new(), stderr: Vec::new() };
        shell.elevate(target, credentials, deadline).await?;
        // The shell reads ahead, so frames come only when it has said that it is through with this.
        shell.write(program::text(installation).into_bytes(), deadline).await.map_err(unknown)?;
        let hello = shell.hello(target, deadline).await?;
        Ok((shell, hello))
    }

    /// Which process it is on the host: `PID.START`.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Ends the shell: it sees the end of its input.
    pub(super) async fn close(self) {
        let goodbye = async {
            self.channel.eof().await?;
            self.channel.close().await
        };
        // It ends with the connection anyway.
        let _ended = timeout(CLOSE_LIMIT, goodbye).await;
    }

    /// Sends one frame and waits for its answer. After an `Err` of the outer kind the shell must not be used again.
    pub(super) async fn frame(
        &mut self,
        words: &str,
        deadline: Instant,
        entropy: &dyn Entropy,
    ) -> Result<Result<Answer, ConnectorError>, ConnectorError> {
        let mut nonce = [0; 16];
        entropy.fill(&mut nonce);
        let nonce = HEXLOWER.encode(&nonce);
        let verb = words.split(' ').next().unwrap_or_default();
        fail_point("before", verb);
        self.write(format!("{nonce} {words}\n").into_bytes(), deadline).await.map_err(unknown)?;
        fail_point("during", verb);
        let (mut answer, mut bytes) = (Answer::default(), 0);
        loop {
            let line = self.line(deadline).await.map_err(unknown)?;
            bytes += line.len() + 1;
            if bytes > ANSWER_BYTES_MAX {
                return Err(ConnectorError::Unknown("the host answers without end".to_owned()));
            }
            if let Some(status) = answer.take(&nonce, &line) {
                fail_point("after", verb);
                return Ok(answer.judge(status));
            }
        }
    }

    /// Runs the command that makes a root shell, and gives sudo its password if it asks.
    async fn elevate(
        &mut self,
        target: &Target,
        credentials: &dyn Credentials,
        deadline: Instant,
    ) -> Result<(), ConnectorError> {
        let with_password = target.elevation == Elevation::Sudo && target.sudo_password.is_some();
        let elevate = match target.elevation {
            Elevation::Sudo if with_password => format!("sudo -S -k -p {PROMPT} -- "),
            Elevation::Sudo => "sudo -n -- ".to_owned(),
            Elevation::Doas => "doas -n ".to_owned(),
            Elevation::None => String::new(),
        };
        // A session of its own, so that all it starts can be found by it later.
        let command = format!("{elevate}setsid -w sh -c 'echo {READY}; exec sh'");
        self.channel.exec(true, command).await.map_err(|error| ConnectorError::Unknown(error.to_string()))?;
        let mut answered = false;
        loop {
            let asked = self.stderr.windows(PROMPT.len()).any(|bytes| bytes == PROMPT.as_bytes());
            if asked && answered {
                return Err(refused(target, "sudo does not take the service account's sudo_password"));
            }
            if let (true, Some(id)) = (asked, target.sudo_password) {
                answered = true;
                self.stderr.clear();
                let password = credentials.open(id).await.map_err(|why| refused(target, &why))?;
                let line = password.expose(|password| format!("{password}\n").into_bytes());
                self.write(line, deadline).await.map_err(unknown)?;
            }
            while let Some(line) = self.buffered_line() {
                if line == READY {
                    return Ok(());
                }
            }
            if !self.receive(deadline).await.map_err(unknown)? {
                let said = readable(String::from_utf8_lossy(&self.stderr).trim());
                return Err(refused(target, &said));
            }
        }
    }

    async fn hello(&mut self, target: &Target, deadline: Instant) -> Result<Hello, ConnectorError> {
        loop {
            let line = self.line(deadline).await.map_err(|why| {
                let said = readable(String::from_utf8_lossy(&self.stderr).trim());
                ConnectorError::Unknown(format!("the root shell does not start: {why} {said}"))
            })?;
            let Some(words) = line.strip_prefix("cardea-hello ") else { continue };
            let mut words = words.split(' ');
            let mut next = || words.next().unwrap_or_default();
            let (id, uptime, epoch, uid) = (next(), next().parse(), next().parse(), next());
            let (Ok(uptime), Ok(epoch)) = (uptime, epoch) else {
                return Err(ConnectorError::Unknown("the root shell does not tell the time".to_owned()));
            };
            if uid != "0" {
                return Err(refused(target, &format!("it runs as number {uid}")));
            }
            self.id = id.to_owned();
            return Ok(Hello { uptime, heard_at: Instant::now(), epoch });
        }
    }

    async fn write(&mut self, bytes: Vec<u8>, deadline: Instant) -> Result<(), Silence> {
        match timeout_at(deadline.into(), self.channel.data_bytes(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("the connection broke: {error}")),
            Err(_) => Err("the host takes nothing in".to_owned()),
        }
    }

    async fn line(&mut self, deadline: Instant) -> Result<String, Silence> {
        loop {
            if let Some(line) = self.buffered_line() {
                return Ok(line);
            }
            if !self.receive(deadline).await? {
                return Err("the root shell on the host ended".to_owned());
            }
        }
    }

    fn buffered_line(&mut self) -> Option<String> {
        let end = self.unread.iter().position(|byte| *byte == b'\n')?;
        let line = String::from_utf8_lossy(&self.unread[..end]).into_owned();
        self.unread.drain(..=end);
        Some(line)
    }

    /// Takes in what comes next. False when nothing will come any more.
    async fn receive(&mut self, deadline: Instant) -> Result<bool, Silence> {
        // Who asks for more has taken out all whole lines.
        if self.unread.len() > LINE_BYTES_MAX {
            return Err("the host sent a line without end".to_owned());
        }
        let message = timeout_at(deadline.into(), self.channel.wait())
            .await
            .map_err(|_| "the time for the command ran out".to_owned())?;
        match message {
            Some(ChannelMsg::Data { data }) => self.unread.extend_from_slice(&data),
            Some(ChannelMsg::ExtendedData { data, .. }) => {
                let room = STDERR_BYTES_MAX.saturating_sub(self.stderr.len());
                self.stderr.extend(data.iter().take(room));
            }
            None | Some(ChannelMsg::Close) => return Ok(false),
            Some(_) => {}
        }
        Ok(true)
    }
}

fn unknown(why: Silence) -> ConnectorError {
    ConnectorError::Unknown(why)
}

fn refused(target: &Target, said: &str) -> ConnectorError {
    let user = &target.user;
    let advice = match target.elevation {
        Elevation::Sudo => format!(
            "let sudo run `setsid` as root for {user}, without a password or with the service account's sudo_password"
        ),
        Elevation::Doas => format!("add `permit nopass {user} as root` to /etc/doas.conf"),
        Elevation::None => format!("{user} is not root: set the service account's elevation to sudo or doas"),
    };
    let said = if said.is_empty() { "it ended without a word" } else { said };
    ConnectorError::ElevationRefused(format!("a shell of {user} on {target}"), format!("{said}. To do: {advice}"))
}
