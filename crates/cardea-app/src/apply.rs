//! Changing the configuration: one set of wishes, judged as a whole, written in one unit or not at all.
//!
//! YAML files, the API's single-object routes and `--prune` all end up here, so they all follow the same rules.

mod provider;

use std::collections::{BTreeMap, HashMap, HashSet};

use cardea_domain::{
    Actor, Configuration, Denial, FieldError, IdentityProviderSpec, Kind, Looks, Name, Object, ObjectId, Permit,
    Reference, Role, SecretField, SecretId, SecretInput, Spec, UserIdentity, Verb, fold,
};
use cardea_store::{AuditEntry, News, Outcome, SecretRow, Tx};
use serde_json::{Value, json};

use self::provider::{knows_others, sent_elsewhere};
use crate::{
    App, AppError, Event,
    directory::{DIRECTORIES_MAX, directories},
    escalation::must_not_rise,
    password,
    plan::OWN_CHANGE_TOLD,
};

/// One object as a file or a caller describes it. Secrets stand in the spec under their own keys.
pub struct Document {
    pub kind: Kind,
    pub name: String,
    pub spec: Value,
}

/// How to apply.
#[derive(Clone, Copy, Debug, Default)]
pub struct ApplyOptions {
    /// Only say what would change.
    pub dry_run: bool,
    /// Delete what the documents do not name.
    pub prune: bool,
}

/// What an apply did, or would do.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    pub changes: Vec<Change>,
    /// What is allowed and yet hardly meant, a sentence each; of the whole configuration, changed or not.
    pub warnings: Vec<String>,
}

/// What happens to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Create,
    Delete,
    Update,
}

/// One object's difference.
#[derive(Clone, Debug)]
pub struct Change {
    pub kind: Kind,
    pub name: String,
    pub what: What,
    pub fields: Vec<FieldChange>,
}

/// One field's difference. A secret's has no values.
#[derive(Clone, Debug)]
pub struct FieldChange {
    pub pointer: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// Something that somebody wants of the configuration.
pub(crate) enum Wish {
    Delete { id: ObjectId, version: Option<i64> },
    Put { document: Document, guard: Guard },
}

/// What a put expects to find.
#[derive(Clone, Copy)]
pub(crate) enum Guard {
    Any,
    New,
    Version(i64),
}

/// What is to be written for one object.
struct Write {
    what: What,
    object: Object,
    /// The version that is replaced or deleted.
    was: i64,
    secrets: Vec<SecretRow>,
    /// Fields whose stored secret goes.
    retired: Vec<SecretId>,
    password_hash: Option<String>,
    change: Change,
}

/// The most documents in one go.
const DOCUMENTS_MAX: usize = 10_000;

impl App {
    /// Compares the configuration with what the documents say and, unless it is a dry run, brings it there.
    pub async fn apply(
        &self,
        actor: &Actor,
        documents: Vec<Document>,
        options: ApplyOptions,
    ) -> Result<Applied, AppError> {
        if documents.len() > DOCUMENTS_MAX {
            return Err(AppError::field("", format!("at most {DOCUMENTS_MAX} objects at once")));
        }
        if options.dry_run {
            Permit::ask(actor, Verb::SeeConfiguration)?;
        }
        let wishes = documents.into_iter().map(|document| Wish::Put { document, guard: Guard::Any }).collect();
        self.change_configuration(actor, wishes, options).await
    }

    pub(crate) async fn change_configuration(
        &self,
        actor: &Actor,
        wishes: Vec<Wish>,
        options: ApplyOptions,
    ) -> Result<Applied, AppError> {
        let changed = self.change_guarded(actor, wishes, options).await;
        if let Err(error @ (AppError::Denied(_) | AppError::Refused { .. })) = &changed {
            self.refused(actor, Verb::ChangeConfiguration(Kind::User), "configuration".to_owned(), error).await;
        }
        changed
    }

    async fn change_guarded(
        &self,
        actor: &Actor,
        wishes: Vec<Wish>,
        options: ApplyOptions,
    ) -> Result<Applied, AppError> {
        // Nobody learns from an error what they may not see.
        Permit::somewhere(actor, Verb::SeeConfiguration)?;
        if !options.dry_run {
            // Whoever may change nothing hears that, not what is wrong with their input.
            may_try(actor, &wishes, options.prune)?;
            self.must_be_fresh(actor, Verb::ChangeConfiguration(Kind::User), "configuration").await?;
        }
        let _changing = self.0.changing.lock().await;
        if self.0.store.is_shared() {
            // Another node may have changed it a moment ago.
            self.reload().await?;
        }
        let revision = self.0.cluster.revision();
        let now = self.configuration();
        let mut draft = Draft {
            before: &now,
            after: (*now).clone(),
            puts: Vec::new(),
            deletes: Vec::new(),
            errors: Vec::new(),
            own_keys: self.0.own_keys.proven(),
        };
        draft.take(self, wishes, options.prune)?;
        draft.check()?;
        let Draft { after, puts, deletes, .. } = draft;
        let warnings = after.warnings();
        let writes = self.writes(&now, puts, deletes, options.dry_run).await?;
        let changes: Vec<_> = writes.iter().map(|write| write.change.clone()).collect();
        if !options.dry_run && !writes.is_empty() {
            let permits = permits(actor, &now, &after, &writes)?;
            self.write_configuration(permits.into_iter().zip(writes).collect(), after, revision).await?;
        }
        Ok(Applied { changes, warnings })
    }

    /// What has to be written: only what differs.
    async fn writes(
        &self,
        before: &Configuration,
        puts: Vec<Put>,
        deletes: Vec<Object>,
        dry_run: bool,
    ) -> Result<Vec<Write>, AppError> {
        let mut writes = Vec::new();
        let mut errors = Vec::new();
        for object in deletes {
            let change = Change {
                kind: object.id.kind(),
                name: object.name.to_string(),
                what: What::Delete,
                fields: Vec::new(),
            };
            let was = object.version;
            writes.push(Write {
                what: What::Delete,
                object,
                was,
                secrets: Vec::new(),
                retired: Vec::new(),
                password_hash: None,
                change,
            });
        }
        for put in puts {
            match self.write_of(before, put, dry_run).await {
                Ok(write) => writes.extend(write),
                Err(AppError::Invalid(more)) => errors.extend(more),
                Err(other) => return Err(other),
            }
        }
        if errors.is_empty() { Ok(writes) } else { Err(AppError::Invalid(errors)) }
    }

    async fn write_of(&self, before: &Configuration, put: Put, dry_run: bool) -> Result<Option<Write>, AppError> {
        let Put { mut object, secrets, pointer } = put;
        let old = before.get(object.id);
        let id = object.id;
        let stored = match old {
            Some(_) => self.0.store.read(move |tx| Box::pin(async move { tx.secrets_of(id).await })).await?,
            None => Vec::new(),
        };
        if let Some(field) = knows_others(old, &object) {
            let message = "it knows other people by the same words, who would be taken for those of before: make another provider, \
                           and link the users to that";
            return Err(AppError::field(format!("{pointer}/spec/{field}"), message));
        }
        if let Some(field) = sent_elsewhere(old, &object)
            && stored.iter().any(|row| row.field == field)
            && !secrets.iter().any(|secret| secret.field == field)
        {
            let field = field.as_str();
            let message = format!("give `{field}_file` again: it would be sent elsewhere than it was given for");
            return Err(AppError::field(format!("{pointer}/spec/{field}"), message));
        }
        let mut fields = differences(old, &object);
        let mut write = Write {
            what: if old.is_some() { What::Update } else { What::Create },
            was: old.map_or(0, |old| old.version),
            secrets: Vec::new(),
            retired: Vec::new(),
            password_hash: None,
            change: Change { kind: id.kind(), name: object.name.to_string(), what: What::Update, fields: Vec::new() },
            object: object.clone(),
        };
        let secret_fields = match id.kind() {
            Kind::User => self.put_password(&mut write, secrets, &pointer, dry_run).await?,
            _ => self.put_secrets(&mut write, &stored, secrets, &pointer)?,
        };
        fields.extend(secret_fields.into_iter().map(|field| FieldChange {
            pointer: format!("/spec/{}", field.as_str()),
            before: None,
            after: None,
        }));
        if old.is_some() && fields.is_empty() {
            return Ok(None);
        }
        object.version = write.was + 1;
        write.object = object;
        write.change.what = write.what;
        write.change.fields = fields;
        Ok(Some(write))
    }

    /// A user's password in a file is the first one only: what they chose later stays.
    async fn put_password(
        &self,
        write: &mut Write,
        secrets: Vec<SecretInput>,
        pointer: &str,
        dry_run: bool,
    ) -> Result<Vec<SecretField>, AppError> {
        let Some(password) = secrets.into_iter().next() else { return Ok(Vec::new()) };
        let id = write.object.id;
        let known = self.0.store.read(move |tx| Box::pin(async move { tx.password(id).await })).await?;
        if known.is_some() {
            return Ok(Vec::new());
        }
        password::check_new(&password.value, &format!("{pointer}/spec/password"))?;
        if !dry_run {
            write.password_hash = Some(self.hash_password(password.value).await?);
        }
        Ok(vec![SecretField::Password])
    }

    /// What Cardea itself shows to others. A service account has a key or a password, never both; giving one replaces the other.
    fn put_secrets(
        &self,
        write: &mut Write,
        stored: &[SecretRow],
        secrets: Vec<SecretInput>,
        pointer: &str,
    ) -> Result<Vec<SecretField>, AppError> {
        let is_account = match write.object.id.kind() {
            Kind::ServiceAccount => true,
            Kind::IdentityProvider => false,
            _ => return Ok(Vec::new()),
        };
        let given: HashSet<_> = secrets.iter().map(|secret| secret.field).collect();
        let logs_in = |field: &SecretField| matches!(field, SecretField::Password | SecretField::PrivateKey);
        let with_one = given.iter().filter(|field| logs_in(field)).count();
        if with_one > 1 {
            return Err(AppError::field(
                format!("{pointer}/spec/password"),
                "a service account logs in with a private key or with a password: give one of them",
            ));
        }
        let directory = write.object.as_identity_provider().and_then(IdentityProviderSpec::as_ldap);
        let is_bound = |field: &SecretField| *field == SecretField::BindPassword;
        let has_password = given.iter().any(is_bound) || stored.iter().any(|row| is_bound(&row.field));
        if directory.is_some_and(|spec| spec.bind_dn.is_some()) && !has_password {
            let message = "give `bind_password_file`: without a password a directory lets everybody in as nobody";
            return Err(AppError::field(format!("{pointer}/spec"), message));
        }
        if is_account && with_one == 0 && !stored.iter().any(|row| logs_in(&row.field)) {
            return Err(AppError::field(
                format!("{pointer}/spec"),
                "give `private_key_file` or `password_file`: the service account has nothing to log in with",
            ));
        }
        let now = self.0.clock.now();
        let mut changed = Vec::new();
        for SecretInput { field, value } in secrets {
            let digest = value.expose(|text| self.0.keyring.digest("secret", text.as_bytes()));
            if stored.iter().any(|row| row.field == field && row.digest == digest) {
                continue;
            }
            let id = SecretId::mint(now, &*self.0.entropy);
            write.secrets.push(self.0.keyring.seal(id, write.object.id, field, &value, now));
            changed.push(field);
        }
        for row in stored {
            let displaced = with_one == 1 && logs_in(&row.field) && !given.contains(&row.field);
            if displaced || changed.contains(&row.field) {
                write.retired.push(row.id);
            }
            if displaced {
                changed.push(row.field);
            }
        }
        Ok(changed)
    }

    async fn write_configuration(
        &self,
        writes: Vec<(Permit, Write)>,
        after: Configuration,
        known: i64,
    ) -> Result<(), AppError> {
        let app = self.clone();
        let mut after = after;
        for (_, write) in writes.iter().filter(|(_, write)| write.what != What::Delete) {
            after.put(write.object.clone());
        }
        let changed: Vec<_> = writes.iter().map(|(_, write)| write.object.id).collect();
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    // What was judged is what is changed: nobody else does until this is committed.
                    let revision = tx.raise_revision(Some(known)).await?;
                    for (permit, write) in &writes {
                        app.write_object(tx, permit, write).await?;
                    }
                    tx.tell(News::Configuration);
                    tx.after_commit(Box::new(move || {
                        app.0.cluster.made(revision, || app.set_configuration(after));
                        app.recheck_keys();
                        app.0.ground.changed(changed);
                        app.nudge();
                        app.0.hub.publish(None, Event::Configuration);
                    }));
                    Ok(())
                })
            })
            .await
    }

    async fn write_object(&self, tx: &mut Tx, permit: &Permit, write: &Write) -> Result<(), AppError> {
        let now = self.0.clock.now();
        let object = &write.object;
        match write.what {
            What::Create => tx.insert_object(permit, object).await?,
            What::Update => tx.update_object(permit, object, write.was).await?,
            What::Delete => {
                let live = tx.live_sessions_of(object.id).await?;
                if live > 0 {
                    let sentence =
                        format!("{live} sessions still hang on {} `{}`: end them first", object.id.kind(), object.name);
                    return Err(AppError::refused("in-use", sentence));
                }
                tx.delete_object(permit, object.id, write.was).await?;
                for secret in tx.secrets_of(object.id).await? {
                    tx.retire_secret(secret.id, now).await?;
                }
            }
        }
        if write.change.fields.iter().any(|field| field.pointer == "/spec/identity") {
            tx.forget_identity(permit, object.id).await?;
        }
        for id in &write.retired {
            tx.retire_secret(*id, now).await?;
        }
        for secret in &write.secrets {
            tx.insert_secret(secret).await?;
        }
        if let Some(hash) = &write.password_hash {
            tx.set_password(object.id, hash, now).await?;
        }
        let fields: Vec<_> = write
            .change
            .fields
            .iter()
            .map(|f| json!({ "pointer": f.pointer, "before": f.before, "after": f.after }))
            .collect();
        let what = match write.what {
            What::Create => "create",
            What::Delete => "delete",
            What::Update => "update",
        };
        let detail = json!({ "what": what, "kind": object.id.kind(), "name": object.name, "fields": fields });
        let entry =
            AuditEntry { id: self.mint_audit(), at: now, subject: object.id.to_string(), outcome: Outcome::Ok, detail };
        tx.record(permit, &entry).await?;
        if let Some(user) = permit.user_id().filter(|user| write.what != What::Delete || *user != object.id) {
            tx.note_rule_change(user, object.id, now, now.minus(OWN_CHANGE_TOLD)).await?;
        }
        Ok(())
    }
}

/// Whether the actor may change anything of what is wished for. Documents that change nothing are everybody's who may see.
fn may_try(actor: &Actor, wishes: &[Wish], prune: bool) -> Result<(), Denial> {
    let changes = |kind| Permit::somewhere(actor, Verb::ChangeConfiguration(kind));
    for wish in wishes {
        match wish {
            Wish::Delete { id, .. } => changes(id.kind())?,
            Wish::Put { document, guard: Guard::New | Guard::Version(_) } => changes(document.kind)?,
            Wish::Put { guard: Guard::Any, .. } => {}
        }
    }
    let may_none = Kind::ALL.into_iter().all(|kind| changes(kind).is_err());
    if may_none || prune {
        // Either the actor may do nothing, or it takes everything.
        return Kind::ALL
            .into_iter()
            .try_for_each(|kind| Permit::ask(actor, Verb::ChangeConfiguration(kind)).map(drop));
    }
    Ok(())
}

/// What allows each write: the object as it was and as it would be is where the actor may change things, and nobody comes to more
/// by it than the actor has.
fn permits(
    actor: &Actor,
    before: &Configuration,
    after: &Configuration,
    writes: &[Write],
) -> Result<Vec<Permit>, Denial> {
    let changed: Vec<_> = writes.iter().map(|write| write.object.id).collect();
    let mut permits = Vec::with_capacity(writes.len());
    for id in &changed {
        let verb = Verb::ChangeConfiguration(id.kind());
        let asked = [before, after].into_iter().filter_map(|configuration| {
            configuration.get(*id).map(|object| Permit::for_object(actor, verb, object, configuration))
        });
        permits.extend(asked.collect::<Result<Vec<_>, _>>()?.pop());
    }
    must_not_rise(actor, before, after, &changed)?;
    Ok(permits)
}

/// A wanted object, read and checked by itself.
struct Put {
    object: Object,
    secrets: Vec<SecretInput>,
    /// Where its document stands in the input.
    pointer: String,
}

/// The configuration as it would be, while it is being judged.
struct Draft<'a> {
    before: &'a Configuration,
    after: Configuration,
    puts: Vec<Put>,
    deletes: Vec<Object>,
    errors: Vec<FieldError>,
    /// Whose the keys are that people registered themselves and have shown, by type and base64.
    own_keys: HashMap<String, ObjectId>,
}

impl Draft<'_> {
    fn take(&mut self, app: &App, wishes: Vec<Wish>, prune: bool) -> Result<(), AppError> {
        let mut named = HashSet::new();
        let mut names = HashSet::new();
        for (index, wish) in wishes.into_iter().enumerate() {
            match wish {
                Wish::Delete { id, version } => self.delete(id, version)?,
                Wish::Put { document, guard } => {
                    if names.insert((document.kind, fold(&document.name))) {
                        named.extend(self.put(app, document, guard, format!("/{index}"))?);
                    } else {
                        self.errors.push(FieldError::new(
                            format!("/{index}/name"),
                            "this name stands twice in the input: keep one of the two",
                        ));
                    }
                }
            }
        }
        if prune && self.errors.is_empty() {
            let unnamed: Vec<_> =
                self.before.all().filter(|object| !named.contains(&object.id)).map(|object| object.id).collect();
            let keep = self.administrator_to_keep(&unnamed);
            for id in unnamed.into_iter().filter(|id| Some(*id) != keep) {
                self.delete(id, None)?;
            }
        }
        Ok(())
    }

    /// Pruning never takes the last administrator.
    fn administrator_to_keep(&self, going: &[ObjectId]) -> Option<ObjectId> {
        let administrators = self.after.lasting_administrators();
        administrators.iter().all(|id| going.contains(id)).then(|| administrators.first().copied()).flatten()
    }

    fn delete(&mut self, id: ObjectId, version: Option<i64>) -> Result<(), AppError> {
        let object = self.before.get(id).cloned().ok_or(AppError::NotFound)?;
        if version.is_some_and(|version| version != object.version) {
            return Err(AppError::Conflict);
        }
        self.after.remove(id);
        self.deletes.push(object);
        Ok(())
    }

    fn put(
        &mut self,
        app: &App,
        document: Document,
        guard: Guard,
        pointer: String,
    ) -> Result<Option<ObjectId>, AppError> {
        let name = match Name::new(document.name) {
            Ok(name) => name,
            Err(error) => {
                self.errors.push(FieldError::new(format!("{pointer}/name"), error.to_string()));
                return Ok(None);
            }
        };
        if document.kind == Kind::Role && Role::is_reserved(&name.folded()) {
            let message = "this role is built in, and stays as it is: choose another name";
            self.errors.push(FieldError::new(format!("{pointer}/name"), message));
            return Ok(None);
        }
        if document.kind == Kind::IdentityProvider && !is_path_segment(name.as_str()) {
            let message = "an identity provider's name stands in addresses: write 1 to 64 of `a-z0-9-`";
            self.errors.push(FieldError::new(format!("{pointer}/name"), message));
            return Ok(None);
        }
        let (spec, secrets) = match Spec::parse(document.kind, document.spec) {
            Ok(parsed) => parsed,
            Err(errors) => {
                self.errors
                    .extend(errors.into_iter().map(|e| FieldError::new(format!("{pointer}{}", e.pointer), e.message)));
                return Ok(None);
            }
        };
        let old = self.before.find(document.kind, name.as_str());
        match (guard, old) {
            (Guard::New, Some(_)) => {
                return Err(AppError::refused("name-taken", format!("there is a {} `{name}` already", document.kind)));
            }
            (Guard::Version(version), Some(old)) if version != old.version => return Err(AppError::Conflict),
            (Guard::Version(_), None) => return Err(AppError::NotFound),
            _ => {}
        }
        let now = app.0.clock.now();
        let object = Object {
            id: old.map_or_else(|| ObjectId::mint(document.kind, now, &*app.0.entropy), |old| old.id),
            // A name that differs only in its folding is the same name: it stays as it was first written.
            name: old.map_or(name, |old| old.name.clone()),
            spec,
            version: old.map_or(1, |old| old.version),
            created_at: old.map_or(now, |old| old.created_at),
            updated_at: now,
        };
        let id = object.id;
        self.after.put(object.clone());
        self.puts.push(Put { object, secrets, pointer });
        Ok(Some(id))
    }

    /// What names alone cannot tell: that no group is in itself, and that what stood for a user does not come to stand for a group.
    fn check_groups(&mut self) {
        for put in &self.puts {
            if put.object.id.kind() == Kind::Group
                && let Some(fault) = self.after.group_fault(&put.object)
            {
                self.errors.push(FieldError::new(format!("{}/spec/members", put.pointer), fault));
            }
            if self.before.get(put.object.id).is_some() {
                continue;
            }
            let name = put.object.name.as_str();
            let is_taken = |reference: &Reference| {
                let others = reference.kinds.iter().filter(|kind| **kind != put.object.id.kind());
                reference.kinds.contains(&put.object.id.kind())
                    && fold(&reference.name) == fold(name)
                    && others.into_iter().any(|kind| self.before.find(*kind, name).is_some())
            };
            if let Some(holder) = self.before.all().find(|object| object.spec.references().iter().any(is_taken)) {
                let (kind, holder) = (holder.id.kind(), &holder.name);
                let message = format!(
                    "the {kind} `{holder}` means something else by this name, which would become ambiguous: choose another"
                );
                self.errors.push(FieldError::new(format!("{}/name", put.pointer), message));
            }
        }
    }

    /// That no new name looks like another.
    fn check_looks(&mut self) {
        let is_new = |put: &Put| self.before.get(put.object.id).is_none();
        if !self.puts.iter().any(is_new) || self.after.all().all(|object| object.name.as_str().is_ascii()) {
            return;
        }
        let looks = Looks::of(&self.after);
        for put in self.puts.iter().filter(|put| is_new(put)) {
            if let Some(twin) = looks.twin(&put.object) {
                let (kind, name) = (twin.id.kind(), &twin.name);
                let message = format!("it looks like the {kind} `{name}`, and is not the same: choose another name");
                self.errors.push(FieldError::new(format!("{}/name", put.pointer), message));
            }
        }
    }

    /// What only the whole can tell: references, keys that two people claim, and that somebody still administers.
    fn check(&mut self) -> Result<(), AppError> {
        for put in &self.puts {
            for reference in put.object.spec.references() {
                let found = reference.kinds.iter().filter(|kind| self.after.find(**kind, &reference.name).is_some());
                let kinds = reference.kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(" or ");
                let message = match found.count() {
                    0 if reference.kinds == [Kind::Role] => Some(format!(
                        "there is no Role `{}`: write administrator, auditor, user, or the name of one",
                        reference.name
                    )),
                    0 => Some(format!("there is no {kinds} `{}`", reference.name)),
                    1 => None,
                    _ => Some(format!("`{}` is the name of a {kinds}: write the id instead", reference.name)),
                };
                if let Some(message) = message {
                    self.errors.push(FieldError::new(format!("{}{}", put.pointer, reference.pointer), message));
                }
            }
        }
        self.check_keys();
        self.check_groups();
        self.check_identities();
        self.check_looks();
        if !self.errors.is_empty() {
            return Err(AppError::Invalid(std::mem::take(&mut self.errors)));
        }
        for gone in &self.deletes {
            let users: Vec<_> = self
                .after
                .all()
                .filter(|other| {
                    other
                        .spec
                        .references()
                        .iter()
                        .any(|r| r.kinds.contains(&gone.id.kind()) && self.is_called(&r.name, gone))
                })
                .map(|other| format!("{} `{}`", other.id.kind(), other.name))
                .collect();
            if !users.is_empty() {
                let sentence = format!(
                    "{} `{}` is referred to by {}: change those first",
                    gone.id.kind(),
                    gone.name,
                    users.join(", ")
                );
                return Err(AppError::refused("in-use", sentence));
            }
        }
        if !self.before.lasting_administrators().is_empty() && self.after.lasting_administrators().is_empty() {
            return Err(AppError::refused(
                "last-administrator",
                "this would leave nobody with the role administrator who is kept here and neither disabled nor expires: keep at least one",
            ));
        }
        Ok(())
    }

    fn is_called(&self, name: &str, object: &Object) -> bool {
        self.before.find(object.id.kind(), name).is_some_and(|found| found.id == object.id)
    }

    /// That one person outside is one user here, and one provider is offered first.
    fn check_identities(&mut self) {
        let mut owners: HashMap<_, Vec<ObjectId>> = HashMap::new();
        let providers: Vec<_> = self.after.of(Kind::IdentityProvider).collect();
        for (user, identity) in providers.iter().flat_map(|provider| self.after.users_of_provider(provider.id)) {
            owners.entry(person(identity)).or_default().push(user.id);
        }
        let directories: HashSet<_> = directories(&self.after).map(|provider| provider.id).collect();
        let is_default = |object: &Object| object.as_identity_provider().is_some_and(|spec| spec.default);
        for put in &self.puts {
            let identity = put.object.as_user().and_then(|spec| spec.identity.as_ref());
            let claimed = identity.and_then(|identity| owners.get(&person(identity)));
            if claimed.is_some_and(|claimed| claimed.iter().any(|owner| *owner != put.object.id)) {
                let message = "another user is linked to this identity: a person there is one user here";
                self.errors.push(FieldError::new(format!("{}/spec/identity", put.pointer), message));
            }
            if directories.len() > DIRECTORIES_MAX && directories.contains(&put.object.id) {
                let message = format!("there are at most {DIRECTORIES_MAX} directories");
                self.errors.push(FieldError::new(format!("{}/spec/protocol", put.pointer), message));
            }
            let is_other = |provider: &&&Object| provider.id != put.object.id && is_default(provider);
            if is_default(&put.object) && providers.iter().any(|provider| is_other(&provider)) {
                let message = "another identity provider is the default: only one is offered first";
                self.errors.push(FieldError::new(format!("{}/spec/default", put.pointer), message));
            }
        }
    }

    fn check_keys(&mut self) {
        let own = std::mem::take(&mut self.own_keys).into_iter();
        let mut owners: HashMap<_, _> = own.map(|(body, user)| (body, vec![user])).collect();
        owners.retain(|_, users| users.iter().any(|user| self.after.get(*user).is_some()));
        for user in self.after.of(Kind::User) {
            for key in user.as_user().into_iter().flat_map(|spec| &spec.ssh_keys) {
                owners.entry(key_body(key).to_owned()).or_default().push(user.id);
            }
        }
        for put in &self.puts {
            for (index, key) in put.object.as_user().into_iter().flat_map(|spec| &spec.ssh_keys).enumerate() {
                let claimed = owners.get(key_body(key)).into_iter().flatten();
                if claimed.copied().any(|owner| owner != put.object.id) {
                    let message = "another user has registered this key: a key names one person";
                    self.errors.push(FieldError::new(format!("{}/spec/ssh_keys/{index}", put.pointer), message));
                }
            }
        }
    }
}

/// Who an identity is: the provider, and what it knows them by.
fn person(identity: &UserIdentity) -> (String, Option<String>, Option<String>) {
    (fold(&identity.provider), identity.subject.clone(), identity.name.as_deref().map(fold))
}

/// What stands in an address as it is.
fn is_path_segment(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Type and base64 of a public key line, without its comment.
pub(crate) fn key_body(line: &str) -> &str {
    line.match_indices(' ').nth(1).map_or(line, |(end, _)| &line[..end])
}

fn differences(old: Option<&Object>, new: &Object) -> Vec<FieldChange> {
    let fields = |object: &Object| match object.spec.to_json() {
        Value::Object(map) => map.into_iter().collect::<BTreeMap<_, _>>(),
        _ => BTreeMap::new(),
    };
    let (before, after) = (old.map(fields).unwrap_or_default(), fields(new));
    let keys: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    keys.into_iter()
        .filter(|key| before.get(*key) != after.get(*key))
        .map(|key| FieldChange {
            pointer: format!("/spec/{key}"),
            before: before.get(key).cloned(),
            after: after.get(key).cloned(),
        })
        .collect()
}
