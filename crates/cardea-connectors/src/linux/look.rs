//! What a host knows and nobody changes: accounts, marks, snapshots, as they are told.

use cardea_domain::{ConnectorError, KnownAccount, Mark, Snapshot};

use super::answer::Answer;

/// `none`, or `UID LOCKED EXPIRES COMMENT`.
pub(super) fn known_account(answer: &Answer) -> Result<Option<KnownAccount>, ConnectorError> {
    let text = answer.text("known").ok_or_else(|| answer.incomplete())?;
    if text == "none" {
        return Ok(None);
    }
    let mut parts = text.splitn(4, ' ');
    let mut next = || parts.next().unwrap_or_default();
    let (uid, locked, expires, comment) = (next(), next(), next(), next());
    Ok(Some(KnownAccount {
        uid: uid.parse().map_err(|_| answer.incomplete())?,
        comment: comment.to_owned(),
        locked: locked == "yes",
        expires_day: expires.parse().ok(),
    }))
}

/// `KIND ACCOUNT UID GRANT TOKEN SUBJECT WHERE`. What names no grant is nobody's mark.
pub(super) fn marks(answer: &Answer) -> Vec<Mark> {
    answer.texts("mark").filter_map(mark).collect()
}

fn mark(text: &str) -> Option<Mark> {
    let mut parts = text.splitn(7, ' ');
    let (kind, account, uid) = (parts.next()?, parts.next()?, parts.next()?);
    let (grant, token, subject, place) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let known = |text: &str| (text != "-").then(|| text.to_owned());
    Some(Mark {
        kind: kind.to_owned(),
        grant: grant.parse().ok()?,
        token: token.to_owned(),
        account: known(account),
        uid: uid.parse().ok(),
        subject: known(subject),
        detail: place.to_owned(),
    })
}

/// `FINGERPRINT KIND NAME`.
pub(super) fn snapshot(answer: &Answer) -> Snapshot {
    let items = answer.texts("item").filter_map(|text| {
        let (print, name) = text.split_once(' ')?;
        Some((name.to_owned(), print.to_owned()))
    });
    Snapshot(items.collect())
}
