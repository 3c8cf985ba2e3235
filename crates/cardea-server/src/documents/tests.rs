use std::fs;

use serde_json::json;
use tempfile::TempDir;

use super::*;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn read(&self, text: &str) -> Result<Documents, Failure> {
        Documents::read(&[self.file("a.yaml", text)])
    }

    /// What is said about a broken file, from the line on.
    fn refusal(&self, text: &str) -> String {
        match self.read(text) {
            Err(Failure::Configuration(sentence)) => {
                sentence.split_once("a.yaml:").expect("the file is named").1.to_owned()
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

const GROUP: &str = "kind: Group\nname: admins\nspec: {members: [alice]}\n";

#[test]
fn several_documents_in_several_files_come_in_order() {
    let folder = Folder::new();
    let one = folder
        .file("one.yaml", &format!("\n---\n{GROUP}---\n# nothing here\n---\n{}", GROUP.replace("admins", "\"7\"")));
    let two =
        folder.file("two.yaml", "kind: User\nname: bob\nspec:\n  roles:\n  - user\n  full_name: 'Bob: the 2nd'\n");
    let (bodies, _) = Documents::read(&[one, two]).unwrap().into_bodies();
    assert_eq!(
        bodies,
        json!([
            {"kind": "Group", "name": "admins", "spec": {"members": ["alice"]}},
            {"kind": "Group", "name": "7", "spec": {"members": ["alice"]}},
            {"kind": "User", "name": "bob", "spec": {"roles": ["user"], "full_name": "Bob: the 2nd"}},
        ])
    );
}

#[test]
fn places_name_file_line_and_field() {
    let folder = Folder::new();
    let text = format!(
        "{GROUP}---\nkind: Activity\nname: x\nspec:\n  platform: linux\n  pre_session:\n    - add_to_group:\n        group: adm\n    - add_sudo_rule: {{commands: [\"ALL\",\n        bad]}}\n"
    );
    let (_, places) = folder.read(&text).unwrap().into_bodies();
    let shown = |pointer: &str| {
        let place = places.locate(pointer);
        place.split_once("a.yaml:").map(|(_, rest)| rest.to_owned()).unwrap_or(place)
    };
    assert_eq!(shown("/0/spec/members/0"), "3: spec.members.0: ");
    assert_eq!(shown("/1/kind"), "5: kind: ");
    assert_eq!(shown("/1/spec/platform"), "8: spec.platform: ");
    assert_eq!(shown("/1/spec/pre_session/0/add_to_group/group"), "11: spec.pre_session.0.add_to_group.group: ");
    assert_eq!(
        shown("/1/spec/pre_session/1/add_sudo_rule/commands/1"),
        "13: spec.pre_session.1.add_sudo_rule.commands.1: "
    );
    assert_eq!(shown("/documents/1/spec/protocol"), "7: spec.protocol: ", "what is missing is shown where it would be");
    assert_eq!(shown("/1"), "5: ");
    assert_eq!(shown("/9/spec"), "");
    assert_eq!(shown(""), "");
}

#[test]
fn what_is_not_an_object_is_refused_at_its_line() {
    let folder = Folder::new();
    let cases = [
        ("kind: Grupp\nname: a\nspec: {}\n", "1: kind: `Grupp` is not a kind"),
        ("kind: Group\nname: 7\nspec: {}\n", "2: name: write the name as text"),
        ("kind: Group\nname: a\nspec: []\n", "3: spec: write a map"),
        ("kind: Group\nname: a\nspec:\n", "3: spec: write a map"),
        ("kind: Group\nname: a\n", "1: `spec` is missing"),
        ("\n\nname: a\n", "3: `kind` is missing"),
        ("kind: Group\nname: a\nspec: {}\nspeck: {}\n", "4: speck: there is no such key"),
        ("- kind: Group\n", "1: write a map with"),
        ("just text", "1: write a map with"),
    ];
    for (text, expected) in cases {
        let refusal = folder.refusal(text);
        assert!(refusal.starts_with(expected), "{text}: {refusal}");
    }
}

#[test]
fn yaml_that_surprises_or_explodes_is_refused_at_its_line() {
    let folder = Folder::new();
    let deep = format!("kind: Group\nname: a\nspec: {}1{}", "[".repeat(200), "]".repeat(200));
    let cases = [
        ("kind: Group\nname: a\nspec:\n  x: 1\n  x: 2\n", "5: `x` stands here and in line 4"),
        ("kind: Group\nname: &n a\nspec: {}\n", "2: anchors"),
        ("kind: Group\nname: a\nspec: &s {}\n", "3: anchors"),
        ("kind: Group\nname: a\nspec: {x: !!str 1}\n", "3: tags"),
        ("kind: Group\nname: a\nspec: {x: .inf}\n", "3: infinity"),
        ("kind: Group\nname: a\nspec: {[a]: 1}\n", "3: a map or a list cannot be a key"),
        ("kind: Group\nname: a\nspec: {x: 1\n", ""),
        ("kind: Group\n\tname: a\n", ""),
        (deep.as_str(), "3: nested more than"),
    ];
    for (text, expected) in cases {
        let refusal = folder.refusal(text);
        assert!(refusal.starts_with(expected), "{text}: {refusal}");
    }
    let bomb = "a: &a [x, x]\nb: [*a, *a]\n";
    assert!(folder.refusal(bomb).starts_with("1: anchors"));
    assert!(folder.refusal("kind: Group\nname: a\nspec: {x: *a}\n").contains("not YAML"));
}

#[test]
fn secrets_come_from_files_beside_the_yaml_and_from_nowhere_else() {
    let folder = Folder::new();
    folder.file("pw", "hunter2 \r\n");
    let text = "kind: ServiceAccount\nname: a\nspec:\n  platform: linux\n  sudo_password_file: pw\n";
    let (bodies, places) = folder.read(text).unwrap().into_bodies();
    assert_eq!(bodies[0]["spec"], json!({"platform": "linux", "sudo_password": "hunter2 "}));
    assert!(places.locate("/0/spec/sudo_password").ends_with("a.yaml:5: spec.sudo_password: "));

    folder.file("empty", "\n");
    folder.file("long", &"x".repeat(70_000));
    let cases = [
        ("password: x", "4: spec.password: secrets live in files"),
        ("password_file: none", "4: spec.password_file: cannot read"),
        ("password_file: empty", "4: spec.password_file: `"),
        ("password_file: long", "4: spec.password_file: `"),
        ("password_file: [pw]", "4: spec.password_file: write the path"),
    ];
    for (line, expected) in cases {
        let refusal = folder.refusal(&format!("kind: User\nname: a\nspec:\n  {line}\n"));
        assert!(refusal.starts_with(expected), "{line}: {refusal}");
    }
    let (bodies, _) = folder.read("kind: Group\nname: a\nspec: {password_file: pw}\n").unwrap().into_bodies();
    assert_eq!(bodies[0]["spec"], json!({"password_file": "pw"}), "only kinds with secrets read files");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = Folder::new();
    for path in
        [folder.0.path().join("none.yaml"), folder.0.path().to_owned(), folder.file("empty.yaml", "# nothing\n")]
    {
        let Err(Failure::Configuration(sentence)) = Documents::read(std::slice::from_ref(&path)) else {
            panic!("{path:?}")
        };
        assert!(sentence.contains(&path.display().to_string()), "{sentence}");
    }
    let big = folder.file("big.yaml", &"#".repeat(5 << 20));
    assert!(Documents::read(&[big]).unwrap_err().to_string().contains("4 MiB"));
}
