use std::{collections::BTreeMap, fs, net::TcpListener, time::Duration};

use cardea_courier::{Login, MailServer, Outside, Security};
use cardea_domain::{Clock as _, Courier as _, Entropy as _, Mail, NoticeId, Secret};
use cardea_testkit::{Line, ManualClock, SeededEntropy, SmtpCatcher};

fn server(catcher: &SmtpCatcher, security: Security) -> MailServer {
    let login =
        || Login { user: SmtpCatcher::USER.to_owned(), password: Secret::new(SmtpCatcher::PASSWORD.to_owned()) };
    MailServer {
        host: "localhost".to_owned(),
        port: catcher.port,
        security,
        ca: (security != Security::None).then(|| fs::read(catcher.ca_file()).expect("a certificate")),
        login: (security != Security::None).then(login),
        from: "Cardea at Home <cardea@example.com>".to_owned(),
    }
}

fn outside(server: MailServer) -> Outside {
    Outside::new(Some(server), BTreeMap::new()).expect("sound settings")
}

fn mail() -> Mail {
    let (clock, entropy) = (ManualClock::new(), SeededEntropy::new(3));
    entropy.fill(&mut [0; 8]);
    Mail {
        id: NoticeId::mint(clock.now(), &*entropy),
        at: clock.now(),
        to: "alice@example.com".to_owned(),
        subject: "Ärger on web1".to_owned(),
        text: "Read it here: https://cardea.example.com/?q=1\n".to_owned(),
        html: "<p>Read it</p>\n".to_owned(),
    }
}

#[tokio::test]
async fn a_mail_arrives_by_every_kind_of_line() {
    for (line, security) in
        [(Line::Plain, Security::None), (Line::StartTls, Security::StartTls), (Line::Tls, Security::Tls)]
    {
        let catcher = SmtpCatcher::start(line);
        let mail = mail();
        outside(server(&catcher, security)).mail(&mail).await.unwrap_or_else(|error| panic!("{line:?}: {error}"));
        let caught = catcher.until("the mail", |_| true);
        assert_eq!(
            (caught.from.as_str(), caught.to.as_slice()),
            ("cardea@example.com", &["alice@example.com".to_owned()][..])
        );
        assert_eq!((caught.secure, caught.user.is_some()), (line != Line::Plain, line != Line::Plain));
        let header = |name: &str| caught.header(name).unwrap_or_else(|| panic!("{name}: {}", caught.raw));
        assert_eq!(header("message-id"), format!("<{}@example.com>", mail.id));
        assert_eq!(header("auto-submitted"), "auto-generated");
        assert!(header("from").contains("Cardea at Home") && !header("date").is_empty());
        assert!(header("content-type").starts_with("multipart/alternative"), "{}", caught.raw);
        // The plain text first: programs that read no HTML show the first that they know.
        let (plain, html) =
            (caught.raw.find("text/plain").expect("plain"), caught.raw.find("text/html").expect("HTML"));
        assert!(plain < html && caught.text().contains("https://cardea.example.com/?q=1"), "{}", caught.raw);
    }
}

#[tokio::test]
async fn nobody_writes_headers_by_a_name_or_an_address() {
    let catcher = SmtpCatcher::start(Line::Plain);
    let outside = outside(server(&catcher, Security::None));
    let tricky = Mail { subject: "Hello\r\nBcc: eve@example.com\r\n\r\nand a body".to_owned(), ..mail() };
    outside.mail(&tricky).await.expect("it is only a subject");
    let caught = catcher.until("the mail", |_| true);
    assert_eq!(caught.to, ["alice@example.com"]);
    assert!(!caught.header_names().contains(&"bcc".to_owned()), "{}", caught.raw);
    assert_eq!(caught.header("subject").as_deref(), Some("Hello  Bcc: eve@example.com    and a body"));
    for to in [
        "alice@example.com\r\nRCPT TO:<eve@example.com>",
        "alice@example.com, eve@example.com",
        "",
        "<alice@example.com>",
    ] {
        outside.mail(&Mail { to: to.to_owned(), ..mail() }).await.expect_err(to);
    }
    assert_eq!(catcher.caught().len(), 1);
}

#[tokio::test]
async fn a_server_that_cannot_be_trusted_gets_nothing() {
    let (tls, starttls, plain) =
        (SmtpCatcher::start(Line::Tls), SmtpCatcher::start(Line::StartTls), SmtpCatcher::start(Line::Plain));
    // By the system's certificates nobody knows it, and not by another's either.
    for (catcher, security) in [(&tls, Security::Tls), (&starttls, Security::StartTls)] {
        let other = Some(fs::read(plain.ca_file()).expect("a certificate"));
        let error = outside(MailServer { ca: other, ..server(catcher, security) }).mail(&mail()).await;
        assert!(error.expect_err("not trusted").to_lowercase().contains("certificate"));
    }
    // By another name it is another.
    let named = MailServer { host: "127.0.0.1".to_owned(), ..server(&tls, Security::Tls) };
    outside(named).mail(&mail()).await.expect_err("the certificate is for localhost");
    // A server that offers no STARTTLS gets neither mail nor password.
    outside(server(&plain, Security::StartTls)).mail(&mail()).await.expect_err("it is not encrypted");
    assert!([&tls, &starttls, &plain].iter().all(|catcher| catcher.caught().is_empty()));
}

#[tokio::test]
async fn what_a_server_says_no_to_is_told_without_the_password() {
    let catcher = SmtpCatcher::start(Line::Tls);
    let login = Login { user: SmtpCatcher::USER.to_owned(), password: Secret::new("hunter2 hunter2".to_owned()) };
    let error = outside(MailServer { login: Some(login), ..server(&catcher, Security::Tls) }).mail(&mail()).await;
    let error = error.expect_err("the password is wrong");
    assert!(error.contains("535") && !error.contains("hunter2"), "{error}");
    let nobody = Mail { to: "nobody@example.com".to_owned(), ..mail() };
    let error = outside(server(&catcher, Security::Tls)).mail(&nobody).await.expect_err("no such mailbox");
    assert!(error.contains("no such mailbox"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_or_says_nothing_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("it is bound").port();
    let server = |port| MailServer {
        host: "localhost".to_owned(),
        port,
        security: Security::None,
        ca: None,
        login: None,
        from: "cardea@example.com".to_owned(),
    };
    let mail = mail();
    let outside_silent = outside(server(port));
    let asked = tokio::time::timeout(Duration::from_secs(60), outside_silent.mail(&mail));
    asked.await.expect("it ends by itself").expect_err("nobody answers");
    drop(silent);
    outside(server(port)).mail(&mail).await.expect_err("nobody is there");
}
