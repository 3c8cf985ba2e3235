//! Certificates, made by ssh-keygen and offered by a real client: which of them open a session.

use std::process::{Command, Output};

use crate::world::{World, output, stderr, stdout};

/// Certifies the key `name` by the authority `authority`, as these options say.
fn certify(world: &World, authority: &str, name: &str, options: &[&str]) {
    world.make_key_once(name);
    let folder = world.folder.path();
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-s"]).arg(folder.join(authority)).args(["-I", "a person"]).args(options);
    let certified = command.arg(folder.join(format!("{name}.pub"))).status();
    assert!(certified.expect("ssh-keygen runs").success());
}

fn come_in(world: &World, name: &str) -> Output {
    output(&mut world.ssh_as(name, &world.session.to_string(), &[], "echo in"))
}

#[test]
fn a_certificate_of_the_authority_opens_the_session_of_its_principal() {
    let world = World::new();
    world.make_key("authority");
    certify(&world, "authority", "person", &["-n", "worker", "-V", "-1m:+1h"]);
    assert_eq!(come_in(&world, "person").status.code(), Some(255), "nobody is trusted yet");
    world.gate.trust(&world.public_key("authority"));
    let inside = come_in(&world, "person");
    assert_eq!(stdout(&inside), "in\n", "{}", stderr(&inside));
}

#[test]
fn every_other_certificate_is_refused() {
    let world = World::new();
    for authority in ["authority", "stranger"] {
        world.make_key(authority);
    }
    world.gate.trust(&world.public_key("authority"));
    let cases: [(&str, &str, &[&str]); 7] = [
        ("another authority's", "stranger", &["-n", "worker", "-V", "-1m:+1h"]),
        ("for somebody else", "authority", &["-n", "root", "-V", "-1m:+1h"]),
        ("for nobody in particular", "authority", &["-V", "-1m:+1h"]),
        ("a host's", "authority", &["-h", "-n", "worker", "-V", "-1m:+1h"]),
        ("with a condition", "authority", &["-n", "worker", "-V", "-1m:+1h", "-O", "force-command=true"]),
        ("expired", "authority", &["-n", "worker", "-V", "-2h:-1h"]),
        ("not good yet", "authority", &["-n", "worker", "-V", "+1h:+2h"]),
    ];
    for (index, (what, authority, options)) in cases.into_iter().enumerate() {
        let name = format!("person{index}");
        certify(&world, authority, &name, options);
        let refused = come_in(&world, &name);
        assert_eq!((refused.status.code(), stdout(&refused)), (Some(255), String::new()), "{what}");
    }
    assert!(world.gate.joins().is_empty());
}
