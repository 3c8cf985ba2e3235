//! The first administrator: made at `cardea init`, with a password or with a one-time link to choose one.

use std::{collections::BTreeMap, time::Duration};

use cardea_domain::{Actor, Kind, Name, Object, ObjectId, Permit, Role, Secret, Spec, UserSpec, Verb};
use cardea_store::{AuditEntry, Outcome};
use serde_json::json;

use crate::{App, AppError, Device, SignedIn, password, second_step::Proof, throttle::Step};

/// The first administrator's link is good for this long.
const SET_UP_LASTS: Duration = Duration::from_secs(24 * 3600);
const ADMIN: &str = "admin";

impl App {
    /// Makes the first administrator, `admin`. Without a password it returns a one-time token to choose one with.
    pub async fn initialise(&self, password: Option<Secret>) -> Result<Option<Secret>, AppError> {
        let _changing = self.0.changing.lock().await;
        if self.configuration().of(Kind::User).next().is_some() {
            return Err(AppError::refused(
                "already-initialised",
                "this installation has users already: nothing was changed",
            ));
        }
        let now = self.0.clock.now();
        let hash = match password {
            Some(password) => {
                password::check_new(&password, "/password")?;
                Some(self.hash_password(password).await?)
            }
            None => None,
        };
        let token = hash.is_none().then(|| self.random_token("setup"));
        let digest =
            token.as_ref().map(|token| token.expose(|text| self.0.keyring.digest("set-up", text.as_bytes())).to_vec());
        let admin = Object {
            id: ObjectId::mint(Kind::User, now, &*self.0.entropy),
            name: Name::new(ADMIN).expect("admin is a name"),
            spec: Spec::User(UserSpec {
                full_name: "Administrator".to_owned(),
                email: String::new(),
                roles: [Role::Administrator, Role::User].map(|role| role.name().to_owned()).into(),
                ssh_keys: Vec::new(),
                accounts: BTreeMap::new(),
                manager: None,
                disabled: false,
                expires_at: None,
                identity: None,
            }),
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let permit = Permit::ask(&Actor::Operator { uid: 0 }, Verb::ChangeConfiguration(Kind::User))?;
        let app = self.clone();
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    tx.insert_object(&permit, &admin).await?;
                    if let Some(hash) = hash {
                        tx.set_password(admin.id, &hash, now).await?;
                    }
                    if let Some(digest) = digest {
                        tx.insert_set_up(&digest, now.plus(SET_UP_LASTS)).await?;
                    }
                    let detail = json!({ "created": ADMIN });
                    let entry = AuditEntry {
                        id: app.mint_audit(),
                        at: now,
                        subject: admin.id.to_string(),
                        outcome: Outcome::Ok,
                        detail,
                    };
                    tx.record(&permit, &entry).await?;
                    let revision = tx.raise_revision(None).await?;
                    app.put_after_commit(tx, admin, revision);
                    Ok::<_, AppError>(())
                })
            })
            .await?;
        Ok(token)
    }

    /// Uses up the set-up token: gives the first administrator a password, and signs in.
    pub async fn set_up(&self, device: &Device, token: Secret, password: Secret) -> Result<SignedIn, AppError> {
        let now = self.0.clock.now();
        self.must_not_guess(Step::SetUp, "", device, None).await?;
        password::check_new(&password, "/password")?;
        let wrong = || {
            AppError::Unauthenticated("this set-up link was used already, or is too old: ask the operator for `cardea init` of a new installation".to_owned())
        };
        let admin = self.configuration().find(Kind::User, ADMIN).cloned().ok_or_else(wrong)?;
        let digest = token.expose(|text| self.0.keyring.digest("set-up", text.as_bytes())).to_vec();
        let hash = self.hash_password(password).await?;
        let (app, id, peer) = (self.clone(), admin.id, device.peer);
        let used = self
            .0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    if !tx.use_set_up(&digest, now).await? {
                        return Err(wrong());
                    }
                    tx.set_password(id, &hash, now).await?;
                    let permit = Permit::ask(&Actor::Gateway, Verb::SignIn)?;
                    let detail = json!({ "set_up": true, "peer": peer });
                    let entry = AuditEntry {
                        id: app.mint_audit(),
                        at: now,
                        subject: id.to_string(),
                        outcome: Outcome::Ok,
                        detail,
                    };
                    tx.record(&permit, &entry).await?;
                    Ok(())
                })
            })
            .await;
        if let Err(error @ AppError::Unauthenticated(_)) = &used {
            self.refused(&Actor::Gateway, Verb::SignIn, format!("set-up from {peer}"), error).await;
        }
        used?;
        self.0.throttle.succeeded(Step::SetUp, "", peer);
        self.signed_in(admin.id, device, Proof::Password).await
    }
}
