//! `[webhook.NAME]`: programs outside that want to know. None unless they are set.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use cardea_app::WebhookKey;
use cardea_courier::{Allow, Target, check_url};
use cardea_domain::{NoticeKind, Secret};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Words, read_pem};
use crate::{documents::read_secret, failure::Failure};

/// More programs than this are better served by one that passes it on.
const COUNT_MAX: usize = 32;
const NAME_LENGTH_MAX: usize = 32;

/// A program outside.
pub(crate) struct Webhook {
    url: String,
    secret_file: PathBuf,
    secret: Secret,
    pub(crate) kinds: BTreeSet<NoticeKind>,
    allow: Allow,
    ca_file: Option<PathBuf>,
    ca: Option<Vec<u8>>,
}

/// All of them, by their names.
pub(crate) type Webhooks = BTreeMap<String, Webhook>;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Layer {
    url: Option<String>,
    secret_file: Option<PathBuf>,
    events: Option<Words>,
    allow: Option<Words>,
    ca_file: Option<PathBuf>,
}

/// What one source says of all of them.
pub(super) type Layers = BTreeMap<String, Layer>;

pub(super) fn over(over: Layers, mut under: Layers) -> Layers {
    for (name, layer) in over {
        let below = under.remove(&name).unwrap_or_default();
        under.insert(name, layer.over(below));
    }
    under
}

pub(super) fn resolve(layers: Layers) -> Result<Webhooks, Failure> {
    if layers.len() > COUNT_MAX {
        return Err(Failure::Configuration(format!("webhook: at most {COUNT_MAX} of them")));
    }
    layers.into_iter().map(|(name, layer)| Ok((name.clone(), layer.resolve(&name)?))).collect()
}

/// Every one as it is in effect; its address may hold a secret, so only where it leads is shown.
pub(super) fn shown(webhooks: &Webhooks) -> Value {
    webhooks.iter().map(|(name, webhook)| (name.clone(), webhook.shown())).collect::<Map<_, _>>().into()
}

impl Layer {
    fn over(self, under: Self) -> Self {
        Self {
            url: self.url.or(under.url),
            secret_file: self.secret_file.or(under.secret_file),
            events: self.events.or(under.events),
            allow: self.allow.or(under.allow),
            ca_file: self.ca_file.or(under.ca_file),
        }
    }

    fn resolve(self, name: &str) -> Result<Webhook, Failure> {
        let wrong = |what: &str| Failure::Configuration(format!("webhook.{name}.{what}"));
        let is_name = !name.is_empty()
            && name.len() <= NAME_LENGTH_MAX
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte));
        if !is_name {
            let sentence = format!("webhook: a name has 1 to {NAME_LENGTH_MAX} of `a-z0-9_-`: `{name}` does not fit");
            return Err(Failure::Configuration(sentence));
        }
        let mut allow = Allow::default();
        for word in self.allow.iter().flat_map(|words| &words.0) {
            match word.as_str() {
                "loopback" => allow.loopback = true,
                "private" => allow.private = true,
                other => return Err(wrong(&format!("allow: `{other}` is not known: write loopback, private or both"))),
            }
        }
        let url = self.url.ok_or_else(|| wrong("url is missing"))?;
        check_url(&url, allow).map_err(|error| wrong(&format!("url: {error}")))?;
        let secret_file = self.secret_file.ok_or_else(|| wrong("secret_file is missing"))?;
        let secret = read_secret(&secret_file).map_err(|error| wrong(&format!("secret_file: {error}")))?;
        WebhookKey::read(&secret)
            .map_err(|error| wrong(&format!("secret_file: `{}` holds no secret: {error}", secret_file.display())))?;
        let kinds = match self.events {
            None => NoticeKind::ALL.into(),
            Some(words) => words
                .0
                .iter()
                .map(|word| word.parse())
                .collect::<Result<BTreeSet<NoticeKind>, _>>()
                .map_err(|error| wrong(&format!("events: {error}")))?,
        };
        let ca = self.ca_file.as_deref().map(read_pem).transpose();
        let ca = ca.map_err(|error| wrong(&format!("ca_file: {error}")))?;
        Ok(Webhook { url, secret_file, secret, kinds, allow, ca_file: self.ca_file, ca })
    }
}

impl Webhook {
    /// Where it is, as the courier takes it.
    pub(crate) fn target(&self) -> Target {
        Target { url: self.url.clone(), allow: self.allow, ca: self.ca.clone() }
    }

    /// What its messages are signed with.
    pub(crate) fn key(&self) -> Result<WebhookKey, String> {
        WebhookKey::read(&self.secret)
    }

    fn shown(&self) -> Value {
        let origin = reqwest::Url::parse(&self.url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        let allow = [("loopback", self.allow.loopback), ("private", self.allow.private)];
        let allow: Vec<_> = allow.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
        let mut shown = json!({ "url": origin, "secret_file": self.secret_file, "events": self.kinds, "allow": allow });
        if let Some(file) = &self.ca_file {
            shown["ca_file"] = json!(file);
        }
        shown
    }
}
