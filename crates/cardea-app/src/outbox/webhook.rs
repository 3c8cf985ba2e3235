//! What webhooks are sent: JSON with a signature as the Standard Webhooks specification has it, so that receivers find
//! libraries for it. <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use cardea_domain::{Facts, Post, Secret, Timestamp};
use cardea_store::NoticeRow;
use cardea_vault::MessageKey;
use data_encoding::BASE64;
use serde_json::json;

const PREFIX: &str = "whsec_";
/// The specification's bounds, in bytes.
const LENGTH_MIN: usize = 24;
const LENGTH_MAX: usize = 64;

/// What a webhook's messages are signed with.
pub struct WebhookKey(MessageKey);

impl WebhookKey {
    /// Reads `whsec_` and 24 to 64 bytes in base64.
    pub fn read(secret: &Secret) -> Result<Self, String> {
        secret.expose(|text| {
            let bytes = text.strip_prefix(PREFIX).and_then(|rest| BASE64.decode(rest.as_bytes()).ok().map(Secret::new));
            let bytes = bytes.filter(|bytes| bytes.expose(|bytes| (LENGTH_MIN..=LENGTH_MAX).contains(&bytes.len())));
            let bytes = bytes.ok_or_else(|| {
                format!(
                    "write `{PREFIX}` and {LENGTH_MIN} to {LENGTH_MAX} random bytes in base64 to it, for example by \
                     `echo {PREFIX}$(openssl rand -base64 32)`"
                )
            })?;
            Ok(Self(bytes.expose(|bytes| MessageKey::new(bytes))))
        })
    }

    /// A notice as it is sent at `now`: id and body are the same with every attempt, the signature is of the moment.
    pub(super) fn post(&self, notice: &NoticeRow, facts: &Facts, now: Timestamp) -> Post {
        let body = json!({
            "type": notice.kind,
            "timestamp": notice.created_at,
            "data": { "sessions": notice.sessions, "request": notice.request, "facts": facts },
        });
        let (id, seconds, body) = (notice.id.to_string(), now.as_micros().div_euclid(1_000_000), body.to_string());
        let signature = BASE64.encode(&self.0.sign(format!("{id}.{seconds}.{body}").as_bytes()));
        let headers = vec![
            ("webhook-id", id),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-signature", format!("v1,{signature}")),
        ];
        Post { headers, body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_secrets_that_nobody_guesses_are_taken() {
        let read = |text: &str| WebhookKey::read(&Secret::new(text.to_owned())).is_ok();
        let of = |length: usize| BASE64.encode(&vec![7; length]);
        assert!(read(&format!("whsec_{}", of(24))) && read(&format!("whsec_{}", of(64))));
        assert!(!read(&of(32)) && !read(&format!("whsec_{}", of(23))) && !read(&format!("whsec_{}", of(65))));
        assert!(!read("whsec_not base64") && !read(""));
    }
}
