//! Coming back from a provider: who it is, and what that lets them do.

use cardea_domain::{
    Actor, Object, ObjectId, OpenIdCode, OpenIdFault, OpenIdPerson, Permit, Secret, SignInId, Timestamp, Verb, Via,
};
use cardea_store::{AuditEntry, ExternalSignIn, Outcome, Trip};
use serde_json::json;

use super::{NONCE, Provider, STATE, TRIP_LASTS, VERIFIER, fault_of};
use crate::{App, AppError, Device, Person, SignedIn, second_step::Proof};

/// What a provider gives back for its word.
const CODE_BYTES_MAX: usize = 4_096;
/// Clocks differ.
const LEEWAY: std::time::Duration = std::time::Duration::from_secs(60);

/// What a browser brings back.
#[derive(Default)]
pub struct Arrival {
    pub cookie: Option<Secret>,
    pub state: String,
    pub code: Option<Secret>,
    /// Why the provider says no, in its word.
    pub error: Option<String>,
    /// Who it says it is (RFC 9207).
    pub issuer: Option<String>,
}

/// What came of it.
pub struct Arrived {
    /// The new sign-in; `None` if the present one showed again who it is.
    pub signed_in: Option<SignedIn>,
    /// The page that was asked for.
    pub return_to: String,
}

impl App {
    /// A browser comes back from a provider: signs its person in, or shows again who they are.
    pub async fn arrive(
        &self,
        device: &Device,
        (provider, redirect_uri): (&str, &str),
        arrival: Arrival,
    ) -> Result<Arrived, AppError> {
        let said: String = provider.chars().take(64).collect();
        let arrived = match self.openid_provider(provider).await {
            Ok(provider) => self.arrive_once(device, &provider, redirect_uri, arrival).await,
            Err(error) => Err(error),
        };
        if let Err(error @ AppError::Refused { .. }) = &arrived {
            let subject = format!("identity provider {said:?} from {}", device.peer);
            self.refused(&Actor::Gateway, Verb::SignIn, subject, error).await;
        }
        arrived
    }

    async fn arrive_once(
        &self,
        device: &Device,
        provider: &Provider,
        redirect_uri: &str,
        arrival: Arrival,
    ) -> Result<Arrived, AppError> {
        let Arrival { cookie, state, code, error, issuer } = arrival;
        let cookie = cookie.ok_or_else(over)?;
        if !self.derived(STATE, &cookie).expose(|expected| *expected == state) {
            return Err(over());
        }
        let trip = self.end_trip(provider.object.id, &state).await?;
        if issuer.is_some_and(|issuer| issuer != provider.asked.spec.issuer) {
            let fault = OpenIdFault::Wrong("somebody else answered in its place".to_owned());
            return Err(fault_of(&provider.object, &fault));
        }
        if let Some(error) = error {
            return Err(says_no(&provider.object, error));
        }
        let person = self.told(provider, redirect_uri, (&cookie, code)).await?;
        let has_factor = provider.asked.spec.trusts_mfa && person.with_mfa;
        let proof = if has_factor { Proof::ProviderWithFactor } else { Proof::Provider };
        let user = self.recognise(provider.object.id, &described(&person)).await.map_err(not_let_in)?;
        match trip.sign_in {
            Some(sign_in) => {
                self.shown_there(provider, (user, sign_in), (&person, proof), &trip).await?;
                Ok(Arrived { signed_in: None, return_to: trip.return_to })
            }
            None => {
                let signed_in = self.signed_in_there(provider, (user, device), (&person, proof)).await?;
                Ok(Arrived { signed_in: Some(signed_in), return_to: trip.return_to })
            }
        }
    }

    async fn end_trip(&self, provider: ObjectId, state: &str) -> Result<Trip, AppError> {
        let (digest, now) = (self.trip_digest(state), self.0.clock.now());
        let ended = self
            .0
            .store
            .write(move |tx| Box::pin(async move { tx.end_trip(&digest, now).await.map_err(AppError::from) }));
        ended.await?.filter(|trip| trip.provider == provider).ok_or_else(over)
    }

    /// The provider's word about whoever brought this code.
    async fn told(
        &self,
        provider: &Provider,
        redirect_uri: &str,
        (cookie, code): (&Secret, Option<Secret>),
    ) -> Result<OpenIdPerson, AppError> {
        let is_code = |code: &Secret| code.expose(|code| !code.is_empty() && code.len() <= CODE_BYTES_MAX);
        let no_code = || fault_of(&provider.object, &OpenIdFault::Wrong("it gave no code".to_owned()));
        let code = code.filter(is_code).ok_or_else(no_code)?;
        let (verifier, nonce) = (self.derived(VERIFIER, cookie), self.derived(NONCE, cookie).expose(Clone::clone));
        let code = OpenIdCode { code: &code, verifier: &verifier, nonce: &nonce, redirect_uri };
        let told = provider.by.redeem(&provider.asked, code, self.0.clock.now()).await;
        told.map_err(|fault| fault_of(&provider.object, &fault))
    }

    async fn signed_in_there(
        &self,
        provider: &Provider,
        (user, device): (ObjectId, &Device),
        (person, proof): (&OpenIdPerson, Proof),
    ) -> Result<SignedIn, AppError> {
        let (signed_in, mut beginning) = self.begin_sign_in(user, device, proof).map_err(not_let_in)?;
        // Whoever was signed in there for long has shown nothing now.
        let shown_at = person.shown_at.unwrap_or(Timestamp::from_micros(0)).min(beginning.row.created_at);
        beginning.row.password_at = Some(shown_at);
        beginning.row.factor_at = beginning.row.factor_at.map(|_| shown_at);
        let made = ExternalSignIn {
            sign_in: beginning.row.id,
            provider: provider.object.id,
            subject: person.subject.clone(),
            sid: person.sid.clone(),
        };
        let app = self.clone();
        let kept = self.0.store.write(move |tx| {
            Box::pin(async move {
                app.keep_sign_in(tx, &beginning, proof).await?;
                tx.insert_external_sign_in(&made).await.map_err(AppError::from)
            })
        });
        kept.await?;
        Ok(signed_in)
    }

    /// The present sign-in showed again who it is: the same person, and since the browser set out.
    async fn shown_there(
        &self,
        provider: &Provider,
        (user, sign_in): (ObjectId, SignInId),
        (person, proof): (&OpenIdPerson, Proof),
        trip: &Trip,
    ) -> Result<(), AppError> {
        let actor = self.let_in(user, Via::SignIn(sign_in)).map_err(not_let_in)?;
        let began = trip.expires_at.minus(TRIP_LASTS).minus(LEEWAY);
        if person.shown_at.is_none_or(|at| at < began) {
            let fault = OpenIdFault::Wrong("it did not ask them again who they are".to_owned());
            return Err(fault_of(&provider.object, &fault));
        }
        let now = self.0.clock.now();
        let row = self.0.store.read(move |tx| Box::pin(async move { tx.sign_in(sign_in).await })).await?;
        if row.is_none_or(|row| row.user != user || row.ended_at.is_some() || row.expires_at <= now) {
            let sentence = "that was somebody else than who is signed in here, or the sign-in is over";
            return Err(AppError::refused("not-let-in", sentence));
        }
        let entry = AuditEntry {
            id: self.mint_audit(),
            at: now,
            subject: sign_in.to_string(),
            outcome: Outcome::Ok,
            detail: json!({ "shown": proof.as_str(), "provider": provider.object.name, "again": true }),
        };
        let permit = Permit::ask(&actor, Verb::SignIn)?;
        let kept = self.0.store.write(move |tx| {
            Box::pin(async move {
                tx.password_shown(sign_in, now).await?;
                if proof == Proof::ProviderWithFactor {
                    tx.factor_shown(sign_in, now).await?;
                }
                tx.record(&permit, &entry).await.map_err(AppError::from)
            })
        });
        kept.await
    }
}

fn described(person: &OpenIdPerson) -> Person {
    let OpenIdPerson { subject, user, name, email, groups, .. } = person.clone();
    Person { subject, name: user, full_name: name, email, groups }
}

fn over() -> AppError {
    let sentence = "this sign-in was begun in another browser, took too long, or was finished before: begin again";
    AppError::refused("trip-over", sentence)
}

fn says_no(provider: &Object, error: String) -> AppError {
    let is_word = error.len() <= 40 && error.bytes().all(|c| c.is_ascii_lowercase() || c == b'_');
    let word = if is_word { error } else { "an error without a name".to_owned() };
    AppError::refused("provider-says-no", format!("{} let nobody in: {word}", provider.name))
}

/// Who is nobody here, or may not come in: the provider's word is no password that could be wrong.
fn not_let_in(error: AppError) -> AppError {
    match error {
        AppError::Unauthenticated(why) => AppError::refused("not-let-in", why),
        other => other,
    }
}
