//! Search filters (RFC 4515) that administrators write, with a place for one value.

/// How deep a filter may be.
const DEPTH_MAX: usize = 16;
const LENGTH_MAX: usize = 1024;

/// Checks a filter, and that `place` stands in it as a value or a part of one: what is put there is escaped, and cannot leave it.
///
/// # Errors
/// What is wrong with it.
pub fn check_filter(text: &str, place: &str) -> Result<(), String> {
    if text.len() > LENGTH_MAX {
        return Err(format!("a filter has at most {LENGTH_MAX} bytes"));
    }
    if !text.contains(place) {
        return Err(format!("the filter names nobody: write {place} where the value belongs"));
    }
    let rest = filter(text, place, DEPTH_MAX)?;
    if rest.is_empty() { Ok(()) } else { Err(format!("{rest:?} stands behind the filter's end")) }
}

/// One filter in parentheses; what stands behind it.
fn filter<'a>(text: &'a str, place: &str, depth: usize) -> Result<&'a str, String> {
    let depth = depth.checked_sub(1).ok_or_else(|| format!("a filter is at most {DEPTH_MAX} deep"))?;
    let inside =
        text.strip_prefix('(').ok_or_else(|| format!("a filter begins with a parenthesis, not with {text:?}"))?;
    let rest = match inside.chars().next() {
        Some('&' | '|') => {
            let mut rest = filter(&inside[1..], place, depth)?;
            while rest.starts_with('(') {
                rest = filter(rest, place, depth)?;
            }
            rest
        }
        Some('!') => filter(&inside[1..], place, depth)?,
        _ => {
            let end = inside.find([')', '(']).ok_or("a parenthesis is not closed")?;
            item(&inside[..end], place)?;
            &inside[end..]
        }
    };
    rest.strip_prefix(')').ok_or_else(|| format!("a parenthesis is not closed before {rest:?}"))
}

/// `attribute=value` and its kin.
fn item(text: &str, place: &str) -> Result<(), String> {
    let (attribute, value) = text.split_once('=').ok_or_else(|| format!("{text:?} compares nothing: write a=b"))?;
    let attribute = attribute.strip_suffix(['~', '<', '>', ':']).unwrap_or(attribute);
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-.;:".contains(c);
    if attribute.is_empty() || !attribute.chars().all(is_word) {
        return Err(format!("{attribute:?} is no attribute"));
    }
    let value = value.replace(place, "");
    let is_escaped = |after: &str| after.len() >= 2 && after.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if value.split('\\').skip(1).any(|after| !is_escaped(after)) || value.contains(char::is_control) {
        return Err(format!("{value:?}: write special characters as \\28"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Directory;

    #[test]
    fn the_defaults_and_what_people_write_are_filters() {
        for fine in [
            Directory::USER_FILTER,
            "(uid={user})",
            "(|(uid={user})(mail={user}@example.com))",
            "(&(uid={user})(!(description=\\28gone\\29)))",
            "(&(uid={user})(memberOf:1.2.840.113556.1.4.1941:=cn=staff,dc=example,dc=com))",
            "(&(uid={user})(mail=*))",
        ] {
            assert_eq!(check_filter(fine, "{user}"), Ok(()), "{fine}");
        }
        assert_eq!(check_filter(Directory::GROUP_FILTER, "{dn}"), Ok(()));
    }

    #[test]
    fn anything_else_is_refused() {
        let deep = format!("{}(uid={{user}}){}", "(!".repeat(20), ")".repeat(20));
        let long = format!("(uid={{user}}{})", "x".repeat(2000));
        for wrong in [
            "",
            "uid={user}",
            "(uid=alice)",
            "(uid={user}",
            "(uid={user}))",
            "(uid={user})(a=b)",
            "(&(uid={user})",
            "(&)({user}=x)",
            "({user}=x)",
            "({user})",
            "(uid={user}\\2)",
            "(uid={user}\\zz)",
            "(uid=(x){user})",
            "(u id={user})",
            &deep,
            &long,
        ] {
            assert!(check_filter(wrong, "{user}").is_err(), "{wrong}");
        }
    }
}
