//! A courier whose receivers are lists: what they took, and whether they answer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use cardea_domain::{Courier, Mail, Post};
use tokio::{sync::watch, time::timeout};

/// How long a test waits for the next arrival before it looks again, and how often it looks. Patience is counted in looks: the time in
/// which this process is stopped, and nothing can arrive, is none of it.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS_MAX: u32 = 600;

/// How a receiver is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Receiver {
    #[default]
    Takes,
    Refuses,
    /// It never answers.
    Hangs,
}

#[derive(Default)]
struct State {
    mails: Vec<Mail>,
    posts: Vec<(String, Post)>,
    receivers: HashMap<String, Receiver>,
    /// How many attempts were made at receivers that never answer.
    hanging: usize,
}

/// Keeps what it is given. Mail goes to the receiver `mail`, and then to the one that is called like its address.
pub struct FakeCourier {
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

impl FakeCourier {
    /// A courier whose receivers all take what they get.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), changes: watch::Sender::new(0) })
    }

    /// From now on this receiver is like that. Who hangs on it hangs on.
    pub fn set(&self, receiver: &str, how: Receiver) {
        self.state().receivers.insert(receiver.to_owned(), how);
    }

    /// Every mail so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.state().mails.clone()
    }

    /// What this webhook got so far.
    pub fn posts(&self, webhook: &str) -> Vec<Post> {
        self.state().posts.iter().filter(|(name, _)| name == webhook).map(|(_, post)| post.clone()).collect()
    }

    /// Waits until a mail is there for which this holds.
    pub async fn mail(&self, what: &str, is_it: impl Fn(&Mail) -> bool) -> Mail {
        self.until(what, || self.mails().into_iter().find(&is_it)).await
    }

    /// Waits until this webhook has so many.
    pub async fn until_posts(&self, webhook: &str, count: usize) -> Vec<Post> {
        let enough = || Some(self.posts(webhook)).filter(|posts| posts.len() >= count);
        self.until(webhook, enough).await
    }

    /// Waits until so many attempts were made at receivers that never answer.
    pub async fn until_hanging(&self, count: usize) {
        self.until("somebody who never answers", || Some(self.state().hanging).filter(|hanging| *hanging >= count))
            .await;
    }

    async fn until<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        let mut changes = self.changes.subscribe();
        let mut looks = 0;
        loop {
            if let Some(found) = look() {
                return found;
            }
            match timeout(LOOK_EVERY, changes.changed()).await {
                Ok(changed) => changed.expect("the courier is there"),
                Err(_) => looks += 1,
            }
            assert!(looks < LOOKS_MAX, "{what} never came; these did: {:#?}", self.mails());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, receiver: &str) -> Result<(), String> {
        let how = self.state().receivers.get(receiver).copied().unwrap_or_default();
        match how {
            Receiver::Takes => Ok(()),
            Receiver::Refuses => Err(format!("{receiver} says no")),
            Receiver::Hangs => {
                self.state().hanging += 1;
                self.changed();
                std::future::pending().await
            }
        }
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

#[async_trait]
impl Courier for FakeCourier {
    async fn mail(&self, mail: &Mail) -> Result<(), String> {
        self.ask("mail").await?;
        self.ask(&mail.to).await?;
        self.state().mails.push(mail.clone());
        self.changed();
        Ok(())
    }

    async fn post(&self, webhook: &str, post: &Post) -> Result<(), String> {
        self.ask(webhook).await?;
        self.state().posts.push((webhook.to_owned(), post.clone()));
        self.changed();
        Ok(())
    }
}
