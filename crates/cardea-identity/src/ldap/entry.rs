//! What an entry of a directory says of a person.

use cardea_domain::{Directory, DirectoryFault, DirectoryPerson, Timestamp};
use ldap3::SearchEntry;

use super::fault;

/// What stays when an entry is renamed: Active Directory's, and that of RFC 4530.
const OBJECT_GUID: &str = "objectGUID";
const ENTRY_UUID: &str = "entryUUID";
const ACCOUNT_CONTROL: &str = "userAccountControl";
const ACCOUNT_EXPIRES: &str = "accountExpires";
/// 389 Directory Server and FreeIPA.
const LOCKED: &str = "nsAccountLock";
const MEMBER_OF: &str = "memberOf";
/// Of `userAccountControl`.
const DISABLED: i64 = 2;
/// 1601 to 1970.
const EPOCH_SECONDS: i64 = 11_644_473_600;
/// A longer value is no name, address or group.
const VALUE_MAX: usize = 1024;
pub(super) const GROUPS_MAX: usize = 2000;

/// What is asked of an entry.
pub(super) fn attributes(directory: &Directory) -> Vec<&str> {
    vec![
        OBJECT_GUID,
        ENTRY_UUID,
        ACCOUNT_CONTROL,
        ACCOUNT_EXPIRES,
        LOCKED,
        MEMBER_OF,
        &directory.user_attribute,
        &directory.name_attribute,
        &directory.email_attribute,
    ]
}

/// The person that an entry is of.
pub(super) fn person(directory: &Directory, entry: &SearchEntry) -> Result<DirectoryPerson, DirectoryFault> {
    let subject = subject(entry).ok_or_else(|| {
        fault(format!(
            "{:?} has neither {OBJECT_GUID} nor {ENTRY_UUID}: whose entry it is cannot be remembered",
            entry.dn
        ))
    })?;
    let user = text(entry, &directory.user_attribute)
        .ok_or_else(|| fault(format!("{:?} has no {}", entry.dn, directory.user_attribute)))?;
    let control = number(entry, ACCOUNT_CONTROL).unwrap_or(0);
    let is_locked = text(entry, LOCKED).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let groups = values(entry, MEMBER_OF).filter(|group| group.len() <= VALUE_MAX).take(GROUPS_MAX);
    Ok(DirectoryPerson {
        subject,
        user,
        name: text(entry, &directory.name_attribute),
        email: text(entry, &directory.email_attribute),
        is_disabled: control & DISABLED != 0 || is_locked,
        expires_at: number(entry, ACCOUNT_EXPIRES).and_then(expiry),
        groups: groups.map(str::to_owned).collect(),
    })
}

/// A filter that finds the entries of these subjects, whatever the directory calls them. What is no number is nobody's.
pub(super) fn subjects_filter(subjects: &[String]) -> Option<String> {
    let mut filter = "(|".to_owned();
    for (subject, bytes) in subjects.iter().filter_map(|subject| Some((subject, guid_of(subject)?))) {
        let guid: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        filter.push_str(&format!("({OBJECT_GUID}={guid})({ENTRY_UUID}={subject})"));
    }
    filter.push(')');
    (filter.len() > "(|)".len()).then_some(filter)
}

fn subject(entry: &SearchEntry) -> Option<String> {
    let binary = entry.bin_attrs.iter().find(|(name, _)| name.eq_ignore_ascii_case(OBJECT_GUID));
    // Sixteen bytes may happen to be a text as well.
    let bytes = binary.and_then(|(_, values)| values.first().cloned());
    let bytes = bytes.or_else(|| values(entry, OBJECT_GUID).next().map(|text| text.as_bytes().to_vec()));
    match bytes {
        Some(bytes) => Some(guid_text(&bytes.try_into().ok()?)),
        None => {
            let uuid = text(entry, ENTRY_UUID)?.to_ascii_lowercase();
            guid_of(&uuid).map(|_| uuid)
        }
    }
}

/// As Windows writes them: the first three parts are numbers, their lowest byte first.
const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

fn guid_text(bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (at, from) in ORDER.into_iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{:02x}", bytes[from]));
    }
    text
}

fn guid_of(text: &str) -> Option<[u8; 16]> {
    let is_dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    let fits = |(at, byte): (usize, u8)| if is_dash(at) { byte == b'-' } else { byte.is_ascii_hexdigit() };
    if text.len() != 36 || !text.bytes().enumerate().all(fits) {
        return None;
    }
    let digits = text.replace('-', "");
    let mut bytes = [0; 16];
    for (at, to) in ORDER.into_iter().enumerate() {
        bytes[to] = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

/// A moment of Active Directory: tenths of microseconds since 1601. Zero and the highest number are never.
fn expiry(value: i64) -> Option<Timestamp> {
    let is_never = value <= 0 || value == i64::MAX;
    (!is_never).then(|| Timestamp::from_micros(value / 10 - EPOCH_SECONDS * 1_000_000))
}

fn values<'a>(entry: &'a SearchEntry, name: &str) -> impl Iterator<Item = &'a str> {
    // Attribute names have no case, and a server may write them as it likes.
    let found = entry.attrs.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.into_iter().flat_map(|(_, values)| values.iter().map(String::as_str))
}

fn text(entry: &SearchEntry, name: &str) -> Option<String> {
    let is_text = |value: &&str| !value.is_empty() && value.len() <= VALUE_MAX && !value.contains(char::is_control);
    values(entry, name).find(is_text).map(str::to_owned)
}

fn number(entry: &SearchEntry, name: &str) -> Option<i64> {
    values(entry, name).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_written_as_windows_writes_it_and_read_back() {
        let bytes = [0xaf, 0x6b, 0xe6, 0x6f, 0x0f, 0xbd, 0x43, 0xe5, 0x9a, 0x0a, 0x7a, 0x27, 0xa2, 0xaf, 0x42, 0x32];
        let text = guid_text(&bytes);
        assert_eq!(text, "6fe66baf-bd0f-e543-9a0a-7a27a2af4232");
        assert_eq!(guid_of(&text), Some(bytes));
        for wrong in ["", "6fe66baf-bd0f-e543-9a0a-7a27a2af423", "6fe66bafxbd0f-e543-9a0a-7a27a2af4232", "*"] {
            assert_eq!(guid_of(wrong), None, "{wrong}");
        }
        assert_eq!(subjects_filter(&["*)(cn=*".to_owned()]), None);
    }

    #[test]
    fn accounts_expire_by_windows_time() {
        assert_eq!(expiry(0), None);
        assert_eq!(expiry(i64::MAX), None);
        // 2026-01-01T00:00:00Z.
        assert_eq!(expiry(134_117_280_000_000_000), Some(Timestamp::from_micros(1_767_254_400_000_000)));
    }
}
