//! YAML, as far as configuration needs it: maps, lists and scalars, each with its line.
//!
//! Read event by event, so that nothing is expanded: anchors, aliases and tags are refused (they make bombs and
//! surprises), and so are keys that stand twice, of which other readers silently drop one.

use std::{borrow::Cow, collections::HashMap};

use saphyr::Scalar;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Value};

use super::escape;

/// Far beyond what any object needs; keeps every later walk over the value shallow.
const DEPTH_MAX: usize = 32;

/// One document of a file.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) value: Value,
    /// Where it begins.
    pub(super) line: usize,
    /// The line of every key and element, by its JSON pointer.
    pub(super) lines: HashMap<String, usize>,
}

/// What is wrong, and in which line.
#[derive(Debug)]
pub(super) struct YamlError {
    pub(super) line: usize,
    pub(super) message: String,
}

/// Reads every document that is not empty.
pub(super) fn parse(text: &str) -> Result<Vec<Document>, YamlError> {
    let mut documents = Vec::new();
    let mut reader = Reader::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| YamlError {
            line: error.marker().line(),
            message: format!("this is not YAML: {}", error.info()),
        })?;
        match event {
            Event::DocumentStart(_) => reader = Reader::default(),
            Event::DocumentEnd => documents.extend(std::mem::take(&mut reader).finish()),
            Event::Nothing | Event::StreamStart | Event::StreamEnd => {}
            event => reader.take(event, span)?,
        }
    }
    Ok(documents)
}

/// Builds one document.
#[derive(Default)]
struct Reader {
    open: Vec<Open>,
    root: Option<(Value, usize)>,
    lines: HashMap<String, usize>,
}

/// A map or a list whose end has not come yet.
struct Open {
    pointer: String,
    line: usize,
    content: Content,
}

enum Content {
    List(Vec<Value>),
    /// With the key whose value comes next.
    Map(Map<String, Value>, Option<String>),
}

impl Reader {
    fn finish(self) -> Option<Document> {
        let (value, line) = self.root.filter(|(value, _)| !value.is_null())?;
        Some(Document { value, line, lines: self.lines })
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let line = span.start.line();
        let refuse = |message: &str| Err(YamlError { line, message: message.to_owned() });
        match event {
            Event::Alias(_) => refuse("aliases (`*name`) are not read: write the value out"),
            Event::Scalar(_, _, anchor, _) | Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _)
                if anchor != 0 =>
            {
                refuse("anchors (`&name`) are not read: write the value out where it is needed")
            }
            Event::Scalar(.., Some(_)) | Event::SequenceStart(_, Some(_)) | Event::MappingStart(_, Some(_)) => {
                refuse("tags (`!name`) are not read: take it out, and put text in quotes")
            }
            Event::Scalar(text, style, ..) => self.scalar(text, style, line),
            Event::SequenceStart(..) => self.begin(Content::List(Vec::new()), line),
            Event::MappingStart(..) => self.begin(Content::Map(Map::new(), None), line),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    fn scalar(&mut self, text: Cow<'_, str>, style: ScalarStyle, line: usize) -> Result<(), YamlError> {
        if let Some(Open { pointer, content: Content::Map(map, key @ None), .. }) = self.open.last_mut() {
            let pointer = format!("{pointer}/{}", escape(&text));
            if map.contains_key(text.as_ref()) {
                let first = self.lines.get(&pointer).copied().unwrap_or_default();
                let message = format!("`{text}` stands here and in line {first}: keep one of them");
                return Err(YamlError { line, message });
            }
            self.lines.insert(pointer, line);
            *key = Some(text.into_owned());
            return Ok(());
        }
        let value = value_of(text, style).map_err(|message| YamlError { line, message })?;
        self.place(value, line);
        Ok(())
    }

    fn begin(&mut self, content: Content, line: usize) -> Result<(), YamlError> {
        if self.open.len() == DEPTH_MAX {
            return Err(YamlError {
                line,
                message: format!("nested more than {DEPTH_MAX} deep: no object needs that"),
            });
        }
        let pointer = self.next_pointer().ok_or_else(|| YamlError {
            line,
            message: "a map or a list cannot be a key: write the key as text".to_owned(),
        })?;
        // An element of a list has its own line; a value stands where its key does.
        self.lines.entry(pointer.clone()).or_insert(line);
        self.open.push(Open { pointer, line, content });
        Ok(())
    }

    fn end(&mut self) -> Result<(), YamlError> {
        let Some(Open { line, content, .. }) = self.open.pop() else { return Ok(()) };
        let value = match content {
            Content::List(list) => Value::Array(list),
            Content::Map(map, _) => Value::Object(map),
        };
        self.place(value, line);
        Ok(())
    }

    /// Where the next value belongs; nothing where only a key may stand.
    fn next_pointer(&self) -> Option<String> {
        Some(match self.open.last() {
            None => String::new(),
            Some(Open { pointer, content: Content::List(list), .. }) => format!("{pointer}/{}", list.len()),
            Some(Open { pointer, content: Content::Map(_, key), .. }) => {
                format!("{pointer}/{}", escape(key.as_deref()?))
            }
        })
    }

    fn place(&mut self, value: Value, line: usize) {
        match self.open.last_mut() {
            None => self.root = Some((value, line)),
            Some(Open { pointer, content: Content::List(list), .. }) => {
                self.lines.entry(format!("{pointer}/{}", list.len())).or_insert(line);
                list.push(value);
            }
            Some(Open { content: Content::Map(map, key), .. }) => {
                if let Some(key) = key.take() {
                    map.insert(key, value);
                }
            }
        }
    }
}

/// A scalar by the rules of YAML 1.2's core schema: only what is not quoted can be anything but text.
fn value_of(text: Cow<'_, str>, style: ScalarStyle) -> Result<Value, String> {
    if style != ScalarStyle::Plain {
        return Ok(Value::String(text.into_owned()));
    }
    if text.is_empty() {
        return Ok(Value::Null);
    }
    Ok(match Scalar::parse_from_cow(text) {
        Scalar::Null => Value::Null,
        Scalar::Boolean(value) => Value::Bool(value),
        Scalar::Integer(value) => Value::from(value),
        Scalar::FloatingPoint(value) => serde_json::Number::from_f64(value.into_inner())
            .map(Value::Number)
            .ok_or("infinity and NaN are not values of anything here")?,
        Scalar::String(text) => Value::String(text.into_owned()),
    })
}
