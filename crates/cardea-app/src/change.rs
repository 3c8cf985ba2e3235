//! A session's transition as one thing: no change without its log line, its audit entry and its event.

use std::sync::Arc;

use cardea_domain::{Approval, Grant, LogLevel, Permit, Session, SessionId, Stage, Timestamp};
use cardea_store::{AuditEntry, News, Outcome, StoreError, Tx};
use serde_json::Value;

use crate::{
    App,
    event::{Audience, Event},
};

/// What is written beside a session's new state.
pub(crate) struct Note {
    pub(crate) level: LogLevel,
    pub(crate) stage: Stage,
    pub(crate) message: String,
    /// What the audit entry holds beside actor, verb and session.
    pub(crate) detail: Value,
}

impl Note {
    pub(crate) fn info(stage: Stage, message: impl Into<String>) -> Self {
        Self { level: LogLevel::Info, stage, message: message.into(), detail: Value::Null }
    }

    pub(crate) fn warn(stage: Stage, message: impl Into<String>) -> Self {
        Self { level: LogLevel::Warn, ..Self::info(stage, message) }
    }

    pub(crate) fn error(stage: Stage, message: impl Into<String>) -> Self {
        Self { level: LogLevel::Error, ..Self::info(stage, message) }
    }

    pub(crate) fn with(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }
}

impl App {
    /// Saves a session's transition. `session.version` rises.
    pub(crate) async fn save_session(
        &self,
        tx: &mut Tx,
        permit: &Permit,
        session: &mut Session,
        note: Note,
    ) -> Result<(), StoreError> {
        let now = self.0.clock.now();
        tx.save_session(permit, session).await?;
        self.write_note(tx, permit, session, note, now).await?;
        self.announce_session(tx, session);
        Ok(())
    }

    /// Writes log line and audit entry of a session that was saved by itself.
    pub(crate) async fn write_note(
        &self,
        tx: &mut Tx,
        permit: &Permit,
        session: &Session,
        note: Note,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        tx.append_log(session.id, at, note.level, note.stage, &note.message).await?;
        let mut detail = serde_json::json!({ "status": session.status, "message": note.message });
        if let (Value::Object(into), Value::Object(more)) = (&mut detail, note.detail) {
            into.extend(more);
        }
        let entry =
            AuditEntry { id: self.mint_audit(), at, subject: session.id.to_string(), outcome: Outcome::Ok, detail };
        tx.record(permit, &entry).await
    }

    /// Tells browsers about a session as it is in this process, before the store hears of it.
    pub(crate) fn publish_session(&self, session: &Session) {
        self.0.hub.publish(Some(Audience::of(session)), Event::Session(Arc::new(session.clone())));
    }

    /// Tells browsers about a session once the unit is committed.
    pub(crate) fn announce_session(&self, tx: &mut Tx, session: &Session) {
        tx.tell(News::Session(session.id));
        let audience = Audience::of(session);
        let (app, session) = (self.clone(), Arc::new(session.clone()));
        tx.after_commit(Box::new(move || app.0.hub.publish(Some(audience), Event::Session(session))));
    }

    /// Tells its approvers too, once the unit is committed: the session waits for them, was decided about, or waits no more.
    pub(crate) fn announce_approval(&self, tx: &mut Tx, session: &Session, approval: Option<&Approval>) {
        self.tell_of_approval(tx, session, approval);
        tx.tell(News::Approval { session: session.id, decided: approval.is_some() });
        let audience = Audience::with_approvers(session);
        let event = Event::Approval {
            session: Arc::new(session.clone()),
            approval: approval.map(|approval| Arc::new(approval.clone())),
        };
        let app = self.clone();
        tx.after_commit(Box::new(move || app.0.hub.publish(Some(audience), event)));
    }

    /// Says something on the session's terminals, at whichever node they are, once the unit is committed.
    pub(crate) fn say_on_terminals(&self, tx: &mut Tx, session: SessionId, sentence: String) {
        tx.tell(News::Say { session, sentence: sentence.clone() });
        let app = self.clone();
        tx.after_commit(Box::new(move || app.0.doors.say(session, &sentence)));
    }

    /// Tells browsers about grants once the unit is committed.
    pub(crate) fn announce_grants(&self, tx: &mut Tx, session: &Session, grants: &[Grant]) {
        if grants.is_empty() {
            return;
        }
        tx.tell(News::Grants(session.id));
        let (app, grants) = (self.clone(), grants.to_vec());
        let audience = Audience::of(session);
        tx.after_commit(Box::new(move || {
            for grant in grants {
                app.0.hub.publish(Some(audience), Event::Grant(Arc::new(grant)));
            }
        }));
    }
}
