//! Alerts: what a person should look at. Each is in the audit log too, written by whoever raises it.

use cardea_domain::{Permit, SessionId};
use cardea_store::{AuditEntry, News, Outcome, StoreError, Tx};
use serde_json::{Value, json};

use crate::{
    App,
    event::{Alert, Event},
};

impl App {
    /// An alert about a session, a resource, or both, as of now.
    pub(crate) fn alert(
        &self,
        code: &'static str,
        text: String,
        session: Option<SessionId>,
        resource: Option<&str>,
    ) -> Alert {
        Alert { at: self.0.clock.now(), code: code.into(), text, session, resource: resource.map(str::to_owned) }
    }

    /// Tells those who see everything, at whichever node they are, once the unit is committed. The caller has written it down.
    pub(crate) fn announce_alert(&self, tx: &mut Tx, alert: Alert) {
        let Alert { at, code, text, session, resource } = alert.clone();
        tx.tell(News::Alert { at, code: code.into_owned(), text, session, resource });
        let app = self.clone();
        tx.after_commit(Box::new(move || app.0.hub.publish(None, Event::Alert(alert.into()))));
    }

    /// Writes down an alert that belongs to no session, and tells of it.
    pub(crate) async fn raise(
        &self,
        tx: &mut Tx,
        permit: &Permit,
        alert: Alert,
        detail: Value,
    ) -> Result<(), StoreError> {
        let mut all = json!({ "alert": alert.code, "message": alert.text });
        if let (Value::Object(into), Value::Object(more)) = (&mut all, detail) {
            into.extend(more);
        }
        let subject = alert.resource.clone().unwrap_or_default();
        let entry = AuditEntry { id: self.mint_audit(), at: alert.at, subject, outcome: Outcome::Ok, detail: all };
        tx.record(permit, &entry).await?;
        self.announce_alert(tx, alert);
        Ok(())
    }
}
