//! Where texts go in a body, as the document's types say.

use serde_json::{Map, Value, json};

/// Stands where the text goes, in a body that is otherwise well formed.
const PLACE: &str = "\u{e000}here\u{e000}";

/// The types of the document.
pub(super) struct Types(pub(super) Value);

impl Types {
    /// The type that is meant, and not one that refers to it.
    fn of<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(name) => self.of(self.0.pointer(name.trim_start_matches('#')).expect("it is in the document")),
            None => schema,
        }
    }

    /// One of several, `null` left out.
    fn choices<'a>(&'a self, schema: &'a Value) -> Vec<&'a Value> {
        let lists = ["oneOf", "anyOf", "allOf"].into_iter().filter_map(|key| schema[key].as_array());
        lists.flatten().filter(|choice| choice["type"] != "null").collect()
    }

    /// The least that is of this type.
    fn least(&self, schema: &Value, depth: usize) -> Value {
        let schema = self.of(schema);
        if let Some(value) = schema.get("const").or_else(|| schema["enum"].as_array().and_then(|all| all.first())) {
            return value.clone();
        }
        if let Some(choice) = self.choices(schema).first().filter(|_| depth > 0) {
            return self.least(choice, depth - 1);
        }
        match kind_of(schema) {
            "string" => json!("x"),
            "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
            "boolean" => json!(false),
            "array" => json!([]),
            "object" => self.least_object(schema, depth),
            _ => Value::Null,
        }
    }

    fn least_object(&self, schema: &Value, depth: usize) -> Value {
        let needed = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let needed = needed.filter(|_| depth > 0);
        needed
            .map(|key| (key.to_owned(), self.least(&schema["properties"][key], depth - 1)))
            .collect::<Map<_, _>>()
            .into()
    }

    /// Every place for a text in a value of this type: its pointer, and the value with [`PLACE`] there. What is known of a good
    /// value is kept around it.
    pub(super) fn places(&self, schema: &Value, good: Option<&Value>, depth: usize) -> Vec<(String, Value)> {
        let schema = self.of(schema);
        if depth == 0 {
            return Vec::new();
        }
        let mut found = Vec::new();
        for choice in self.choices(schema) {
            found.extend(self.places(choice, good.filter(|good| self.could_be(good, choice)), depth - 1));
        }
        match kind_of(schema) {
            "string" => found.push((String::new(), json!(PLACE))),
            "array" => {
                let first = good.and_then(|good| good.get(0));
                let items = self.places(&schema["items"], first, depth - 1);
                found.extend(items.into_iter().map(|(pointer, item)| (format!("/0{pointer}"), json!([item]))));
            }
            "object" => {
                let whole = good.cloned().unwrap_or_else(|| self.least_object(schema, depth));
                for (key, property) in schema["properties"].as_object().into_iter().flatten() {
                    for (pointer, value) in self.places(property, whole.get(key), depth - 1) {
                        found.push((format!("/{key}{pointer}"), with(&whole, key, value)));
                    }
                }
                let more = &schema["additionalProperties"];
                if more.is_object() {
                    found.push((format!("/{PLACE}"), with(&whole, PLACE, self.least(more, depth - 1))));
                    let values = self.places(more, None, depth - 1).into_iter();
                    found.extend(values.map(|(pointer, value)| (format!("/x{pointer}"), with(&whole, "x", value))));
                }
            }
            _ => {}
        }
        found
    }

    /// Whether an object has only what this type has.
    fn could_be(&self, good: &Value, schema: &Value) -> bool {
        let properties = self.of(schema)["properties"].as_object();
        good.as_object().zip(properties).is_none_or(|(good, known)| good.keys().all(|key| known.contains_key(key)))
    }
}

/// The type that is not `null`.
fn kind_of(schema: &Value) -> &str {
    let several = schema["type"].as_array().into_iter().flatten().filter_map(Value::as_str);
    schema["type"].as_str().or_else(|| several.into_iter().find(|kind| *kind != "null")).unwrap_or_default()
}

pub(super) fn with(whole: &Value, key: &str, value: Value) -> Value {
    let mut whole = whole.clone();
    if let Some(map) = whole.as_object_mut() {
        map.insert(key.to_owned(), value);
    }
    whole
}

/// The value with the text in its place, be that a value or a key.
pub(super) fn placed(value: &Value, text: &str) -> Value {
    match value {
        Value::String(here) if here == PLACE => json!(text),
        Value::Array(items) => items.iter().map(|item| placed(item, text)).collect(),
        Value::Object(map) => {
            let key = |key: &str| if key == PLACE { text.to_owned() } else { key.to_owned() };
            map.iter().map(|(name, value)| (key(name), placed(value, text))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}
