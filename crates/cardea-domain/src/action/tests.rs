use serde_json::{Value, json};

use super::*;
use crate::{Kind, Spec};

fn entry(value: Value) -> Result<StageEntry, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

fn activity(login_account: &Value, stages: &Value) -> Value {
    let mut spec = json!({ "platform": "linux", "protocol": "ssh", "login_account": login_account });
    for (stage, entries) in stages.as_object().expect("a map") {
        spec[stage] = entries.clone();
    }
    spec
}

fn pointers(spec: Value) -> Vec<String> {
    let faults = Spec::parse(Kind::Activity, spec).err().unwrap_or_default();
    faults.into_iter().map(|fault| fault.pointer).collect()
}

/// One entry of each kind, as somebody would write it.
fn examples() -> Vec<Value> {
    vec![
        json!({ "add_sudo_rule": { "commands": ["ALL"], "run_as": "root", "password": false } }),
        json!({ "add_to_group": { "group": "adm" }, "continue_on_error": true }),
        json!({ "authorize_key": {} }),
        json!({ "log_off_user": {} }),
        json!({ "run_script": { "script": "id", "limit": "PT1M" } }),
        json!({ "set_password": {} }),
    ]
}

#[test]
fn every_action_is_written_as_it_was_read_and_has_a_schema() {
    let schema = serde_json::to_value(schemars::schema_for!(StageEntry)).expect("JSON");
    let kinds = schema["oneOf"].as_array().expect("kinds");
    let names: Vec<_> = examples().iter().map(|value| entry(value.clone()).expect("read").action.name()).collect();
    assert_eq!(names, Action::NAMES);
    for (value, kind) in examples().into_iter().zip(kinds) {
        let read = entry(value.clone()).expect("read");
        assert_eq!(serde_json::to_value(&read).expect("written"), value);
        let reference = kind["properties"][read.action.name()]["$ref"].as_str().expect("a reference");
        let parameters = schema.pointer(reference.trim_start_matches('#')).expect("the parameters' schema");
        assert_eq!(parameters["type"], "object", "{}", read.action.name());
    }
}

#[test]
fn every_effect_goes_by_one_name_and_has_its_end_on_linux() {
    let keys = ["ssh-ed25519 AAAA alice@laptop".to_owned()];
    let password: SecretId = "sec_01jcpt2k9m00000000000000ab".parse().expect("an id");
    let given = Given { ssh_keys: &keys, password: Some(password), ..Given::default() };
    let script = Privilege::LINUX_EFFECTS.concat();
    for value in examples() {
        for privilege in entry(value).expect("read").action.privileges(&given).expect("known") {
            let stored = serde_json::to_value(&privilege).expect("JSON");
            assert_eq!(stored["kind"], privilege.kind());
            assert_eq!(serde_json::from_value::<Privilege>(stored).expect("read back"), privilege);
            let verbs: &[&str] =
                if privilege.is_unproven() { &["observe", "remove"] } else { &["observe", "place", "remove"] };
            for verb in verbs {
                let function = format!("\n{verb}_{}() {{", privilege.kind());
                assert!(script.contains(&function), "{function}");
            }
        }
    }
}

#[test]
fn what_is_no_entry_is_refused() {
    for (bad, says) in [
        (json!({}), "write an action"),
        (json!({ "continue_on_error": true }), "write an action"),
        (json!({ "add_group": { "group": "adm" } }), "`add_group` is not an action"),
        (json!({ "set_password": {}, "log_off_user": {} }), "one action to an entry"),
        (json!({ "set_password": { "password": "x" } }), "unknown field `password`"),
        (json!({ "set_password": {}, "continue_on_error": "yes" }), "expected a boolean"),
    ] {
        let error = entry(bad.clone()).expect_err("refused");
        assert!(error.contains(says), "{bad}: {error}");
    }
}

#[test]
fn actions_stand_only_where_they_can_be_taken_back() {
    let token = json!({ "type": "activity_token" });
    let rule = json!({ "add_sudo_rule": { "commands": ["ALL"], "password": true } });
    let all = json!({ "pre_session": [{ "set_password": {} }, rule], "session": [{ "authorize_key": {} }],
        "post_session": [{ "run_script": { "script": "id" } }, { "log_off_user": {} }] });
    assert_eq!(pointers(activity(&token, &all)), Vec::<String>::new());

    let late = json!({ "post_session": [{ "add_to_group": { "group": "adm" } }, { "set_password": {} }] });
    assert_eq!(
        pointers(activity(&token, &late)),
        ["/spec/post_session/0/add_to_group", "/spec/post_session/1/set_password"]
    );
    let no_password = json!({ "session": [rule] });
    assert_eq!(pointers(activity(&token, &no_password)), ["/spec/session/0/add_sudo_rule/password"]);
    let long = json!({ "session": [{ "run_script": { "script": "id", "limit": "61m" } }] });
    assert_eq!(pointers(activity(&token, &long)), ["/spec/session/0/run_script/limit"]);
}

#[test]
fn login_accounts_are_what_their_actions_need() {
    let set = json!({ "pre_session": [{ "set_password": {} }] });
    for kind in [json!({ "type": "requester" }), json!({ "type": "managed", "account": "ops" })] {
        assert_eq!(pointers(activity(&kind, &set)), ["/spec/pre_session/0/set_password"]);
    }
    for name in ["root", "a b", "", "-x"] {
        let kind = json!({ "type": "managed", "account": name, "adopt": true });
        assert_eq!(pointers(activity(&kind, &json!({}))), ["/spec/login_account/account"], "{name}");
    }
    assert_eq!(pointers(activity(&json!({ "type": "requester", "adopt": true }), &json!({}))), ["/spec/login_account"]);
    let none =
        json!({ "platform": "linux", "protocol": "none", "pre_session": [{ "run_script": { "script": "id" } }] });
    assert_eq!(pointers(none.clone()), Vec::<String>::new());
    let mut needs_one = none.clone();
    needs_one["session"] = json!([{ "log_off_user": {} }]);
    assert_eq!(pointers(needs_one), ["/spec/session/0/log_off_user"]);
    let mut ssh = none;
    ssh["protocol"] = json!("ssh");
    assert_eq!(pointers(ssh), ["/spec/login_account"]);
}

#[test]
fn a_key_is_the_one_named_or_those_of_the_user() {
    let keys = ["ssh-ed25519 AAAA alice@laptop".to_owned(), "ssh-rsa BBBB".to_owned()];
    let own = Action::AuthorizeKey(AuthorizeKey { public_key: None });
    let placed = |action: &Action, ssh_keys| {
        action
            .privileges(&Given { ssh_keys, ..Given::default() })
            .map(|keys| keys.iter().map(Privilege::arguments_text).collect())
    };
    let texts: Result<Vec<String>, _> = placed(&own, &keys);
    assert_eq!(texts, Ok(vec!["ssh-ed25519 AAAA".to_owned(), "ssh-rsa BBBB".to_owned()]));
    assert!(placed(&own, &[]).is_err_and(|why| why.contains("registered none")));
    let named = Action::AuthorizeKey(AuthorizeKey { public_key: Some("ssh-rsa CCCC x".to_owned()) });
    assert_eq!(placed(&named, &keys), Ok(vec!["ssh-rsa CCCC".to_owned()]));
}

impl Privilege {
    fn arguments_text(&self) -> String {
        match self.subject() {
            Some(Argument::Text(text)) => text,
            other => format!("{other:?}"),
        }
    }
}
