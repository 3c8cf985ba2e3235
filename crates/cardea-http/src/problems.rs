//! Every kind of problem there is: what clients branch on, with a page for people behind each.

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};

use crate::{input::Id, problem::Problem};

/// A kind of problem.
#[derive(Debug)]
pub(crate) struct Known {
    /// The last part of the problem's `type`.
    pub(crate) slug: &'static str,
    pub(crate) status: u16,
    pub(crate) title: &'static str,
    /// What to do, for the page.
    pub(crate) advice: &'static str,
}

impl Known {
    /// The kind with this slug. A state that forbids something under a name that is not in the table is `refused`.
    pub(crate) fn find(slug: &str) -> &'static Self {
        TABLE.iter().find(|known| known.slug == slug).unwrap_or(&REFUSED)
    }
}

const fn known(slug: &'static str, status: u16, title: &'static str, advice: &'static str) -> Known {
    Known { slug, status, title, advice }
}

const REFUSED: Known = known(
    "refused",
    409,
    "The state of things forbids it",
    "The detail says which rule forbids it, and what would have to change first.",
);

/// Every kind, by status.
pub(crate) const TABLE: &[Known] = &[
    known(
        "not-signed-in",
        401,
        "You are not signed in",
        "Sign in, or send a token in the header `Authorization: Bearer TOKEN`. Sign-ins and tokens end with time.",
    ),
    known(
        "wrong-credentials",
        401,
        "User or password is wrong",
        "Check both. An administrator can set another password; whoever holds the machine can make another set-up link.",
    ),
    known(
        "mfa-required",
        401,
        "A second factor is wanted",
        "The password was right. Show a passkey, a code of your authenticator app or a recovery code, with the ticket, within minutes \
         and from the same address. Whoever lost them all asks an administrator for a reset.",
    ),
    known(
        "enrolment-needed",
        403,
        "You must set a second factor up first",
        "Your role or a group of yours must have one. Until then this sign-in can do nothing else.",
    ),
    known(
        "factor-needed",
        403,
        "Show who you are again",
        "Sensitive acts ask for a factor when the last one was shown too long ago. Show one, then repeat what you did.",
    ),
    known(
        "wrong-factor",
        403,
        "The code or the password is wrong",
        "A code works once and for a minute and a half: wait for the next, and check the clock of your phone.",
    ),
    known(
        "foreign-origin",
        403,
        "The request came from another site",
        "Requests that change something and carry a cookie must come from Cardea's own pages. Programs use a token. If \
         people reach Cardea under another name than the server knows, set `public_url` in its configuration.",
    ),
    known(
        "extension-waits",
        409,
        "An extension waits for approval already",
        "The session says who may decide about it. It ends as planned if nobody does.",
    ),
    known("not-allowed", 403, "You may not do this", "The detail says who may. Ask an administrator."),
    known(
        "not-found",
        404,
        "There is no such thing",
        "It does not exist, or it is hidden from you. Check the address for typing errors.",
    ),
    known("wrong-method", 405, "The address does not know this method", "See `/api/openapi.json` for what it knows."),
    known(
        "already-ending",
        409,
        "The session is ending already",
        "Nothing is left to do: clean-up goes on by itself until everything is gone.",
    ),
    known(
        "approved-already",
        409,
        "You approved it already",
        "Each approver counts once. The request waits for somebody else, or for more of them.",
    ),
    known(
        "changed-meanwhile",
        409,
        "Somebody else changed it first",
        "Read the object again, make the change on what it is now, and send it with its new version.",
    ),
    known(
        "changed-since-request",
        409,
        "What was requested has changed",
        "The request was brought up to date. Read it again, then decide: earlier approvals of it do not count.",
    ),
    known(
        "factor-required",
        409,
        "You must keep a second factor",
        "Your role or a group of yours must have one. Set another one up: it takes the place of the old one.",
    ),
    known(
        "no-enrolment",
        409,
        "No second factor is being set up",
        "Begin again: what was handed out is good for ten minutes, and only the newest counts.",
    ),
    known(
        "no-passkeys",
        409,
        "There are no passkeys here",
        "Browsers make passkeys for names, not for addresses: an administrator sets `public_url` of `[http]` to a name.",
    ),
    known(
        "not-let-in",
        403,
        "You are not let in",
        "The identity provider knows you, and Cardea does not, or keeps you out. An administrator links a user to you, or lets you in \
         again; the audit log says why.",
    ),
    known(
        "provider-away",
        503,
        "The identity provider does not answer",
        "Try again in a moment. Users with a password of Cardea's own can sign in.",
    ),
    known(
        "provider-fault",
        400,
        "What the identity provider says does not count",
        "Begin again. If it stays so, an administrator compares how the provider is configured there and here: the detail, and the \
         audit log, say what is wrong.",
    ),
    known(
        "provider-says-no",
        403,
        "The identity provider did not let you in",
        "Sign in there, and allow that Cardea learns who you are.",
    ),
    known(
        "trip-over",
        409,
        "This sign-in is over",
        "It was begun in another browser, took longer than ten minutes, or was finished before. Begin again on the sign-in page, at the \
         address that an administrator gave as `public_url`.",
    ),
    known("no-factor", 409, "There is no second factor", "Set one up first."),
    known(
        "directory-away",
        503,
        "Your password cannot be checked now",
        "The directory that knows it does not answer. Try again in a moment. Users with a password of Cardea's own can sign in.",
    ),
    known(
        "directory-fault",
        409,
        "The directory could not be read",
        "Nothing was changed. The detail says what is wrong: the directory is down, refuses Cardea's account, or is configured wrongly.",
    ),
    known(
        "directory-password",
        409,
        "The password is kept in a directory",
        "Change it where the rest of your organisation's passwords are changed: Cardea only tries it there.",
    ),
    known(
        "sync-held",
        409,
        "The directory would take away most of its users",
        "Nothing was changed. Check the directory and the filter of people; if they are right, look again and confirm it.",
    ),
    known(
        "no-sign-in",
        409,
        "Only a sign-in can do this",
        "Sign in with a password in the browser: tokens and whoever runs Cardea have no factors.",
    ),
    known(
        "host-key-pinned",
        409,
        "The resource has a host key already",
        "A pinned key is never replaced by a learned one. Set `host_key` by hand if the host was rebuilt.",
    ),
    known("already-locked", 409, "It is locked already", "Unlock it first, or leave it as it is."),
    known(
        "beyond-hours",
        409,
        "The hours of the policy end before that",
        "Ask for less: the detail says until when the session can run.",
    ),
    known(
        "extension-not-allowed",
        409,
        "The connection profile does not allow extensions",
        "Request a new session, or ask an administrator for `extension` in the profile.",
    ),
    known(
        "extension-too-long",
        409,
        "That is more than the connection profile allows at a time",
        "Ask for fewer minutes: the detail says how many.",
    ),
    known(
        "extension-used-up",
        409,
        "The session was extended as often as its connection profile allows",
        "Request a new session.",
    ),
    known(
        "ground-lost",
        409,
        "What gave the session gives it no more",
        "It lives on until its end, and not longer. Request a new one.",
    ),
    known(
        "not-extendable",
        409,
        "The session is not open",
        "Only a session that is available or logged in can be extended.",
    ),
    known("not-lockable", 409, "The session cannot be locked any more", "It is ending, or over."),
    known("not-locked", 409, "It is not locked", "There is nothing to unlock."),
    known(
        "not-removing",
        409,
        "The privilege is not being removed",
        "Only a removal that is under way can be tried now. End its session first.",
    ),
    known("own-lock", 409, "Nobody locks themselves", "Ask another administrator."),
    known("locked-as-a-whole", 409, "The user or the resource is locked as a whole", "Unlock that first."),
    known(
        "in-use",
        409,
        "Other objects refer to it",
        "The detail lists them. Change or delete those first, or do all of it in one `apply`.",
    ),
    known(
        "last-administrator",
        409,
        "Nobody would be administrator any more",
        "Make somebody else an administrator first.",
    ),
    known(
        "locked",
        409,
        "The user or the resource is locked",
        "An administrator froze everything of it; the detail says why. Nothing begins until it is unlocked.",
    ),
    known(
        "name-taken",
        409,
        "Another object has this name",
        "Names are compared without case, and with spaces as `_`. Choose another, or replace the one that is there.",
    ),
    known(
        "no-answer",
        409,
        "The host did not answer in time",
        "What was done on it is unknown until it is looked at again. Check the host and its network.",
    ),
    known(
        "no-password",
        409,
        "There is no password to show",
        "The connection profile decides whether people see passwords (`password_access`), and the activity which account they use.",
    ),
    known(
        "not-clean",
        409,
        "Privileges of the session are still out there",
        "Wait until clean-up is complete. It never gives up; the session's log says what stands in its way.",
    ),
    known(
        "not-offered",
        409,
        "The policy gives it no more",
        "Policies, activities or groups were changed since the request. Request what is offered now.",
    ),
    known(
        "not-dismissable",
        409,
        "Only failed sessions are dismissed",
        "End a running session instead. What is over leaves the list by itself.",
    ),
    known(
        "not-retryable",
        409,
        "Only failed sessions are tried again",
        "End a running session, and request a new one. A failed one can be tried again while it is on the active list and clean.",
    ),
    known(
        "not-your-turn",
        409,
        "Another tier decides now",
        "Tiers are asked one after the other. The session says whose turn it is and who may decide.",
    ),
    known(
        "not-waiting",
        409,
        "The session does not wait for approval",
        "It was decided about, or ended, before. Read it again.",
    ),
    known(
        "outside-hours",
        409,
        "The policy is closed now",
        "It holds on certain days and hours; the detail says when it opens next.",
    ),
    REFUSED,
    known("target-refused", 409, "The host refused", "The detail holds the host's own words."),
    known(
        "unreachable",
        409,
        "The host cannot be reached",
        "Check `address` and `port` of the resource, that the host is up, and that the network lets Cardea through.",
    ),
    known(
        "uid-range-used-up",
        409,
        "No user id is left on the resource",
        "Ids of accounts are never used twice. Widen `uid_range` of the resource.",
    ),
    known("too-large", 413, "The request is too large", "A body has at most 1 MiB. Send less at once."),
    known(
        "wrong-media-type",
        415,
        "The body is not JSON",
        "Send JSON, with the header `Content-Type: application/json`.",
    ),
    known(
        "invalid-input",
        422,
        "The input is wrong",
        "`fields` names each wrong place by a JSON pointer, and says what to write there instead.",
    ),
    known(
        "key-used",
        422,
        "The idempotency key stands for another request",
        "A key names one request for 24 hours. Send the very same request again, or use a new key.",
    ),
    known(
        "too-many-attempts",
        429,
        "Too many attempts",
        "Wait as many seconds as the header `Retry-After` says. Everybody at the same address waits together.",
    ),
    known(
        "too-many-streams",
        429,
        "Too many event streams at once",
        "A user has at most 20 open. Close windows or programs that are not needed.",
    ),
    known(
        "internal",
        500,
        "Something is broken in Cardea",
        "Nothing was half done. The server's log has the cause under the request id: send both to whoever runs it.",
    ),
    known(
        "unavailable",
        503,
        "Cardea cannot answer at the moment",
        "Try again soon. If it stays, the server's log has the cause under the request id.",
    ),
];

/// The page behind a problem's `type`.
pub(crate) async fn page(Id(slug): Id<String>) -> Response {
    let Some(known) = TABLE.iter().find(|known| known.slug == slug) else {
        return Problem::not_found().into_response();
    };
    let Known { slug, status, title, advice } = known;
    let body = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title} · Cardea</title>\n\
         <h1>{title}</h1>\n<p>{advice}</p>\n<p><code>{slug}</code>, HTTP status {status}</p>\n</html>\n"
    );
    ([(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))], body).into_response()
}
