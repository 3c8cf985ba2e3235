use std::{fmt::Write as _, path::Path};

use cardea_domain::{Holder, Permission};

const HEAD: &str = "\
# Permissions

What roles are made of: `GET /api/v1/permissions` lists the same, and each operation in [openapi.json](openapi.json) names in
`x-permission` what it takes: one of these; `public` for everybody, `signed_in` for everybody whom Cardea knows, `own` for the user whom it is
about, `approver` for those whom the profile names, `operator`; or `sign_in` for what takes a sign-in in the browser and no token. How to make a role: [configuration](configuration.md#role).

- *administrator*, *auditor*, *user*: the built-in roles of users. *approver*: whom a connection profile names, about its sessions.
- *operator*: whoever runs commands beside the data directory. *token*: a token that the operator issued keeps only these of its user's
  permissions.
- *narrowed to*: what the scope of a custom role narrows it to; a role with a scope cannot have those without one.

| permission | | administrator | auditor | user | approver | operator | token | narrowed to |
|---|---|---|---|---|---|---|---|---|
";

/// The page as the table has it. Written, not described: whoever changes the table runs
/// `UPDATE=1 cargo nextest run -p cardea-http permission`.
fn page() -> String {
    let mut page = HEAD.to_owned();
    let columns = [
        Holder::Administrator,
        Holder::Auditor,
        Holder::User,
        Holder::Approver,
        Holder::Operator,
        Holder::OperatorsToken,
    ];
    for permission in Permission::ALL {
        let held = columns.map(|holder| if permission.is_of(holder) { "yes" } else { "" }).join(" | ");
        let concern = match permission.concern().as_str() {
            "everything" => "",
            "objects" => "resources, policies, users",
            concern => concern,
        };
        writeln!(page, "| `{permission}` | {} | {held} | {concern} |", permission.words()).expect("texts grow");
    }
    page
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a switch of this test, not of the product")]
fn the_committed_page_is_the_table() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/permissions.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, page()).expect("docs/permissions.md can be written");
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == page(),
        "docs/permissions.md is stale: run `UPDATE=1 cargo nextest run -p cardea-http permission`"
    );
}
