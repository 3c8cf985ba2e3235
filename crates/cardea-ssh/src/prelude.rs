//! What a client asks of a channel before its command runs: terminal, environment, and the command itself.

use std::time::Duration;

use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Error, Pty, client::Msg};
use tokio::time::timeout;

/// A client opens a channel and names its command at once; one that does not is not waited for.
const TIME_MAX: Duration = Duration::from_secs(30);
/// Variables that are passed on; further ones are left out.
const VARIABLES_MAX: usize = 64;

pub(crate) struct Prelude {
    terminal: Option<Terminal>,
    variables: Vec<(String, String)>,
    pub(crate) start: Start,
}

pub(crate) enum Start {
    Exec(Vec<u8>),
    Shell,
    Subsystem(String),
}

struct Terminal {
    term: String,
    columns: u32,
    rows: u32,
    width: u32,
    height: u32,
    modes: Vec<(Pty, u32)>,
}

impl Prelude {
    /// Reads up to and including the command. None if the client goes away or takes too long.
    pub(crate) async fn read(from: &mut ChannelReadHalf) -> Option<Self> {
        timeout(TIME_MAX, collect(from)).await.ok().flatten()
    }

    pub(crate) fn has_terminal(&self) -> bool {
        self.terminal.is_some()
    }

    /// Asks the same of a channel on the target. Terminal (if any) and command are each answered, in this order.
    pub(crate) async fn replay(&self, to: &ChannelWriteHalf<Msg>) -> Result<(), Error> {
        if let Some(terminal) = &self.terminal {
            let Terminal { term, columns, rows, width, height, modes } = terminal;
            to.request_pty(true, term, *columns, *rows, *width, *height, modes).await?;
        }
        for (name, value) in &self.variables {
            to.set_env(false, name.as_str(), value.as_str()).await?;
        }
        match &self.start {
            Start::Exec(command) => to.exec(true, command.clone()).await,
            Start::Shell => to.request_shell(true).await,
            Start::Subsystem(name) => to.request_subsystem(true, name.as_str()).await,
        }
    }
}

async fn collect(from: &mut ChannelReadHalf) -> Option<Prelude> {
    let mut terminal = None;
    let mut variables = Vec::new();
    loop {
        let start = match from.wait().await? {
            ChannelMsg::RequestPty { term, col_width, row_height, pix_width, pix_height, terminal_modes, .. } => {
                let (columns, rows, width, height) = (col_width, row_height, pix_width, pix_height);
                terminal = Some(Terminal { term, columns, rows, width, height, modes: terminal_modes });
                continue;
            }
            ChannelMsg::WindowChange { col_width, row_height, pix_width, pix_height } => {
                if let Some(terminal) = &mut terminal {
                    (terminal.columns, terminal.rows) = (col_width, row_height);
                    (terminal.width, terminal.height) = (pix_width, pix_height);
                }
                continue;
            }
            ChannelMsg::SetEnv { variable_name, variable_value, .. } => {
                if variables.len() < VARIABLES_MAX {
                    variables.push((variable_name, variable_value));
                }
                continue;
            }
            ChannelMsg::Exec { command, .. } => Start::Exec(command),
            ChannelMsg::RequestShell { .. } => Start::Shell,
            ChannelMsg::RequestSubsystem { name, .. } => Start::Subsystem(name),
            ChannelMsg::Close => return None,
            _ => continue,
        };
        return Some(Prelude { terminal, variables, start });
    }
}
