//! One channel: what the client sends goes to the target and back, with nothing kept in between.
//!
//! Each side may send a window's worth and gets more as the other side takes it, so a slow reader slows down its writer
//! and nothing else.

use std::{collections::VecDeque, convert::Infallible, future::pending, sync::Arc, time::Duration};

use cardea_domain::is_unprintable;
use russh::{
    Channel, ChannelId, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Error, client,
    server::{self, Handle},
};
use tokio::{sync::watch, time::timeout};

use crate::{
    hold::Hold,
    prelude::{Prelude, Start},
    settings::WINDOW,
    visit::Way,
};

/// Extended data of this type is standard error (RFC 4254 section 5.2).
const STDERR: u32 = 1;
/// What `ssh` exits with when the connection failed, rather than the command.
const FAILED: u32 = 255;
/// For the last words on a channel whose client may not be reading.
const LAST_WORDS_MAX: Duration = Duration::from_millis(200);

/// Carries a channel that a client opened, until the client, the target or the session ends it.
pub(crate) async fn carry(channel: Channel<server::Msg>, handle: Handle, way: watch::Receiver<Way>, hold: Hold) {
    let (mut from, write) = channel.split();
    let client = Client { id: write.id(), write, handle };
    if let Some(prelude) = Prelude::read(&mut from).await {
        let ended = tokio::select! {
            biased;
            sentence = shut(way.clone()) => Err(sentence),
            ended = through(&prelude, &mut from, &client, (way, hold)) => ended,
        };
        if let Err(sentence) = ended {
            let words = client.last_words(&sentence, prelude.has_terminal());
            let _unread = timeout(LAST_WORDS_MAX, words).await;
        }
    }
    let _gone = timeout(LAST_WORDS_MAX, client.write.close()).await;
}

/// Opens the same channel on the target and passes everything on. An error is what to tell the person.
async fn through(
    prelude: &Prelude,
    from: &mut ChannelReadHalf,
    client: &Client,
    (way, hold): (watch::Receiver<Way>, Hold),
) -> Result<(), Arc<str>> {
    if let Start::Subsystem(name) = &prelude.start {
        let name: String = name.chars().filter(|letter| !is_unprintable(*letter)).take(32).collect();
        return Err(format!("this gateway offers shells and commands, not `{name}`. To copy a file, pipe it: `ssh … 'cat >file' <file`, or `scp -O`.").into());
    }
    let Some(target) = open(way).await else { return pending().await };
    if let Some(sentence) = hold.frozen() {
        return Err(sentence);
    }
    let channel = target.open_channel().await?;
    let (mut from_target, to_target) = channel.split();
    let lost = |_: Error| Arc::from(LOST);
    prelude.replay(&to_target).await.map_err(lost)?;
    let asked = [prelude.has_terminal().then_some(Asked::Terminal), Some(Asked::Command)];
    let ended = tokio::select! {
        biased;
        // First, so that whoever is let go on reads why before the output that waited.
        never = tell(client, &hold), if prelude.has_terminal() => match never {},
        ended = downward(&mut from_target, client, (&to_target, &hold), asked.into_iter().flatten().collect()) => ended,
        () = upward(from, client, &to_target, Input { hold: &hold, is_typed: prelude.has_terminal() }) => {
            // Without a terminal a command outlives the channel of its client, which waits for the status.
            if !prelude.has_terminal() && to_target.eof().await.is_ok() {
                last_status(&mut from_target, client).await;
            }
            Ok(())
        }
    };
    let _gone = to_target.close().await;
    ended
}

const LOST: &str = "the connection to the target was lost. Log in again.";

/// A request to the target that is not answered yet.
enum Asked {
    Command,
    Terminal,
}

/// Shows a terminal what its connection hears. Never ends.
async fn tell(client: &Client, hold: &Hold) -> Infallible {
    let mut heard = hold.heard();
    loop {
        let sentence = hold.next_sentence(&mut heard).await;
        // A client that is gone is seen by those that read from it.
        let _gone = client.say(&sentence, true).await;
    }
}

/// What becomes of input while nothing passes.
#[derive(Clone, Copy)]
struct Input<'a> {
    hold: &'a Hold,
    /// What is typed at a terminal is dropped: nobody wants it obeyed later. A stream waits, or its file would lose its
    /// middle.
    is_typed: bool,
}

impl Input<'_> {
    /// Passes something on that is to be dropped or to wait while nothing passes.
    async fn pass(self, sent: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
        if !self.is_typed {
            self.hold.until_thawed().await;
            return sent.await;
        }
        tokio::select! {
            biased;
            () = self.hold.until_frozen() => Ok(()),
            sent = sent => sent,
        }
    }
}

/// From the client to the target, until the client closes the channel.
async fn upward(from: &mut ChannelReadHalf, client: &Client, to: &ChannelWriteHalf<client::Msg>, input: Input<'_>) {
    let mut taken = Taken::default();
    while let Some(message) = from.wait().await {
        let sent = match message {
            ChannelMsg::Data { data } => {
                let length = data.len();
                let sent = input.pass(to.data_bytes(data)).await;
                taken.grant(length, &client.write).await;
                sent
            }
            ChannelMsg::Eof => to.eof().await,
            ChannelMsg::Signal { signal } => input.pass(to.signal(signal)).await,
            ChannelMsg::WindowChange { col_width, row_height, pix_width, pix_height } => {
                to.window_change(col_width, row_height, pix_width, pix_height).await
            }
            ChannelMsg::Close => return,
            _ => Ok(()),
        };
        if sent.is_err() {
            // The target is gone; the other direction says so when it has delivered what had come before.
            return pending().await;
        }
    }
}

/// From the target to the client, until the target closes the channel. An error is what to tell the person.
async fn downward(
    from: &mut ChannelReadHalf,
    client: &Client,
    (target, hold): (&ChannelWriteHalf<client::Msg>, &Hold),
    mut asked: VecDeque<Asked>,
) -> Result<(), Arc<str>> {
    let mut taken = Taken::default();
    while let Some(message) = from.wait().await {
        hold.until_thawed().await;
        let passed = match message {
            ChannelMsg::Data { data } => {
                let length = data.len();
                let passed = client.write.data_bytes(data).await;
                taken.grant(length, target).await;
                passed
            }
            ChannelMsg::ExtendedData { data, ext } => {
                let length = data.len();
                let passed = client.write.extended_data_bytes(ext, data).await;
                taken.grant(length, target).await;
                passed
            }
            ChannelMsg::Eof => client.write.eof().await,
            status @ (ChannelMsg::ExitStatus { .. } | ChannelMsg::ExitSignal { .. }) => {
                client.pass_status(status).await
            }
            ChannelMsg::Success => {
                asked.pop_front();
                Ok(())
            }
            ChannelMsg::Failure => match asked.pop_front() {
                Some(Asked::Terminal) => client.say("the target gave no terminal; going on without.", false).await,
                Some(Asked::Command) => return Err("the target refused to run this for the login account.".into()),
                None => Ok(()),
            },
            ChannelMsg::Close => return Ok(()),
            _ => Ok(()),
        };
        if passed.is_err() {
            // The client is gone, and the other direction is about to see it.
            return pending().await;
        }
    }
    Err(LOST.into())
}

/// After the client closed the channel: a client that saw the end of the output does so before it has the status
/// (OpenSSH's, with ControlMaster). Output that comes now has no reader, so the command gets a broken pipe, as it would
/// without a gateway.
async fn last_status(from: &mut ChannelReadHalf, client: &Client) {
    while let Some(message) = from.wait().await {
        match message {
            status @ (ChannelMsg::ExitStatus { .. } | ChannelMsg::ExitSignal { .. }) => {
                let _gone = client.pass_status(status).await;
                return;
            }
            ChannelMsg::Data { .. } | ChannelMsg::ExtendedData { .. } | ChannelMsg::Close => return,
            _ => {}
        }
    }
}

/// Waits until the way to the target is open. None when it is shut.
async fn open(mut way: watch::Receiver<Way>) -> Option<Arc<crate::target::Target>> {
    let known = way.wait_for(|way| !matches!(way, Way::Opening)).await.ok()?;
    match &*known {
        Way::Open(target) => Some(Arc::clone(target)),
        Way::Opening | Way::Shut(_) => None,
    }
}

/// Waits until the way is shut, and says why.
async fn shut(mut way: watch::Receiver<Way>) -> Arc<str> {
    match way.wait_for(|way| matches!(way, Way::Shut(_))).await.as_deref() {
        Ok(Way::Shut(sentence)) => Arc::clone(sentence),
        _ => Arc::from(LOST),
    }
}

/// What one side has taken off the other's hands since the last grant.
#[derive(Default)]
struct Taken(u32);

impl Taken {
    /// Grants are batched: one for each eighth of the window.
    async fn grant<M>(&mut self, length: usize, to: &ChannelWriteHalf<M>)
    where
        M: From<(ChannelId, ChannelMsg)> + Send + Sync + 'static,
    {
        self.0 = self.0.saturating_add(u32::try_from(length).unwrap_or(u32::MAX));
        if self.0 >= WINDOW / 8 {
            // Fails only when that side is gone, which ends the channel by itself.
            let _gone = to.grant_window(self.0).await;
            self.0 = 0;
        }
    }
}

/// The client's end of a channel.
struct Client {
    id: ChannelId,
    write: ChannelWriteHalf<server::Msg>,
    handle: Handle,
}

impl Client {
    /// How the command ended. Any other message is not for here.
    async fn pass_status(&self, status: ChannelMsg) -> Result<(), Error> {
        match status {
            ChannelMsg::ExitStatus { exit_status } => self.write.exit_status(exit_status).await,
            ChannelMsg::ExitSignal { signal_name, core_dumped, error_message, lang_tag } => {
                let told = self.handle.exit_signal_request(self.id, signal_name, core_dumped, error_message, lang_tag);
                told.await.map_err(|()| Error::SendError)
            }
            _ => Ok(()),
        }
    }

    async fn last_words(&self, sentence: &str, has_terminal: bool) -> Result<(), Error> {
        let said = timeout(LAST_WORDS_MAX / 2, self.say(sentence, has_terminal)).await;
        // The status is worth sending even to a client that does not read.
        self.write.exit_status(FAILED).await?;
        self.write.eof().await?;
        said.unwrap_or(Ok(()))
    }

    /// On standard error, or on the terminal: a terminal has one stream, and clients show what comes on two in any order. One in
    /// raw mode needs carriage returns.
    async fn say(&self, sentence: &str, has_terminal: bool) -> Result<(), Error> {
        if has_terminal {
            return self.write.data_bytes(format!("\r\nCardea: {sentence}\r\n")).await;
        }
        self.write.extended_data_bytes(STDERR, format!("Cardea: {sentence}\n")).await
    }
}
