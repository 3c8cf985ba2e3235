use std::{collections::BTreeSet, path::Path};

use super::*;

/// Every `(path, method, operation)`.
fn each(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().expect("a path item");
            methods.iter().map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        })
        .collect()
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Object(map) => map.values().for_each(|value| references(value, found)),
        Value::String(text) => {
            found.extend(text.strip_prefix("#/components/schemas/").map(ToOwned::to_owned));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a switch of this test, not of the product")]
fn the_committed_document_is_the_served_one() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let served = format!("{:#}\n", crate::openapi());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &served).expect("docs/openapi.json can be written");
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == served, "docs/openapi.json is stale: run `UPDATE=1 cargo nextest run -p cardea-http openapi`");
}

#[test]
fn every_reference_leads_somewhere_and_every_shape_is_referred_to() {
    let document = crate::openapi();
    let known: BTreeSet<_> = document["components"]["schemas"].as_object().expect("schemas").keys().cloned().collect();
    let mut mentioned = BTreeSet::new();
    references(&document, &mut mentioned);
    // Events carry them, and their stream's shape cannot be described in OpenAPI 3.1.
    mentioned.extend(["AlertView", "ApprovalChange", "SessionSummary"].map(ToOwned::to_owned));
    assert_eq!(mentioned.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new(), "lead nowhere");
    assert_eq!(known.difference(&mentioned).collect::<Vec<_>>(), Vec::<&String>::new(), "are not used");
}

#[test]
fn every_operation_says_who_may_and_what_is_audited() {
    let document = crate::openapi();
    let mut ids = BTreeSet::new();
    for (path, method, operation) in each(&document) {
        let id = operation["operationId"].as_str().expect(path);
        assert!(ids.insert(id), "{id} is there twice");
        let text = operation["description"].as_str().unwrap_or_default();
        assert!(text.contains("**Who:**") && text.contains("**Audit:**"), "{method} {path}: {text}");
        assert!(operation["summary"].is_string() && operation["tags"].is_array(), "{method} {path}");
    }
}

#[test]
fn every_operation_declares_what_it_takes() {
    let document = crate::openapi();
    for (path, method, operation) in each(&document) {
        let takes = operation["x-permission"].as_str();
        let takes = takes.unwrap_or_else(|| panic!("{method} {path}: say in `x-permission` who may do it"));
        for word in takes.split(" or ") {
            let is_known = ["approver", "configuration.change.*", "operator", "own", "public", "sign_in", "signed_in"]
                .contains(&word)
                || word.parse::<cardea_domain::Permission>().is_ok();
            assert!(is_known, "{method} {path}: `{word}` is neither a permission nor a word for somebody");
        }
        let is_public = operation["security"].as_array().is_some_and(|ways| ways.iter().any(|way| *way == json!({})));
        assert_eq!(takes == "public", is_public, "{method} {path}: `security(())` and `public` belong together");
    }
}

#[test]
fn secrets_are_written_and_never_read() {
    let document = crate::openapi();
    let schemas = &document["components"]["schemas"];
    for (schema, field) in [("ServiceAccountSpec", "private_key"), ("UserSpec", "password")] {
        assert!(schemas[format!("{schema}Input")]["properties"][field].is_object(), "{schema}Input.{field}");
        assert!(schemas[schema]["properties"][field].is_null(), "{schema}.{field}");
    }
}
