//! Secrets of objects live in files: `password_file: PATH` in YAML becomes `password` in what is sent.

use std::{collections::HashMap, fs::File, io::Read, path::Path};

use cardea_domain::{Kind, Secret, SecretField};
use serde_json::{Map, Value};

use super::Wrong;

/// Private keys are a few KiB.
const SIZE_MAX: usize = 64 << 10;

/// Replaces each `*_file` of the spec by what the file holds. Paths are relative to `folder`.
pub(super) fn fill_in(
    kind: Kind,
    spec: &mut Map<String, Value>,
    folder: &Path,
    lines: &mut HashMap<String, usize>,
) -> Result<(), Wrong> {
    for field in SecretField::of(kind).iter().map(|field| field.as_str()) {
        let (key, in_file) = (format!("/spec/{field}"), format!("{field}_file"));
        if spec.contains_key(field) {
            return Err((key, format!("secrets live in files: write it to a file and name that with `{in_file}`")));
        }
        let Some(path) = spec.remove(&in_file) else { continue };
        let pointer = format!("/spec/{in_file}");
        let Value::String(path) = path else { return Err((pointer, "write the path of a file".to_owned())) };
        let secret = read_secret(&folder.join(path)).map_err(|message| (pointer.clone(), message))?;
        // What the server says about the secret is about this line.
        if let Some(line) = lines.get(&pointer).copied() {
            lines.insert(key, line);
        }
        spec.insert(field.to_owned(), Value::String(secret.expose(Clone::clone)));
    }
    Ok(())
}

/// Reads a secret from a file of its own. One line ending at its end does not belong to it.
pub(crate) fn read_secret(path: &Path) -> Result<Secret, String> {
    let failed = |error: std::io::Error| format!("cannot read `{}`: {error}", path.display());
    // Room for all of it at once: growing would leave copies behind in memory.
    let mut text = String::with_capacity(SIZE_MAX + 1);
    let read = File::open(path).and_then(|file| file.take(SIZE_MAX as u64 + 1).read_to_string(&mut text));
    let text = Secret::new(text);
    read.map_err(failed)?;
    text.expose(|text| {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if text.len() > SIZE_MAX {
            return Err(format!("`{}` has more than {} KiB: that is no secret", path.display(), SIZE_MAX >> 10));
        }
        if line.is_empty() {
            return Err(format!("`{}` is empty: write the secret to it", path.display()));
        }
        Ok(Secret::new(line.to_owned()))
    })
}
