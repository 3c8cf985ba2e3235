use tempfile::TempDir;

use super::*;

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load(text: &str, pairs: &[(&str, &str)], data_dir: Option<&str>) -> Result<Config, Failure> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("cardea.toml");
    fs::write(&file, text).unwrap();
    Config::load(Some(&file), &environment(pairs), data_dir.map(PathBuf::from))
}

fn refusal(text: &str, pairs: &[(&str, &str)]) -> String {
    match load(text, pairs, None) {
        Err(Failure::Configuration(sentence)) => sentence,
        Err(other) => panic!("{text}: {other:?}"),
        Ok(_) => panic!("{text} was taken"),
    }
}

#[test]
fn without_any_setting_everything_has_its_default() {
    let config = Config::load(None, &environment(&[("PATH", "/bin"), ("CARDEA_SERVER", "x")]), None).unwrap();
    assert!(config.data_dir.is_absolute() && config.data_dir.ends_with("cardea-data"));
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8443");
    assert_eq!(config.http.public_url, "https://localhost:8443");
    assert_eq!(config.ssh.listen.to_string(), "127.0.0.1:4422");
    assert_eq!(config.vault.key_file, config.data_dir.parent().unwrap().join("cardea-master.key"));
    assert_eq!(config.shown()["store"]["url"], format!("sqlite:{}/cardea.db", config.data_dir.display()));
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file = "data_dir = \"/file\"\n[http]\nlisten = \"127.0.0.1:1\"\n[ssh]\nlisten = \"127.0.0.1:2\"\n";
    let env = [("CARDEA__DATA_DIR", "/env"), ("CARDEA__HTTP__LISTEN", "127.0.0.1:3")];
    let config = load(file, &env, Some("/flag")).unwrap();
    assert_eq!(config.data_dir, Path::new("/flag"));
    assert_eq!(config.http.listen.port(), 3);
    assert_eq!(config.http.public_url, "https://localhost:3");
    assert_eq!(config.ssh.listen.port(), 2);
    assert_eq!(load(file, &env, None).unwrap().data_dir, Path::new("/env"));
    assert_eq!(load(file, &[], None).unwrap().data_dir, Path::new("/file"));
}

#[test]
fn unknown_keys_are_refused_where_they_stand() {
    assert!(refusal("[http]\n\nlissten = \"x\"\n", &[]).contains("cardea.toml:3: unknown field `lissten`"));
    assert!(refusal("[rdp]\nlisten = \"x\"\n", &[]).contains("cardea.toml:1: unknown field `rdp`"));
    let sentence = refusal("", &[("CARDEA__HTTP__LISSTEN", "x")]);
    assert!(sentence.contains("CARDEA__HTTP__LISSTEN: unknown field `lissten`"), "{sentence}");
    assert!(refusal("", &[("CARDEA__NOTHING", "x")]).contains("CARDEA__NOTHING: unknown field `nothing`"));
    assert!(refusal("", &[("CARDEA__HTTP", "x")]).contains("CARDEA__HTTP: "));
}

#[test]
fn wrong_values_are_refused_in_one_line_that_says_where() {
    let cases = [
        ("[http]\nlisten = \"localhost\"\n", "cardea.toml:2: `localhost` is not an address"),
        ("[http]\nlisten = 8443\n", "cardea.toml:2: "),
        ("[http\n", "cardea.toml:1: "),
        ("[http]\npublic_url = \"http://x\"\n", "http.public_url: `http://x`"),
        ("[http]\npublic_url = \"https://x/y\"\n", "http.public_url: "),
        ("[http]\ncert_file = \"x\"\n", "http.key_file is missing"),
        ("[log]\nfilter = \"a=b=c\"\n", "log.filter: "),
        ("[log]\nformat = \"xml\"\n", "cardea.toml:2: "),
        ("[store]\nurl = \"a\"\nurl_file = \"b\"\n", "store.url and store.url_file"),
        ("[store]\nurl_file = \"/no/such\"\n", "store.url_file: cannot read"),
        ("[store]\nurl = \"mysql://x\"\n", "store.url: "),
        ("[metrics]\ntoken_file = \"/no/such\"\n", "metrics.token_file: cannot read"),
        ("[metrics]\ntoken_file = \"/proc/self/comm\"\n", "metrics.token_file: `/proc/self/comm` holds no token"),
        ("[sign_in]\nfresh = \"1s\"\n", "sign_in.fresh: write 1m to 24h"),
        ("[sign_in]\nidle = 3\n", "cardea.toml:2: "),
        ("[sign_in]\nsecond_factor_roles = [\"root\"]\n", "cardea.toml:2: `root` is no built-in role"),
        ("[trace]\notlp_url = \"http://collector.example.com:4318\"\n", "trace.otlp_url is not"),
        ("[trace]\notlp_url = \"https://me:hunter2@collector\"\n", "trace.otlp_url is not"),
        ("[trace]\notlp_url = \"localhost:4318\"\n", "trace.otlp_url is not"),
        ("data_dir = \"/\"\n", "data_dir `/`"),
        ("data_dir = \"/d\"\n[vault]\nkey_file = \"/d/key\"\n", "vault.key_file `/d/key` is in the data directory"),
    ];
    for (text, expected) in cases {
        let sentence = refusal(text, &[]);
        assert!(sentence.contains(expected) && !sentence.contains('\n'), "{text}: {sentence}");
    }
    assert!(refusal("", &[("CARDEA__SSH__LISTEN", "x")]).contains("CARDEA__SSH__LISTEN: `x` is not an address"));
    let missing = Config::load(Some(Path::new("/no/such.toml")), &environment(&[]), None);
    assert!(missing.err().unwrap().to_string().contains("/no/such.toml"));
}

#[test]
fn spans_go_below_the_address_that_is_given() {
    for (given, posted) in [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("http://[::1]:4318/", "http://[::1]:4318/v1/traces"),
        ("https://collector.example.com/otlp/", "https://collector.example.com/otlp/v1/traces"),
    ] {
        let shown = load("", &[("CARDEA__TRACE__OTLP_URL", given)], None).unwrap().shown();
        assert_eq!(shown["trace"]["otlp_url"], posted);
    }
}

#[test]
fn what_is_shown_holds_no_password() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("url");
    fs::write(&file, "postgres://cardea:hunter2@db/cardea\n").unwrap();
    let by_file = [("CARDEA__STORE__URL_FILE", file.to_str().unwrap())];
    let by_url = [("CARDEA__STORE__URL", "postgres://cardea@db/cardea?password=hunter2")];
    for pairs in [by_file, by_url] {
        let shown = load("[store]\nurl = \"sqlite:x.db\"\n", &pairs, None).unwrap().shown().to_string();
        assert!(shown.contains("postgres://cardea") && !shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn sign_ins_have_their_defaults_and_roles_are_a_list_or_names_with_commas() {
    let shown = |text, pairs| load(text, pairs, None).unwrap().shown()["sign_in"].clone();
    let default = serde_json::json!({ "lasts": "PT12H", "idle": "PT2H", "fresh": "PT15M", "second_factor_roles": [] });
    assert_eq!(shown("", &[]), default);
    let file = "[sign_in]\nfresh = \"5m\"\nsecond_factor_roles = [\"user\"]\n";
    assert_eq!(shown(file, &[])["second_factor_roles"], serde_json::json!(["user"]));
    let environment = [("CARDEA__SIGN_IN__SECOND_FACTOR_ROLES", "administrator, auditor")];
    let over = shown(file, &environment);
    assert_eq!(over["second_factor_roles"], serde_json::json!(["administrator", "auditor"]));
    assert_eq!(over["fresh"], "PT5M");
}
