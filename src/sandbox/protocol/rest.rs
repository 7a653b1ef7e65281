//! The routes of a restJson service: which operation a method and a path mean, and what the path says.
//!
//! Entry point: [`resolve`].

use serde_json::{Map, Value};

/// A method and a path that mean an operation.
#[derive(Debug)]
pub(crate) struct Route {
    /// The HTTP method.
    pub(crate) method: &'static str,
    /// The path; `{name}` stands for one segment that becomes the member `name` of the document.
    pub(crate) path: &'static str,
    /// The operation.
    pub(crate) operation: &'static str,
}

/// A route.
pub(crate) const fn route(method: &'static str, path: &'static str, operation: &'static str) -> Route {
    Route { method, path, operation }
}

/// The operation that a request means, and the document it makes: the body's members, the query's, the path's.
pub(crate) fn resolve(
    routes: &'static [Route],
    (method, path, query): (&str, &str, Option<&str>),
    body: Map<String, Value>,
) -> Option<(&'static str, Value)> {
    let segments: Vec<String> = path.trim_matches('/').split('/').map(decode).collect();
    let (route, labels) = routes
        .iter()
        .filter(|route| route.method.eq_ignore_ascii_case(method))
        .find_map(|route| Some((route, labels(route.path, &segments)?)))?;
    let mut document = body;
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let value = Value::String(value.into_owned());
        match document.get_mut(name.as_ref()) {
            None => drop(document.insert(name.into_owned(), value)),
            Some(Value::Array(values)) => values.push(value),
            Some(one) => *one = Value::Array(vec![one.take(), value]),
        }
    }
    document.extend(labels);
    Some((route.operation, Value::Object(document)))
}

/// The members that a path gives, if it has the form of the pattern.
fn labels(pattern: &str, segments: &[String]) -> Option<Vec<(String, Value)>> {
    let parts: Vec<&str> = pattern.trim_matches('/').split('/').collect();
    if parts.len() != segments.len() {
        return None;
    }
    let mut labels = Vec::new();
    for (part, segment) in parts.into_iter().zip(segments) {
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) if !segment.is_empty() => labels.push((name.to_owned(), Value::from(segment.as_str()))),
            None if part == segment => {}
            Some(_) | None => return None,
        }
    }
    Some(labels)
}

/// A segment without percent signs; what is no valid escape stays as it is.
fn decode(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| after.split_at_checked(2)).flatten().and_then(|(digits, after)| {
            let digits = std::str::from_utf8(digits).ok()?;
            Some((u8::from_str_radix(digits, 16).ok()?, after))
        });
        let (byte, after) = escaped.unwrap_or((*first, after));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    static ROUTES: &[Route] = &[
        route("GET", "/clusters", "ListClusters"),
        route("GET", "/clusters/{name}", "DescribeCluster"),
        route("POST", "/clusters/{name}/updates", "UpdateClusterVersion"),
    ];

    #[test]
    fn paths_queries_and_bodies_make_one_document() {
        let ask = |method, path, query| resolve(ROUTES, (method, path, query), Map::new());
        assert_eq!(
            ask("GET", "/clusters", Some("include=a&include=b&maxResults=5")),
            Some(("ListClusters", json!({"include": ["a", "b"], "maxResults": "5"})))
        );
        assert_eq!(ask("GET", "/clusters/a%2Fb%3a+c", None), Some(("DescribeCluster", json!({"name": "a/b:+c"}))));
        assert_eq!(ask("PUT", "/clusters", None), None);
        assert_eq!(ask("GET", "/clusters//", None), Some(("ListClusters", json!({}))));
        let body = Map::from_iter([("version".to_owned(), json!("1.35"))]);
        assert_eq!(
            resolve(ROUTES, ("POST", "/clusters/x/updates", None), body),
            Some(("UpdateClusterVersion", json!({"name": "x", "version": "1.35"})))
        );
    }
}
