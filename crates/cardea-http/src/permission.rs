//! The table of permissions, for people, programs and the web.

use axum::Json;
use cardea_domain::Permission;
use serde::Serialize;

use crate::{actor::Caller, problem::Problem};

/// One permission.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct PermissionView {
    name: Permission,
    /// What it allows.
    description: &'static str,
    /// Who has it without a custom role: `administrator`, `auditor`, `user`; `approver`, by a connection profile; `operator`, beside
    /// the data directory; `operators_token`, if its user has it; `cardea` itself.
    holders: Vec<&'static str>,
    /// What the scope of a role narrows it to: `sessions`, `resources`, `policies`, `users`, `objects` (the last three), or
    /// `everything`: no scope does.
    concern: &'static str,
}

/// Every permission.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct PermissionList {
    items: Vec<PermissionView>,
}

impl PermissionView {
    fn of(permission: Permission) -> Self {
        Self {
            name: permission,
            description: permission.words(),
            holders: permission.holders().iter().map(|holder| holder.as_str()).collect(),
            concern: permission.concern().as_str(),
        }
    }
}

/// List permissions.
///
/// What roles are made of. An operation's `x-permission` says which it takes.
///
/// **Who:** everybody who is signed in. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/permissions", tag = "configuration",
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 200, body = PermissionList, description = "Every one, by name.")))]
pub(crate) async fn list_permissions(_: Caller) -> Result<Json<PermissionList>, Problem> {
    Ok(Json(PermissionList { items: Permission::ALL.iter().copied().map(PermissionView::of).collect() }))
}

#[cfg(test)]
mod tests;
