//! Configuration objects in YAML files, on their way to the API: read, checked for shape, their secrets filled in from
//! files, and every place remembered, so that an error can name file, line and field.
//!
//! What an object means is the server's business; here is only what is special to files.

mod secrets;
mod yaml;

use std::{
    collections::HashMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    rc::Rc,
};

use cardea_domain::Kind;
use serde_json::{Map, Value};

use crate::failure::Failure;

pub(crate) use secrets::read_secret;

/// The most bytes of YAML in one go, over all files.
const SIZE_MAX: u64 = 4 << 20;
/// The most objects in one go.
const COUNT_MAX: usize = 10_000;

/// Objects from files, in the order that they were given in.
#[derive(Debug)]
pub(crate) struct Documents {
    bodies: Vec<Value>,
    places: Vec<Place>,
}

/// Where one object and each of its fields stand.
#[derive(Debug)]
struct Place {
    file: Rc<PathBuf>,
    lines: HashMap<String, usize>,
}

impl Documents {
    /// Reads all objects of all files.
    pub(crate) fn read(files: &[PathBuf]) -> Result<Self, Failure> {
        let mut documents = Self { bodies: Vec::new(), places: Vec::new() };
        let mut left = SIZE_MAX;
        for file in files {
            let text = read_text(file, left)?;
            left -= u64::try_from(text.len()).unwrap_or(left).min(left);
            documents.add(file, &text)?;
        }
        if documents.bodies.is_empty() {
            let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
            return Err(Failure::Configuration(format!("{}: no objects in there", names.join(", "))));
        }
        Ok(documents)
    }

    /// The objects as the API takes them. They hold secrets.
    pub(crate) fn into_bodies(self) -> (Value, Places) {
        (Value::Array(self.bodies), Places(self.places))
    }

    fn add(&mut self, file: &Path, text: &str) -> Result<(), Failure> {
        let folder = file.parent().unwrap_or(Path::new("."));
        let file = Rc::new(file.to_owned());
        let wrong =
            |line: usize, message: &str| Failure::Configuration(format!("{}:{line}: {message}", file.display()));
        for document in yaml::parse(text).map_err(|error| wrong(error.line, &error.message))? {
            if self.bodies.len() == COUNT_MAX {
                return Err(wrong(
                    document.line,
                    &format!("more than {COUNT_MAX} objects: split them over several runs"),
                ));
            }
            let mut lines = document.lines;
            lines.insert(String::new(), document.line);
            let (kind, mut object) = shape(document.value)
                .map_err(|(key, message)| wrong(nearest(&lines, &key), &format!("{}{message}", dotted(&key))))?;
            if let Some(Value::Object(spec)) = object.get_mut("spec") {
                secrets::fill_in(kind, spec, folder, &mut lines)
                    .map_err(|(key, message)| wrong(nearest(&lines, &key), &format!("{}{message}", dotted(&key))))?;
            }
            self.bodies.push(Value::Object(object));
            self.places.push(Place { file: Rc::clone(&file), lines });
        }
        Ok(())
    }
}

/// Turns the server's pointers back into places in files.
#[derive(Debug)]
pub(crate) struct Places(Vec<Place>);

impl Places {
    /// `FILE:LINE: FIELD: ` for a pointer such as `/3/spec/port`; nothing if it points to no object.
    pub(crate) fn locate(&self, pointer: &str) -> String {
        let rest = pointer.strip_prefix("/documents").unwrap_or(pointer);
        let (index, field) = match rest.strip_prefix('/').map(|rest| rest.split_once('/').unwrap_or((rest, ""))) {
            Some((index, field)) => (index.parse::<usize>().ok(), format!("/{field}")),
            None => (None, String::new()),
        };
        let Some(place) = index.and_then(|index| self.0.get(index)) else { return String::new() };
        let field = field.trim_end_matches('/');
        format!("{}:{}: {}", place.file.display(), nearest(&place.lines, field), dotted(field))
    }
}

/// A failure at a key, and what to do about it.
type Wrong = (String, String);

/// `kind`, `name`, `spec`, and nothing else.
fn shape(value: Value) -> Result<(Kind, Map<String, Value>), Wrong> {
    let at = |key: &str, message: &str| (key.to_owned(), message.to_owned());
    let Value::Object(object) = value else { return Err(at("", "write a map with `kind`, `name` and `spec`")) };
    if let Some(unknown) = object.keys().find(|key| !["kind", "name", "spec"].contains(&key.as_str())) {
        let key = format!("/{}", escape(unknown));
        return Err((key, "there is no such key: an object has `kind`, `name` and `spec`".to_owned()));
    }
    let Some(kind) = object.get("kind") else { return Err(at("", "`kind` is missing")) };
    let kind = kind.as_str().ok_or_else(|| at("/kind", "write one of the kinds, as text"))?;
    let kind: Kind = kind.parse().map_err(|message| ("/kind".to_owned(), message))?;
    match object.get("name") {
        None => return Err(at("", "`name` is missing")),
        Some(Value::String(_)) => {}
        Some(_) => return Err(at("/name", "write the name as text: put it in quotes")),
    }
    match object.get("spec") {
        None => return Err(at("", "`spec` is missing")),
        Some(Value::Object(_)) => {}
        Some(_) => return Err(at("/spec", "write a map of keys and values")),
    }
    Ok((kind, object))
}

/// The line of the pointer, or of the innermost thing around it that stands in the file.
fn nearest(lines: &HashMap<String, usize>, pointer: &str) -> usize {
    let mut pointer = pointer;
    loop {
        if let Some(line) = lines.get(pointer) {
            return *line;
        }
        pointer = &pointer[..pointer.rfind('/').unwrap_or(0)];
        if pointer.is_empty() {
            return lines.get("").copied().unwrap_or(1);
        }
    }
}

/// `/spec/labels/a~1b` as people write it: `spec.labels.a/b: `. Nothing for the whole object.
pub(crate) fn dotted(pointer: &str) -> String {
    let parts: Vec<_> = pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
    if parts.is_empty() { String::new() } else { format!("{}: ", parts.join(".")) }
}

/// A key inside a JSON pointer (RFC 6901).
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn read_text(file: &Path, left: u64) -> Result<String, Failure> {
    let wrong = |error: String| Failure::Configuration(format!("{}: {error}", file.display()));
    let opened = File::open(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let mut text = String::new();
    opened.take(left + 1).read_to_string(&mut text).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > left {
        return Err(wrong(format!("more than {} MiB of YAML: split it over several runs", SIZE_MAX >> 20)));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
