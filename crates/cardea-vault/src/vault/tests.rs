use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown},
    path::PathBuf,
};

use cardea_domain::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::System;

struct Place {
    folder: TempDir,
    vault: Vault,
}

impl Place {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("master.key");
        Vault::create_key_file(&path).unwrap();
        Self { vault: Vault::open(&path).unwrap(), folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("master.key")
    }

    fn refusal(&self) -> VaultError {
        Vault::open(&self.path()).err().expect("the key file is refused")
    }
}

fn row() -> SecretId {
    SecretId::mint(Timestamp::from_micros(1_000_000), &System)
}

fn secret() -> Secret {
    Secret::new("correct horse\nbattery ÄÖ staple".to_owned())
}

#[test]
fn a_sealed_secret_opens_in_its_place_and_nowhere_else() {
    let place = Place::new();
    let here = Binding { installation: "a1", id: row(), field: "password" };
    let sealed = place.vault.seal(&here, &secret());

    assert!(place.vault.unseal(&here, &sealed).unwrap().expose(|text| secret().expose(|expected| text == expected)));
    assert!(!sealed.windows(7).any(|window| window == b"correct"));
    assert_ne!(sealed, place.vault.seal(&here, &secret()), "every sealing has keys and nonces of its own");

    let elsewhere = [
        Binding { id: row(), ..here },
        Binding { installation: "a2", ..here },
        Binding { field: "private_key", ..here },
        Binding { installation: "", field: "a1password", ..here },
    ];
    for other in elsewhere {
        assert!(matches!(place.vault.unseal(&other, &sealed), Err(VaultError::Damaged)), "{other:?}");
    }
    assert!(matches!(Place::new().vault.unseal(&here, &sealed), Err(VaultError::OtherKey)));
}

#[test]
fn every_changed_bit_and_every_cut_is_noticed() {
    let place = Place::new();
    let here = Binding { installation: "a1", id: row(), field: "password" };
    let sealed = place.vault.seal(&here, &secret());
    for index in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[index] ^= 1;
        assert!(place.vault.unseal(&here, &changed).is_err(), "byte {index}");
        assert!(place.vault.unseal(&here, &sealed[..index]).is_err(), "cut at {index}");
    }
    let longer = [sealed.as_slice(), b"x"].concat();
    assert!(place.vault.unseal(&here, &longer).is_err());
}

#[test]
fn parts_of_two_sealed_secrets_do_not_mix() {
    let place = Place::new();
    let here = Binding { installation: "a1", id: row(), field: "password" };
    let (one, two) = (place.vault.seal(&here, &secret()), place.vault.seal(&here, &secret()));
    let half = 1 + KEY_ID_LENGTH + 60;
    let mixed = [&one[..half], &two[half..]].concat();
    assert!(matches!(place.vault.unseal(&here, &mixed), Err(VaultError::Damaged)));
}

#[test]
fn an_empty_secret_is_a_secret() {
    let place = Place::new();
    let here = Binding { installation: "a1", id: row(), field: "password" };
    let sealed = place.vault.seal(&here, &Secret::new(String::new()));
    assert!(place.vault.unseal(&here, &sealed).unwrap().expose(String::is_empty));
}

#[test]
fn digests_depend_on_key_purpose_and_bytes_and_survive_a_restart() {
    let place = Place::new();
    let digest = place.vault.digest("token", b"x");
    assert_eq!(digest, Vault::open(&place.path()).unwrap().digest("token", b"x"));
    assert_ne!(digest, place.vault.digest("token", b"y"));
    assert_ne!(digest, place.vault.digest("sign-in", b"x"));
    assert_ne!(digest, Place::new().vault.digest("token", b"x"));
}

#[test]
fn a_key_file_is_private_and_never_overwritten() {
    let place = Place::new();
    let before = fs::read(place.path()).unwrap();
    assert_eq!(fs::metadata(place.path()).unwrap().permissions().mode() & 0o7777, 0o600);
    assert!(matches!(Vault::create_key_file(&place.path()), Err(VaultError::KeyFileExists(_))));
    assert_eq!(fs::read(place.path()).unwrap(), before);
}

#[test]
fn a_key_file_that_others_may_read_is_refused_with_what_to_do() {
    let place = Place::new();
    for mode in [0o604, 0o640, 0o620, 0o601] {
        fs::set_permissions(place.path(), Permissions::from_mode(mode)).unwrap();
        let refusal = place.refusal();
        assert!(matches!(refusal, VaultError::KeyFileOpen { .. }), "{mode:o}");
        assert!(refusal.to_string().contains("chmod 600"), "{refusal}");
    }
    fs::set_permissions(place.path(), Permissions::from_mode(0o400)).unwrap();
    assert!(Vault::open(&place.path()).is_ok());
}

#[test]
fn a_key_file_of_somebody_else_is_refused_with_what_to_do() {
    let place = Place::new();
    // Only root can give a file away; the hosts of the integration tests need root anyway.
    if chown(place.path(), Some(12_345), None).is_ok() {
        let refusal = place.refusal();
        assert!(matches!(refusal, VaultError::KeyFileOwner { owner: 12_345, .. }));
        assert!(refusal.to_string().contains("chown"), "{refusal}");
    }
}

#[test]
fn what_is_not_a_key_file_is_refused() {
    let place = Place::new();
    let good = fs::read_to_string(place.path()).unwrap();
    for text in
        ["", "cardea-master-key-1:", "cardea-master-key-1:AAAA", "cardea-master-key-9:AAAA", &good[..good.len() - 4]]
    {
        fs::write(place.path(), text).unwrap();
        assert!(matches!(place.refusal(), VaultError::KeyFileMalformed(_)), "{text}");
    }
    fs::remove_file(place.path()).unwrap();
    assert!(matches!(place.refusal(), VaultError::KeyFileRead(..)));
}
