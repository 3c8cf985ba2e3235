//! Hands notices to the world outside: mail servers by SMTP, webhooks by HTTPS. It knows neither store nor keys nor why.
//!
//! Every attempt ends within a bounded time, and what the other side answers is read no further than needed.

mod address;
mod mail;
mod webhook;

use std::{collections::BTreeMap, error::Error};

use async_trait::async_trait;
use cardea_domain::{Courier, Mail, Post};

pub use address::Allow;
pub use mail::{Login, MailServer, Security, is_sender};
pub use webhook::{Target, check_url};

use crate::{mail::Mailer, webhook::Caller};

/// Mails and posts by the settings of one server.
pub struct Outside {
    mailer: Option<Mailer>,
    webhooks: BTreeMap<String, Caller>,
}

impl Outside {
    /// Checks the settings. Connects to nothing.
    ///
    /// # Errors
    /// A sentence that begins with the setting that is wrong.
    pub fn new(mail: Option<MailServer>, webhooks: BTreeMap<String, Target>) -> Result<Self, String> {
        let mailer = mail.map(Mailer::new).transpose().map_err(|error| format!("mail.{error}"))?;
        let caller = |(name, target): (String, Target)| match Caller::new(target) {
            Ok(caller) => Ok((name, caller)),
            Err(error) => Err(format!("webhook.{name}.{error}")),
        };
        Ok(Self { mailer, webhooks: webhooks.into_iter().map(caller).collect::<Result<_, _>>()? })
    }
}

#[async_trait]
impl Courier for Outside {
    async fn mail(&self, mail: &Mail) -> Result<(), String> {
        self.mailer.as_ref().ok_or("this node sends no mail")?.send(mail).await
    }

    async fn post(&self, webhook: &str, post: &Post) -> Result<(), String> {
        self.webhooks.get(webhook).ok_or("this node has no such webhook")?.send(post).await
    }
}

/// An error with its causes.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        // Some repeat what their causes say.
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = inner.source();
    }
    text
}
