//! The OpenAPI document: paths from the routes themselves, shapes from the types that are read and written.

use std::collections::BTreeSet;

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use cardea_domain::{Kind, SecretField};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};

use crate::{
    Api, apply, approval, certificate, directory, event, explain, factor, grant, invitation, launch, lock, log, my,
    notice, object, openid, passkey, password, permission, problem, problems, review, session, sign_in, sign_ins,
    ssh_key, token,
};

/// Makes types known under their own names: to utoipa by name only, to the document by their JSON Schema.
macro_rules! describe { ($function:ident: $($kind:ty),* $(,)?) => {
    fn $function(generator: &mut SchemaGenerator) {
        $(generator.subschema_for::<$kind>();)*
    }

    $(
        impl utoipa::PartialSchema for $kind {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::schema::Object::new().into()
            }
        }

        impl utoipa::ToSchema for $kind {}
    )*
} }

describe! { bodies_out:
    apply::Changes,
    approval::ApprovalChange,
    approval::DecidedSessions,
    certificate::AuthorityView,
    certificate::CertificateView,
    directory::AwayView,
    directory::DirectoryList,
    directory::DirectoryView,
    directory::SyncedView,
    event::AlertView,
    explain::ExplanationView,
    factor::EnrolmentView,
    factor::FactorsView,
    factor::RecoveryCodesView,
    grant::GrantPage,
    grant::GrantView,
    grant::OutGrantView,
    invitation::InvitationView,
    launch::LaunchView,
    lock::LockList,
    lock::LockView,
    log::Log,
    my::MyActivities,
    notice::NoticeList,
    notice::NoticeView,
    openid::DepartureView,
    openid::WayInView,
    openid::WaysIn,
    passkey::PasskeyAskedView,
    passkey::PasskeyView,
    password::PasswordView,
    permission::PermissionList,
    problem::Problem,
    review::ReviewPage,
    review::ReviewView,
    session::ConnectionList,
    session::CreatedSessions,
    session::EndedSessions,
    session::SessionPage,
    session::SessionSummary,
    session::SessionView,
    sign_in::Me,
    sign_ins::EndedSignIns,
    sign_ins::SignInList,
    ssh_key::SshKeyList,
    ssh_key::SshKeyView,
    token::NewTokenView,
    token::TokenList,
}

describe! { bodies_in:
    apply::Documents,
    approval::Approving,
    approval::Deciding,
    approval::Denying,
    directory::Look,
    factor::AppCode,
    factor::PasswordChange,
    factor::ProofShown,
    invitation::Accepting,
    certificate::CertificateWish,
    lock::Extending,
    object::Sweeping,
    openid::Errand,
    openid::LogoutToken,
    lock::Locking,
    lock::LockingWhole,
    passkey::PasskeyMade,
    passkey::PasskeyShown,
    passkey::PasskeySignIn,
    passkey::PasskeyWish,
    review::Reviewing,
    session::Because,
    session::NewSessions,
    session::SessionsToEnd,
    sign_in::Credentials,
    sign_in::SecondStep,
    sign_in::SetUp,
    sign_ins::SignInsToEnd,
    ssh_key::NewSshKey,
    token::IssuedTokenWish,
    token::TokenWish,
}

fn specs(generator: &mut SchemaGenerator) {
    use cardea_domain::{
        AccessPolicySpec, ActivitySpec, ConnectionProfileSpec, GroupSpec, IdentityProviderSpec, ObjectId,
        ResourceGroupSpec, ResourceSpec, RoleSpec, ServiceAccountSpec, Timestamp, UserSpec,
    };
    generator.subschema_for::<(AccessPolicySpec, ActivitySpec, ConnectionProfileSpec, GroupSpec)>();
    generator.subschema_for::<IdentityProviderSpec>();
    generator.subschema_for::<(ResourceGroupSpec, ResourceSpec, RoleSpec, ServiceAccountSpec, UserSpec)>();
    generator.subschema_for::<(IdentityProviderSpec, ObjectId, Timestamp)>();
}

/// What the document says before any route is known.
pub(crate) fn head() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Cardea")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Just-in-time privileged access. Every answer that is not the wished one is a `Problem`."));
    OpenApiBuilder::new().info(info).build()
}

/// Show the API's description.
///
/// **Who:** everybody, also without signing in. **Audit:** none.
#[utoipa::path(get, path = "/api/openapi.json", tag = "health",
    extensions(("x-permission" = json!("public"))), security(()),
    responses((status = 200, content_type = "application/json", body = serde_json::Value, description = "This document.")))]
pub(crate) async fn show_document(State(api): State<Api>) -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], api.document.to_string()).into_response()
}

/// The whole document, in an order that depends on nothing but itself.
pub(crate) fn document(openapi: &OpenApi) -> Value {
    let mut document = serde_json::to_value(openapi).expect("the document holds only texts, lists and maps");
    document["components"] = json!({
        "schemas": schemas(),
        "securitySchemes": {
            "cookie": {
                "type": "apiKey", "in": "cookie", "name": crate::actor::COOKIE,
                "description": "A sign-in in the browser. Requests that change something carry `Origin` too.",
            },
            "token": { "type": "http", "scheme": "bearer", "description": "An API token." },
        },
    });
    document["security"] = json!([{ "cookie": [] }, { "token": [] }]);
    for operation in operations(&mut document) {
        operation["responses"]["default"] = json!({
            "description": "Anything else: what went wrong and what to do.",
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
        });
    }
    sorted(document)
}

fn operations(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    paths.filter_map(Value::as_object_mut).flat_map(Map::values_mut).filter(|value| value["responses"].is_object())
}

fn schemas() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut out = settings.clone().for_serialize().into_generator();
    bodies_out(&mut out);
    specs(&mut out);
    let mut out = out.take_definitions(true);
    out.extend(object::schemas_out());
    let mut within = settings.for_deserialize().into_generator();
    bodies_in(&mut within);
    specs(&mut within);
    let mut within = within.take_definitions(true);
    within.extend(object::schemas_in());
    add_secrets(&mut within);
    name_problems(&mut out);
    merged(out, &within)
}

/// Secrets are written beside the spec's own fields and never read back.
fn add_secrets(schemas: &mut Map<String, Value>) {
    for kind in Kind::ALL {
        let properties = &mut schemas[&format!("{kind}Spec")]["properties"];
        for field in SecretField::of(kind) {
            properties[field.as_str()] = json!({ "type": "string", "format": "password", "writeOnly": true });
        }
    }
}

/// Clients branch on the type, so the document lists every one.
fn name_problems(schemas: &mut Map<String, Value>) {
    let kinds: Vec<_> = problems::TABLE.iter().map(|known| format!("/problems/{}", known.slug)).collect();
    schemas["Problem"]["properties"]["type"]["enum"] = json!(kinds);
}

/// One set of names for what is read and what is written. A type that differs (a field with a default may be left out
/// when writing, and is always there when reading) is called `…Input` where it is written, with all that hold it.
fn merged(mut out: Map<String, Value>, within: &Map<String, Value>) -> Map<String, Value> {
    let mut renamed = BTreeSet::new();
    loop {
        let differs =
            |name: &String, schema: &Value| out.get(name).is_some_and(|other| *other != with_names(schema, &renamed));
        let more: Vec<_> = within
            .iter()
            .filter(|(name, schema)| !renamed.contains(*name) && differs(name, schema))
            .map(|(name, _)| name.clone())
            .collect();
        if more.is_empty() {
            break;
        }
        renamed.extend(more);
    }
    for (name, schema) in within {
        let new = if renamed.contains(name) { format!("{name}Input") } else { name.clone() };
        out.insert(new, with_names(schema, &renamed));
    }
    out
}

/// The schema with its references following the renaming.
fn with_names(schema: &Value, renamed: &BTreeSet<String>) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(|item| with_names(item, renamed)).collect(),
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), with_names(value, renamed))).collect::<Map<_, _>>().into()
        }
        Value::String(text) => match text.strip_prefix("#/components/schemas/") {
            Some(name) if renamed.contains(name) => Value::String(format!("{text}Input")),
            _ => schema.clone(),
        },
        other => other.clone(),
    }
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            entries.sort_by(|(left, _), (right, _)| left.cmp(right));
            Value::Object(entries.into_iter().collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
