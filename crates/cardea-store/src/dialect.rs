//! What the two databases say differently. Outside this file, `sqlite.rs` and `postgres.rs`, no code asks which it is.

use sqlx::error::{DatabaseError, ErrorKind};

use crate::tx::{Conn, Tx};

/// What a database error means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Busy,
    /// A guard found another version, or a line of a log had its number taken by somebody who was faster.
    Conflict,
    Corrupt,
    Duplicate {
        table: &'static str,
        column: &'static str,
    },
    Full,
    Other,
    Rule,
    Unavailable,
}

/// Every unique rule: its name, the columns as SQLite's messages list them, and what people call it.
pub(crate) const UNIQUE_RULES: [(&str, &str, &str, &str); 55] = [
    ("approval_pk", "approval.id", "approval", "id"),
    ("audit_pk", "audit.id", "audit", "id"),
    ("connection_pk", "connection.id", "connection", "id"),
    ("directory_absence_pk", "directory_absence.user_id", "directory_absence", "user_id"),
    ("directory_sync_pk", "directory_sync.provider_id", "directory_sync", "provider_id"),
    (
        "external_identity_pk",
        "external_identity.provider_id, external_identity.subject",
        "external_identity",
        "subject",
    ),
    ("external_identity_user_unique", "external_identity.user_id", "external_identity", "user_id"),
    (
        "external_membership_pk",
        "external_membership.user_id, external_membership.group_id",
        "external_membership",
        "group_id",
    ),
    ("external_sign_in_pk", "external_sign_in.sign_in_id", "external_sign_in", "sign_in_id"),
    ("gateway_factor_pk", "gateway_factor.user_id, gateway_factor.network", "gateway_factor", "network"),
    ("gateway_key_pk", "gateway_key.grant_id", "gateway_key", "grant_id"),
    ("grant_entry_ordinal_unique", "grant_entry.session_id, grant_entry.ordinal", "grant_entry", "ordinal"),
    ("grant_entry_pk", "grant_entry.id", "grant_entry", "id"),
    ("host_pk", "host.key", "host", "key"),
    ("idempotency_pk", "idempotency.user_id, idempotency.key", "idempotency", "key"),
    ("installation_pk", "installation.id", "installation", "id"),
    ("installation_single_unique", "installation.single", "installation", "single"),
    ("invitation_digest_unique", "invitation.digest", "invitation", "digest"),
    ("invitation_pk", "invitation.id", "invitation", "id"),
    ("key_use_pk", "key_use.fingerprint", "key_use", "fingerprint"),
    ("launch_token_pk", "launch_token.digest", "launch_token", "digest"),
    ("managed_account_pk", "managed_account.host, managed_account.name", "managed_account", "name"),
    ("node_pk", "node.name", "node", "name"),
    ("notice_pk", "notice.id", "notice", "id"),
    ("object_name_unique", "object.kind, object.name_fold", "object", "name"),
    ("object_pk", "object.id", "object", "id"),
    ("oidc_logout_pk", "oidc_logout.provider_id, oidc_logout.digest", "oidc_logout", "digest"),
    ("oidc_trip_pk", "oidc_trip.digest", "oidc_trip", "digest"),
    ("own_key_claim_unique", "own_key.user_id, own_key.body", "own_key", "claim"),
    ("own_key_pk", "own_key.id", "own_key", "id"),
    ("own_key_proven_unique", "own_key.body", "own_key", "body"),
    ("passkey_answered_pk", "passkey_answered.id", "passkey_answered", "id"),
    ("passkey_credential_unique", "passkey.credential", "passkey", "credential"),
    ("passkey_handle_handle_unique", "passkey_handle.handle", "passkey_handle", "handle"),
    ("passkey_handle_pk", "passkey_handle.user_id", "passkey_handle", "user_id"),
    ("passkey_name_unique", "passkey.user_id, passkey.name", "passkey", "name"),
    ("passkey_pk", "passkey.id", "passkey", "id"),
    ("password_pk", "password.user_id", "password", "user_id"),
    ("recovery_code_pk", "recovery_code.user_id, recovery_code.digest", "recovery_code", "digest"),
    ("review_pk", "review.session_id", "review", "session_id"),
    ("rule_change_pk", "rule_change.user_id, rule_change.object_id", "rule_change", "object_id"),
    ("secret_pk", "secret.id", "secret", "id"),
    ("session_log_pk", "session_log.session_id, session_log.line", "session_log", "line"),
    ("session_pk", "session.id", "session", "id"),
    ("set_up_pk", "set_up.digest", "set_up", "digest"),
    ("sign_in_digest_unique", "sign_in.digest", "sign_in", "digest"),
    ("sign_in_pk", "sign_in.id", "sign_in", "id"),
    ("sign_in_ticket_pk", "sign_in_ticket.digest", "sign_in_ticket", "digest"),
    ("snapshot_pk", "snapshot.session_id", "snapshot", "session_id"),
    ("standing_lock_pk", "standing_lock.object_id", "standing_lock", "object_id"),
    ("token_digest_unique", "token.digest", "token", "digest"),
    ("token_pk", "token.id", "token", "id"),
    ("totp_enrolment_pk", "totp_enrolment.user_id", "totp_enrolment", "user_id"),
    ("totp_pk", "totp.user_id", "totp", "user_id"),
    ("uid_mark_pk", "uid_mark.host", "uid_mark", "host"),
];

/// Reads a database's error. PostgreSQL's codes have five characters, SQLite's are numbers of up to four digits.
pub(crate) fn fault(error: &dyn DatabaseError) -> Fault {
    if error.kind() == ErrorKind::UniqueViolation {
        let rule = error.constraint().unwrap_or_default();
        let columns = error.message().rsplit(": ").next().unwrap_or_default();
        let known = UNIQUE_RULES.iter().find(|(name, listed, ..)| *name == rule || *listed == columns);
        return match known {
            Some((_, _, "session_log", _)) => Fault::Conflict,
            Some((_, _, table, column)) => Fault::Duplicate { table, column },
            None => Fault::Rule,
        };
    }
    if error.kind() != ErrorKind::Other {
        return Fault::Rule;
    }
    let code = error.code().unwrap_or_default();
    match code.parse::<u32>() {
        // SQLite: the low byte is the primary result code (https://sqlite.org/rescode.html).
        Ok(number) if code.len() < 5 => match number & 0xff {
            5 | 6 => Fault::Busy,
            11 | 26 => Fault::Corrupt,
            13 => Fault::Full,
            10 | 14 => Fault::Unavailable,
            _ => Fault::Other,
        },
        // PostgreSQL, appendix A: serialisation, deadlock, lock and statement timeouts; resources; shutting down.
        _ => match &*code {
            "40001" | "40P01" | "55P03" | "57014" => Fault::Busy,
            // A division by zero: how a batch says that it did not change every row that it should.
            "22012" => Fault::Conflict,
            "53100" => Fault::Full,
            "57P01" | "57P02" | "57P03" | "53300" => Fault::Unavailable,
            "XX001" | "XX002" => Fault::Corrupt,
            _ => Fault::Other,
        },
    }
}

impl Tx {
    /// Of two spellings, the one that this database reads.
    fn spelling(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self.conn {
            Conn::Sqlite(_) => sqlite,
            Conn::Postgres(_) => postgres,
        }
    }

    /// Whether several writes can be parts of one statement; SQLite has no writes in a `with`.
    pub(crate) fn writes_in_one_statement(&self) -> bool {
        matches!(self.conn, Conn::Postgres(_))
    }

    /// Claims what is still due of these. Two PostgreSQL transactions never get the same row, and neither waits for the other.
    pub(crate) fn claim_due_sql(&self) -> &'static str {
        macro_rules! claim {
            ($lock:literal) => {
                concat!(
                    "with due as materialized (select id from session \
                     where id in (select value from json_each($2)) and wake_at <= $1 \
                     and (claim_node is null or claim_node = $3 or claim_until <= $1)",
                    $lock,
                    ") update session set fence = fence + 1, version = version + 1, claim_node = $3, claim_until = $4 \
                     where id in (select id from due) returning *"
                )
            };
        }
        self.spelling(claim!(""), claim!(" for update skip locked"))
    }

    /// Claims hosts that are due, as [`Self::claim_due_sql`] does sessions.
    pub(crate) fn claim_hosts_sql(&self) -> &'static str {
        macro_rules! claim {
            ($lock:literal) => {
                concat!(
                    "with due as materialized (select key from host \
                     where wake_at <= $1 and key not in (select value from json_each($2)) \
                     and (claim_node is null or claim_node = $4 or claim_until <= $1) \
                     order by wake_at, key limit $3",
                    $lock,
                    ") update host set version = version + 1, claim_node = $4, claim_until = $5 \
                     where key in (select key from due) returning *"
                )
            };
        }
        self.spelling(claim!(""), claim!(" for update skip locked"))
    }

    /// Claims notices of one outlet that are due, as [`Self::claim_due_sql`] does sessions.
    pub(crate) fn claim_notices_sql(&self) -> &'static str {
        macro_rules! claim {
            ($lock:literal) => {
                concat!(
                    "with due as materialized (select id from notice \
                     where outlet = $6 and wake_at <= $1 and id not in (select value from json_each($2)) \
                     and (claim_node is null or claim_node = $4 or claim_until <= $1) \
                     order by wake_at, id limit $3",
                    $lock,
                    ") update notice set version = version + 1, claim_node = $4, claim_until = $5 \
                     where id in (select id from due) returning *"
                )
            };
        }
        self.spelling(claim!(""), claim!(" for update skip locked"))
    }

    /// Holds a shared privilege by its name, until the unit ends; SQLite has one writer anyway.
    pub(crate) fn hold_share_sql(&self) -> Option<&'static str> {
        match self.conn {
            Conn::Sqlite(_) => None,
            // A function of type void has no value that could be read.
            Conn::Postgres(_) => {
                Some("select 1::bigint from (select pg_advisory_xact_lock(hashtextextended($1, 0))) held")
            }
        }
    }

    /// Holds a session's row, so that log lines are numbered one after the other; SQLite has one writer anyway.
    pub(crate) fn hold_session_sql(&self) -> Option<&'static str> {
        match self.conn {
            Conn::Sqlite(_) => None,
            Conn::Postgres(_) => Some("select id from session where id = $1 for no key update"),
        }
    }

    /// Holds a user's row until the unit ends; SQLite has one writer anyway.
    pub(crate) fn hold_user_sql(&self) -> Option<&'static str> {
        match self.conn {
            Conn::Sqlite(_) => None,
            Conn::Postgres(_) => Some("select id from object where id = $1 for no key update"),
        }
    }

    /// Reads a session's fence and holds its row until the unit ends; SQLite has one writer anyway.
    pub(crate) fn hold_fence_sql(&self) -> &'static str {
        self.spelling(
            "select fence from session where id = $1",
            "select fence from session where id = $1 for no key update",
        )
    }

    /// Tells listeners of a channel, with the commit. SQLite has none: one process has its file.
    pub(crate) fn notify_sql(&self) -> Option<&'static str> {
        match self.conn {
            Conn::Sqlite(_) => None,
            Conn::Postgres(_) => Some("select pg_notify($1, $2)"),
        }
    }
}
