//! Many configuration objects at once, as YAML files describe them.

use axum::{Json, extract::State};
use cardea_app::{AppError, Applied, ApplyOptions, Change, Document, FieldChange, What};
use cardea_domain::Kind;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Api, actor::Caller, input::Input, problem::Problem};

/// What the configuration is to be.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Documents {
    documents: Vec<DocumentInput>,
    /// Only say what would change.
    #[serde(default)]
    dry_run: bool,
    /// Delete what the documents do not name. The last administrator stays.
    #[serde(default)]
    prune: bool,
}

/// One object.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DocumentInput {
    kind: Kind,
    name: String,
    /// The kind's spec, complete: what is left out takes its default. Secrets as `password`, `private_key`,
    /// `sudo_password`.
    spec: Value,
}

/// What changed, or would change.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Changes {
    changes: Vec<ChangeView>,
    /// What is allowed and yet hardly meant, a sentence each; of the whole configuration, changed or not.
    warnings: Vec<String>,
}

/// One object's change.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct ChangeView {
    kind: Kind,
    name: String,
    #[schemars(extend("enum" = ["create", "delete", "update"]))]
    what: &'static str,
    fields: Vec<FieldChangeView>,
}

/// One field's change. Secrets are named without values.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct FieldChangeView {
    /// JSON pointer, `/spec/port`.
    pointer: String,
    before: Option<Value>,
    after: Option<Value>,
}

impl From<Change> for ChangeView {
    fn from(change: Change) -> Self {
        let what = match change.what {
            What::Create => "create",
            What::Delete => "delete",
            What::Update => "update",
        };
        let fields = change.fields.into_iter().map(FieldChangeView::from).collect();
        Self { kind: change.kind, name: change.name, what, fields }
    }
}

impl From<FieldChange> for FieldChangeView {
    fn from(change: FieldChange) -> Self {
        Self { pointer: change.pointer, before: change.before, after: change.after }
    }
}

/// Bring the configuration to what the documents say.
///
/// All or nothing. Applied twice, it changes nothing the second time.
///
/// **Who:** administrators, the operator; with `dry_run`, auditors too. **Audit:** `configuration.change` for each.
#[utoipa::path(post, path = "/api/v1/apply", tag = "configuration",
    extensions(("x-permission" = json!("configuration.change.*"))), request_body = Documents,
    responses((status = 200, body = Changes, description = "What changed, or would change.")))]
pub(crate) async fn apply_documents(
    State(api): State<Api>,
    caller: Caller,
    Input(Documents { documents, dry_run, prune }): Input<Documents>,
) -> Result<Json<Changes>, Problem> {
    let documents = documents.into_iter().map(|d| Document { kind: d.kind, name: d.name, spec: d.spec }).collect();
    let applied = api.app.apply(&caller.actor, documents, ApplyOptions { dry_run, prune }).await;
    let Applied { changes, warnings } = applied.map_err(within_body)?;
    Ok(Json(Changes { changes: changes.into_iter().map(ChangeView::from).collect(), warnings }))
}

/// The application counts documents; the caller's pointers start at the body.
fn within_body(error: AppError) -> Problem {
    let AppError::Invalid(mut fields) = error else { return Problem::from(error) };
    for field in &mut fields {
        field.pointer.insert_str(0, "/documents");
    }
    Problem::invalid(fields)
}
