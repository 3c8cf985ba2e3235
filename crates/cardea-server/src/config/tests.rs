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
        ("[mail]\nfrom = \"a@example.com\"\n", "mail.server is missing"),
        ("[mail]\nserver = \"smtp.example.com:x\"\n", "mail.server: "),
        ("[mail]\nserver = \"smtp.example.com\"\n", "mail.from is missing"),
        ("[mail]\nserver = \"smtp\"\nfrom = \"a@b, c@d\"\n", "mail.from: "),
        ("[mail]\nserver = \"smtp\"\nfrom = \"a@b\"\nuser = \"x\"\n", "mail.password_file is missing"),
        ("[mail]\nserver = \"smtp\"\nfrom = \"a@b\"\npassword_file = \"x\"\n", "mail.user is missing"),
        (
            "[mail]\nserver = \"smtp\"\nfrom = \"a@b\"\nuser = \"x\"\npassword_file = \"x\"\nsecurity = \"none\"\n",
            "mail.security",
        ),
        ("[mail]\nserver = \"smtp\"\nfrom = \"a@b\"\nsecurity = \"ssl\"\n", "cardea.toml:4: "),
        ("[mail]\nserver = \"smtp\"\nfrom = \"a@b\"\ntemplates = \"/no/such\"\n", "mail.templates: cannot read"),
        ("[webhook.chat]\nsecret_file = \"x\"\n", "webhook.chat.url is missing"),
        ("[webhook.chat]\nurl = \"http://chat.example.com\"\n", "webhook.chat.url: "),
        ("[webhook.chat]\nurl = \"https://10.0.0.1\"\n", "webhook.chat.url: 10.0.0.1 is no public address"),
        ("[webhook.chat]\nurl = \"https://x\"\nallow = [\"everything\"]\n", "webhook.chat.allow: `everything`"),
        ("[webhook.chat]\nurl = \"https://x\"\n", "webhook.chat.secret_file is missing"),
        ("[webhook.chat]\nurl = \"https://x\"\nsecret_file = \"/proc/self/comm\"\n", "holds no secret"),
        ("[webhook.\"a b\"]\nurl = \"https://x\"\n", "webhook: a name has"),
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

#[test]
fn mail_and_webhooks_are_read_from_file_and_environment() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let password = write("password", "hunter2\n");
    let secret = write("secret", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n");
    fs::create_dir(folder.path().join("texts")).unwrap();
    write("texts/invited.txt", "Subject: Hello\n\nCome here: {link}\n");
    let broken = write("texts/session_ending.txt", "Subject: Hello\n\nYou\nare {nobody}\n");
    let unknown = write("texts/everything.txt", "Subject: Hello\n\nx\n");
    write("texts/README.md", "no template");
    let text = format!(
        "[mail]\nserver = \"smtp.example.com\"\nfrom = \"Cardea <cardea@example.com>\"\nuser = \"cardea\"\n\
         password_file = {password:?}\ntemplates = {:?}\n[webhook.chat]\nurl = \"https://chat.example.com/T0K3N\"\n\
         secret_file = {secret:?}\n",
        folder.path().join("texts")
    );
    let environment = [
        ("CARDEA__MAIL__SECURITY", "tls"),
        ("CARDEA__WEBHOOK__CHAT__EVENTS", "request_waiting, invited"),
        ("CARDEA__WEBHOOK__CHAT__ALLOW", "private"),
    ];
    let config = load(&text, &environment, None).unwrap();
    let shown = config.shown();
    assert_eq!(shown["mail"]["server"], "smtp.example.com:465");
    assert_eq!(shown["webhook"]["chat"]["events"], json!(["request_waiting", "invited"]));
    assert_eq!(shown["webhook"]["chat"]["allow"], json!(["private"]));
    let text = shown.to_string();
    assert!(!text.contains("hunter2") && !text.contains("T0K3N") && !text.contains("whsec_"), "{text}");
    let refused = config.mail.unwrap().refused;
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert!(refused[0].starts_with(&format!("{unknown}: `everything` is nothing that is told about")), "{refused:?}");
    assert!(refused[1].starts_with(&format!("{broken}:4: there is no `{{nobody}}` here")), "{refused:?}");
}
