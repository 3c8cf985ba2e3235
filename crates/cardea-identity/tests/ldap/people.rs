//! Who somebody is, by a real Active Directory.

use std::sync::Arc;

use cardea_domain::{Directories as _, Directory, DirectoryPerson, DirectoryVerdict, Searcher, Secret, Timestamp};
use cardea_identity::Ldap;
use cardea_testkit::Samba;

use crate::world::{PASSWORD, of, sign_in};

fn right(verdict: DirectoryVerdict) -> DirectoryPerson {
    match verdict {
        DirectoryVerdict::Right(person) => person,
        other => panic!("not let in: {other:?}"),
    }
}

async fn person(samba: &Samba, user: &str) -> DirectoryPerson {
    right(sign_in(of(samba), user, PASSWORD).await.expect("the directory answers"))
}

async fn verdict(samba: &Samba, user: &str, password: &str) -> DirectoryVerdict {
    sign_in(of(samba), user, password).await.expect("the directory answers")
}

#[tokio::test]
async fn the_right_password_lets_in_and_tells_who_it_is() {
    let samba = Samba::start();
    samba.add_user("alice", PASSWORD);
    samba.add_group("staff");
    samba.add_group("everybody");
    samba.add_member("everybody", "staff");
    samba.add_member("staff", "alice");

    let alice = person(&samba, "alice").await;
    assert_eq!(alice.user, "alice");
    assert_eq!(alice.name.as_deref(), Some("alice of Cardea"));
    assert_eq!(alice.email.as_deref(), Some("alice@example.com"));
    assert_eq!((alice.is_disabled, alice.expires_at), (false, None));
    assert_eq!(alice.groups, [Samba::dn("everybody"), Samba::dn("staff")], "also the group of the group");
    let by_start_tls = Directory { start_tls: true, ..of(&samba) };
    let by_start_tls =
        Directory { url: cardea_domain::DirectoryUrl::parse(&samba.plain_url()).expect("an address"), ..by_start_tls };
    assert_eq!(right(sign_in(by_start_tls, "ALICE", PASSWORD).await.expect("it answers")), alice);

    samba.rename("alice", "alicia");
    let alicia = person(&samba, "alicia").await;
    assert_eq!((alicia.subject.as_str(), alicia.user.as_str()), (alice.subject.as_str(), "alicia"));
    assert_eq!(verdict(&samba, "alice", PASSWORD).await, DirectoryVerdict::Unknown);
}

#[tokio::test]
async fn nothing_but_the_right_password_of_one_person_lets_in() {
    let samba = Samba::start();
    samba.add_user("alice", PASSWORD);
    let wrong = |text: &str| DirectoryVerdict::Wrong(text.to_owned());

    assert_eq!(verdict(&samba, "alice", "Wr0ng-Password").await, wrong("the password is wrong"));
    // Directories say yes to it: RFC 4513, 5.1.2.
    assert_eq!(verdict(&samba, "alice", "").await, wrong("the password is empty or too long"));
    assert_eq!(verdict(&samba, "bob", PASSWORD).await, DirectoryVerdict::Unknown);
    for hostile in ["*", "a*", "alice)(cn=*", "*)(uid=*))(|(uid=*", "alice\\2a", "ali\0ce", "\\", "(", "", "alice\n"] {
        assert_eq!(verdict(&samba, hostile, PASSWORD).await, DirectoryVerdict::Unknown, "{hostile:?}");
    }

    let vague =
        Directory { user_filter: "(&(objectClass=user)(|(sAMAccountName={user})(cn=*)))".to_owned(), ..of(&samba) };
    let answer = sign_in(vague, "alice", PASSWORD).await.expect("it answers");
    assert!(matches!(&answer, DirectoryVerdict::Wrong(why) if why.contains("more than one")), "{answer:?}");

    samba.set_disabled("alice", true);
    assert_eq!(verdict(&samba, "alice", PASSWORD).await, wrong("disabled in the directory"));
    samba.set_disabled("alice", false);
    samba.set("alice", "pwdLastSet", "0");
    assert_eq!(verdict(&samba, "alice", PASSWORD).await, wrong("the password must be changed in the directory first"));
    samba.set_password("alice", "An0ther-Password");
    assert_eq!(verdict(&samba, "alice", PASSWORD).await, wrong("the password is wrong"));
    samba.set("alice", "accountExpires", "134117280000000000");
    assert_eq!(verdict(&samba, "alice", "An0ther-Password").await, wrong("expired in the directory"));
}

#[tokio::test]
async fn those_who_are_there_are_found_by_their_numbers() {
    let samba = Samba::start();
    let mut subjects = Vec::new();
    for user in ["alice", "bob", "carol"] {
        samba.add_user(user, PASSWORD);
        subjects.push(person(&samba, user).await.subject);
    }
    samba.add_group("staff");
    samba.add_member("staff", "bob");
    samba.delete("alice");
    samba.set_disabled("bob", true);
    samba.rename("carol", "caroline");
    samba.set("caroline", "accountExpires", "134117280000000000");

    let found = Ldap::default().look_up(&Arc::new(of(&samba)), &subjects).await.expect("it answers");
    let of = |subject: &String| found.iter().find(|person| person.subject == *subject);
    assert_eq!(of(&subjects[0]), None, "deleted");
    let bob = of(&subjects[1]).expect("disabled, but there");
    assert!(bob.is_disabled);
    assert_eq!(bob.groups, [Samba::dn("staff")]);
    let carol = of(&subjects[2]).expect("renamed, but there");
    assert_eq!((carol.user.as_str(), carol.is_disabled), ("caroline", false));
    assert_eq!(carol.expires_at, Some(Timestamp::from_micros(1_767_254_400_000_000)));
    assert_eq!(found.len(), 2);
}

#[tokio::test]
async fn a_directory_that_is_not_to_be_trusted_or_not_there_is_a_fault() {
    let mut samba = Samba::start();
    samba.add_user("alice", PASSWORD);
    let fault = async |directory: Directory| sign_in(directory, "alice", PASSWORD).await.expect_err("no answer").0;

    // The system's roots did not sign it.
    assert!(fault(Directory { ca: None, ..of(&samba) }).await.contains("TLS"));
    // A password that is said in the clear is refused by it, and by us if it is elsewhere.
    let url = cardea_domain::DirectoryUrl::parse(&samba.plain_url()).expect("an address");
    let plain = fault(Directory { url, ..of(&samba) }).await;
    assert!(plain.contains("does not check passwords"), "{plain}");
    let searcher = Searcher { dn: Samba::SEARCHER.to_owned(), password: Secret::new("wrong".to_owned()) };
    let refused = fault(Directory { searcher: Some(searcher), ..of(&samba) }).await;
    assert!(refused.contains("does not let CN=cardea"), "{refused}");
    let elsewhere = Directory { base_dn: "DC=other,DC=test".to_owned(), ..of(&samba) };
    let answer = Ldap::default().look_up(&Arc::new(elsewhere), &[]).await;
    assert!(answer.is_err(), "{answer:?}");

    let directory = of(&samba);
    samba.stop();
    let down = fault(directory).await;
    assert!(down.contains("cannot be reached"), "{down}");
    samba.resume();
    assert!(person(&samba, "alice").await.groups.is_empty());
}
