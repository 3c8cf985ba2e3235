//! Configuration objects: the same five operations for each kind.
//!
//! Route and description of an operation are made in one place, for every kind alike, so that a new kind gets both.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing,
};
use cardea_domain::{Kind, Object, ObjectId, Permission, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::openapi::{
    Content, HttpMethod, Ref, Required, ResponseBuilder,
    extensions::ExtensionsBuilder,
    path::{Operation, OperationBuilder, ParameterBuilder, ParameterIn, Paths},
    request_body::RequestBodyBuilder,
};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::{
    Api,
    actor::Caller,
    input::{self, Id, Input, OptionalInput},
    problem::Problem,
};

/// An object. Its schema is made for each kind by [`schemas_out`].
#[derive(Serialize)]
struct ObjectView {
    id: ObjectId,
    kind: Kind,
    name: String,
    spec: Value,
    version: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Serialize)]
struct ObjectPage {
    items: Vec<ObjectView>,
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewObject {
    name: String,
    spec: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangedObject {
    spec: Value,
    /// Objects keep their names: if given, it must be the present one.
    name: Option<String>,
    /// The version that was read; `If-Match` says the same.
    version: Option<i64>,
}

impl ObjectView {
    fn of(object: &Object) -> Self {
        Self {
            id: object.id,
            kind: object.id.kind(),
            name: object.name.to_string(),
            spec: object.spec.to_json(),
            version: object.version,
            created_at: object.created_at,
            updated_at: object.updated_at,
        }
    }

    fn respond(object: &Object, status: StatusCode) -> Response {
        let tag = format!("\"{}\"", object.version);
        (status, [(header::ETAG, tag)], Json(Self::of(object))).into_response()
    }
}

// === Handlers ===

async fn list(kind: Kind, api: Api, caller: Caller) -> Result<Json<ObjectPage>, Problem> {
    let objects = api.app.objects(&caller.actor, kind)?;
    Ok(Json(ObjectPage { items: objects.iter().map(ObjectView::of).collect(), next: None }))
}

async fn create(kind: Kind, api: Api, caller: Caller, new: NewObject) -> Result<Response, Problem> {
    let object = api.app.create_object(&caller.actor, kind, &new.name, new.spec).await?;
    Ok(ObjectView::respond(&object, StatusCode::CREATED))
}

async fn show(kind: Kind, api: Api, caller: Caller, name: &str) -> Result<Response, Problem> {
    Ok(ObjectView::respond(&api.app.object(&caller.actor, kind, name)?, StatusCode::OK))
}

async fn replace(
    kind: Kind,
    api: Api,
    caller: Caller,
    target: (&str, Option<i64>),
    changed: ChangedObject,
) -> Result<Response, Problem> {
    let (name, matched) = target;
    let Some(version) = matched.or(changed.version) else {
        return Err(Problem::field("/version", "send the version that was read, here or in the header `If-Match`"));
    };
    let present = api.app.object(&caller.actor, kind, name)?;
    if changed.name.is_some_and(|name| name != present.name.as_str()) {
        return Err(Problem::field("/name", "an object keeps its name: make a new one, and delete this one"));
    }
    let object = api.app.replace_object(&caller.actor, kind, name, version, changed.spec).await?;
    Ok(ObjectView::respond(&object, StatusCode::OK))
}

async fn delete(kind: Kind, api: Api, caller: Caller, name: &str, version: Option<i64>) -> Result<StatusCode, Problem> {
    api.app.delete_object(&caller.actor, kind, name, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Learn a resource's host key.
///
/// Asks the host for its key and pins it, trusting whoever answers: compare it with the host's own. Only where none is
/// pinned.
///
/// **Who:** administrators, the operator. **Audit:** `configuration.change`.
#[utoipa::path(post, path = "/api/v1/resources/{name}/host-key", tag = "configuration",
    extensions(("x-permission" = json!("configuration.change.resource"))),
    params(("name" = String, Path, description = "Name or id.")),
    responses((status = 200, body = ref("#/components/schemas/Resource"), description = "The resource as it is now.")))]
pub(crate) async fn learn_host_key(
    State(api): State<Api>,
    caller: Caller,
    Id(name): Id<String>,
) -> Result<Response, Problem> {
    Ok(ObjectView::respond(&api.app.learn_host_key(&caller.actor, &name).await?, StatusCode::OK))
}

/// What a search does with what it finds.
#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Sweeping {
    /// Whether to take away what the ledger does not know at all. Only if no other Cardea with this master key works on the host.
    remove: bool,
}

/// Search a resource for what should not be there.
///
/// The host is searched now for what carries Cardea's mark and is not in the ledger, as it is at each start and once an hour. What the
/// ledger says is gone is taken away. What it does not know at all is told, and with `remove` it is taken away too if its token is this
/// installation's. Each finding is an event `alert` and in the audit log.
///
/// **Who:** administrators, the operator. **Audit:** `host.sweep`.
#[utoipa::path(post, path = "/api/v1/resources/{name}/sweep", tag = "configuration",
    extensions(("x-permission" = json!("resources.sweep"))),
    params(("name" = String, Path, description = "Name or id.")),
    request_body = Option<Sweeping>,
    responses((status = 202, body = ref("#/components/schemas/Resource"), description = "It is being searched.")))]
pub(crate) async fn sweep_resource(
    State(api): State<Api>,
    caller: Caller,
    Id(name): Id<String>,
    OptionalInput(Sweeping { remove }): OptionalInput<Sweeping>,
) -> Result<Response, Problem> {
    Ok(ObjectView::respond(&api.app.sweep_resource(&caller.actor, &name, remove).await?, StatusCode::ACCEPTED))
}

// === Routes ===

/// The routes of every kind.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    Kind::ALL
        .into_iter()
        .fold(OpenApiRouter::default(), |router, kind| router.routes(collection(kind)).routes(item(kind)))
}

fn collection(kind: Kind) -> UtoipaMethodRouter<Api> {
    let router = routing::get(move |State(api): State<Api>, caller: Caller| list(kind, api, caller)).post(
        move |State(api): State<Api>, caller: Caller, Input(new): Input<NewObject>| create(kind, api, caller, new),
    );
    let path = format!("/api/v1/{}", kind.plural());
    let mut paths = Paths::new();
    paths.add_path_operation(&path, vec![HttpMethod::Get], list_operation(kind));
    paths.add_path_operation(&path, vec![HttpMethod::Post], create_operation(kind));
    (Vec::new(), paths, router)
}

fn item(kind: Kind) -> UtoipaMethodRouter<Api> {
    let router = routing::get(move |State(api): State<Api>, caller: Caller, Id(name): Id<String>| async move {
        show(kind, api, caller, &name).await
    })
    .put(
        move |State(api): State<Api>,
              caller: Caller,
              Id(name): Id<String>,
              headers: HeaderMap,
              Input(changed): Input<ChangedObject>| async move {
            replace(kind, api, caller, (&name, input::version(&headers)?), changed).await
        },
    )
    .delete(move |State(api): State<Api>, caller: Caller, Id(name): Id<String>, headers: HeaderMap| async move {
        delete(kind, api, caller, &name, input::version(&headers)?).await
    });
    let path = format!("/api/v1/{}/{{name}}", kind.plural());
    let mut paths = Paths::new();
    paths.add_path_operation(&path, vec![HttpMethod::Get], show_operation(kind));
    paths.add_path_operation(&path, vec![HttpMethod::Put], replace_operation(kind));
    paths.add_path_operation(&path, vec![HttpMethod::Delete], delete_operation(kind));
    (Vec::new(), paths, router)
}

// === Descriptions ===

const SEEN_BY: &str = "**Who:** administrators, auditors, the operator; within their scope who has the permission by a role. **Audit:** none.";
const CHANGED_BY: &str = "**Who:** administrators, the operator; within their scope who has the permission by a role. **Audit:** `configuration.change`.";

fn list_operation(kind: Kind) -> Operation {
    let summary = format!("List {}.", plural(kind));
    described(format!("list_{}", plural(kind).replace(' ', "_")), summary, SEEN_BY, Permission::ConfigurationSee)
        .response("200", answer("All of them, oldest first.", &format!("{kind}Page")))
        .build()
}

fn create_operation(kind: Kind) -> Operation {
    described(operation_id("create", kind), format!("Make {}.", one(kind)), CHANGED_BY, Permission::to_change(kind))
        .request_body(Some(body(&format!("New{kind}"))))
        .response("201", answer("The new object.", kind.as_str()))
        .build()
}

fn show_operation(kind: Kind) -> Operation {
    described(operation_id("show", kind), format!("Show {}.", one(kind)), SEEN_BY, Permission::ConfigurationSee)
        .parameter(name_parameter())
        .response("200", answer("The object. `ETag` holds its version.", kind.as_str()))
        .build()
}

fn replace_operation(kind: Kind) -> Operation {
    let text = format!("The spec is complete: what is left out takes its default.\n\n{CHANGED_BY}");
    described(
        operation_id("replace", kind),
        format!("Replace the spec of {}.", one(kind)),
        &text,
        Permission::to_change(kind),
    )
    .parameter(name_parameter())
    .parameter(version_parameter())
    .request_body(Some(body(&format!("Changed{kind}"))))
    .response("200", answer("The object as it is now.", kind.as_str()))
    .build()
}

fn delete_operation(kind: Kind) -> Operation {
    let text = format!("Refused while other objects refer to it.\n\n{CHANGED_BY}");
    described(operation_id("delete", kind), format!("Delete {}.", one(kind)), &text, Permission::to_change(kind))
        .parameter(name_parameter())
        .parameter(version_parameter())
        .response("204", ResponseBuilder::new().description("It is gone."))
        .build()
}

fn described(id: String, summary: String, text: &str, permission: Permission) -> OperationBuilder {
    let takes = ExtensionsBuilder::new().add("x-permission", permission.as_str()).build();
    let operation = OperationBuilder::new().tag("configuration").operation_id(Some(id)).extensions(Some(takes));
    operation.summary(Some(summary)).description(Some(text))
}

fn answer(text: &str, schema: &str) -> ResponseBuilder {
    let content = Content::new(Some(Ref::from_schema_name(schema)));
    ResponseBuilder::new().description(text).content("application/json", content)
}

fn body(schema: &str) -> utoipa::openapi::request_body::RequestBody {
    let content = Content::new(Some(Ref::from_schema_name(schema)));
    RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True)).build()
}

fn name_parameter() -> ParameterBuilder {
    text_parameter("name", ParameterIn::Path, "Name or id.").required(Required::True)
}

fn version_parameter() -> ParameterBuilder {
    text_parameter("If-Match", ParameterIn::Header, "The version that was read, as \"3\".").required(Required::False)
}

fn text_parameter(name: &str, place: ParameterIn, text: &str) -> ParameterBuilder {
    let schema = utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::Type::String);
    ParameterBuilder::new().name(name).parameter_in(place).description(Some(text)).schema(Some(schema))
}

/// `AccessPolicy` as people write it: `access policy`.
fn singular(kind: Kind) -> String {
    let mut words = String::new();
    for letter in kind.as_str().chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

fn plural(kind: Kind) -> String {
    kind.plural().replace('-', " ")
}

fn one(kind: Kind) -> String {
    let singular = singular(kind);
    let article = if singular.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {singular}")
}

fn operation_id(verb: &str, kind: Kind) -> String {
    format!("{verb}_{}", singular(kind).replace(' ', "_"))
}

// === Schemas ===

/// What callers read: the object and a page of objects, for each kind.
pub(crate) fn schemas_out() -> Vec<(String, Value)> {
    let of = |kind: Kind| {
        let object = json!({
            "type": "object",
            "description": format!("{} {}.", if one(kind).starts_with("an") { "An" } else { "A" }, singular(kind)),
            "properties": {
                "id": reference("ObjectId"),
                "kind": { "type": "string", "const": kind.as_str() },
                "name": { "type": "string" },
                "spec": reference(&format!("{kind}Spec")),
                "version": { "type": "integer", "format": "int64", "description": "Rises with every change." },
                "created_at": reference("Timestamp"),
                "updated_at": reference("Timestamp"),
            },
            "required": ["id", "kind", "name", "spec", "version", "created_at", "updated_at"],
        });
        let page = json!({
            "type": "object",
            "description": format!("All {}.", plural(kind)),
            "properties": {
                "items": { "type": "array", "items": reference(kind.as_str()) },
                "next": { "type": ["string", "null"] },
            },
            "required": ["items", "next"],
        });
        [(kind.to_string(), object), (format!("{kind}Page"), page)]
    };
    Kind::ALL.into_iter().flat_map(of).collect()
}

/// What callers write: a new object and a changed one, for each kind.
pub(crate) fn schemas_in() -> Vec<(String, Value)> {
    let of = |kind: Kind| {
        let spec = reference(&format!("{kind}Spec"));
        let new = json!({
            "type": "object",
            "description": format!("{} to be.", singular(kind)),
            "properties": { "name": { "type": "string" }, "spec": spec },
            "required": ["name", "spec"],
            "additionalProperties": false,
        });
        let changed = json!({
            "type": "object",
            "description": format!("{} as it is to be.", singular(kind)),
            "properties": {
                "name": { "type": "string", "description": "The present name: objects keep their names." },
                "spec": spec,
                "version": { "type": "integer", "format": "int64", "description": "The version that was read." },
            },
            "required": ["spec"],
            "additionalProperties": false,
        });
        [(format!("New{kind}"), new), (format!("Changed{kind}"), changed)]
    };
    Kind::ALL.into_iter().flat_map(of).collect()
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}
