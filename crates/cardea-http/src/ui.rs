//! The web UI: files of `web/dist`, inside the binary. Every page that is no file is the one page, which finds its way
//! by itself.

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use crate::problem::Problem;

/// One file of the UI.
struct File {
    bytes: Bytes,
    /// Its media type.
    kind: String,
    /// Changes with its content.
    tag: String,
}

/// Finds a file by its path below `web/dist`.
type Find = fn(&str) -> Option<File>;

/// Answers whatever no route answered.
pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    respond(&method, uri.path(), &headers, find)
}

fn respond(method: &Method, path: &str, headers: &HeaderMap, find: Find) -> Response {
    if !matches!(*method, Method::GET | Method::HEAD) || path.starts_with("/api/") || path == "/api" {
        return Problem::not_found().into_response();
    }
    let path = path.trim_start_matches('/');
    // Names below `assets` change with their content.
    let is_hashed = path.starts_with("assets/");
    if let Some(file) = find(path).filter(|_| !path.is_empty()) {
        return answer(file, headers, if is_hashed { "public, max-age=31536000, immutable" } else { "no-cache" });
    }
    if is_hashed || !wants_page(headers) {
        return Problem::not_found().into_response();
    }
    match find("index.html") {
        Some(page) => answer(page, headers, "no-cache"),
        None => (StatusCode::NOT_FOUND, WITHOUT_UI).into_response(),
    }
}

fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
    accept.contains("text/html") || accept.contains("*/*")
}

fn answer(file: File, headers: &HeaderMap, caching: &'static str) -> Response {
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == file.tag.as_bytes());
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { file.bytes.into_response() };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    for (name, value) in [(header::CONTENT_TYPE, &file.kind), (header::ETAG, &file.tag)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    response
}

const WITHOUT_UI: &str = "This build of Cardea has no web UI inside. `cargo xtask dist` builds one that has. The API \
                          is at /api/v1, its description at /api/openapi.json.\n";

#[cfg(feature = "embed-ui")]
fn find(path: &str) -> Option<File> {
    #[derive(rust_embed::RustEmbed)]
    #[folder = "../../web/dist"]
    struct Dist;

    let file = Dist::get(path)?;
    let hash = file.metadata.sha256_hash()[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    let kind = if kind.type_() == "text" { format!("{kind}; charset=utf-8") } else { kind.to_string() };
    let bytes = match file.data {
        std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
    };
    Some(File { bytes, kind, tag: format!("\"{hash}\"") })
}

#[cfg(not(feature = "embed-ui"))]
fn find(_: &str) -> Option<File> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dist(path: &str) -> Option<File> {
        let text = match path {
            "index.html" => "<!doctype html>",
            "assets/index-abc123.js" => "export {}",
            "favicon.svg" => "<svg/>",
            _ => return None,
        };
        Some(File {
            bytes: Bytes::from_static(text.as_bytes()),
            kind: "text/plain".to_owned(),
            tag: "\"1\"".to_owned(),
        })
    }

    fn ask(path: &str, headers: &[(header::HeaderName, &'static str)]) -> (u16, String) {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        let response = respond(&Method::GET, path, &headers, dist);
        let caching = response.headers().get(header::CACHE_CONTROL).map_or("", |value| value.to_str().expect("text"));
        (response.status().as_u16(), caching.to_owned())
    }

    #[test]
    fn hashed_files_are_kept_for_ever_and_the_page_is_asked_for_again() {
        assert_eq!(ask("/assets/index-abc123.js", &[]), (200, "public, max-age=31536000, immutable".to_owned()));
        for page in ["/", "/sessions/anything", "/set-up", "/invitation"] {
            assert_eq!(ask(page, &[(header::ACCEPT, "text/html")]), (200, "no-cache".to_owned()), "{page}");
        }
        assert_eq!(ask("/favicon.svg", &[(header::IF_NONE_MATCH, "\"1\"")]), (304, "no-cache".to_owned()));
    }

    #[test]
    fn what_is_no_page_is_not_answered_with_one() {
        assert_eq!(ask("/assets/old-build.js", &[(header::ACCEPT, "*/*")]).0, 404);
        assert_eq!(ask("/api/v1/nothing", &[(header::ACCEPT, "text/html")]).0, 404);
        assert_eq!(ask("/picture.png", &[(header::ACCEPT, "image/png")]).0, 404);
    }
}
