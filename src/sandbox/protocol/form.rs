//! Decodes `application/x-www-form-urlencoded` bodies in which dots make a tree: `Filter.1.Value.2=x`.
//!
//! Entry point: [`Params::parse`]. Values stay text; each operation reads them with the accessors of [`Node`].

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::Value;

use super::ApiError;
use super::error::lower_first;

/// How deep a name may nest: EC2's deepest is five (`IpPermissions.1.IpRanges.1.CidrIp`).
const MAX_DEPTH: usize = 12;

/// The parameters of one request.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Params {
    root: Node,
}

/// A place in the tree: its own text, or what is under it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    value: Option<String>,
    children: BTreeMap<String, Node>,
}

impl Params {
    /// Decodes a body. A name given twice is an error, as it is on AWS.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut root = Node::default();
        for (name, value) in form_urlencoded::parse(body) {
            let mut node = &mut root;
            for (depth, part) in name.split('.').enumerate() {
                if depth >= MAX_DEPTH {
                    return Err(ApiError::new("MalformedQueryString", format!("The parameter {name} nests too deep")));
                }
                node = match node.children.entry(part.to_owned()) {
                    Entry::Occupied(entry) => entry.into_mut(),
                    Entry::Vacant(entry) => entry.insert(Node::default()),
                };
            }
            if node.value.replace(value.into_owned()).is_some() {
                return Err(ApiError::new(
                    "InvalidParameterCombination",
                    format!("The parameter {name} may only be specified once"),
                ));
            }
        }
        Ok(Self { root })
    }

    /// The whole tree.
    pub(crate) fn root(&self) -> &Node {
        &self.root
    }

    /// The names at the top, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.root.children.keys().map(String::as_str)
    }

    /// Puts a text at a top-level name; used when one request is made from another.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let mut node = &mut self.root;
        for part in name.split('.') {
            node = node.children.entry(part.to_owned()).or_default();
        }
        node.value = Some(value.to_owned());
    }

    /// The parameters as a JSON document: numbered places become lists, all values stay text.
    pub(crate) fn to_json(&self) -> Value {
        self.root.to_json()
    }

    /// The parameters as one canonical text, without the names in `except`: what a client token is bound to.
    pub(crate) fn canonical(&self, except: &[&str]) -> String {
        let mut out = String::new();
        for (name, node) in &self.root.children {
            if !except.contains(&name.as_str()) {
                node.write_canonical(name, &mut out);
            }
        }
        out
    }
}

impl Node {
    fn to_json(&self) -> Value {
        if self.children.is_empty() {
            return self.value.clone().map_or(Value::Null, Value::String);
        }
        if self.children.keys().all(|key| key.parse::<u32>().is_ok()) {
            return self.items().into_iter().map(Self::to_json).collect();
        }
        Value::Object(self.children.iter().map(|(key, child)| (key.clone(), child.to_json())).collect())
    }

    fn write_canonical(&self, name: &str, out: &mut String) {
        if let Some(value) = &self.value {
            out.extend([name, "=", value, "\n"]);
        }
        for (part, child) in &self.children {
            child.write_canonical(&format!("{name}.{part}"), out);
        }
    }

    /// The place at a dotted path under this one.
    pub(crate) fn at(&self, path: &str) -> Option<&Node> {
        path.split('.').try_fold(self, |node, part| node.children.get(part))
    }

    /// This place's own text.
    pub(crate) fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// The text at a path; an empty text counts as absent, as EC2 treats it.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.at(path).and_then(Node::value).filter(|text| !text.is_empty())
    }

    /// The text at a path, or `MissingParameter`.
    pub(crate) fn required(&self, path: &str) -> Result<&str, ApiError> {
        self.text(path).ok_or_else(|| ApiError::missing(path))
    }

    /// The truth value at a path.
    pub(crate) fn boolean(&self, path: &str) -> Result<Option<bool>, ApiError> {
        match self.text(path) {
            None => Ok(None),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(text) => {
                Err(ApiError::value(format!("Invalid value '{text}' for boolean parameter {}", lower_first(path))))
            }
        }
    }

    /// The whole number at a path.
    pub(crate) fn integer(&self, path: &str) -> Result<Option<i64>, ApiError> {
        self.text(path)
            .map(|text| text.parse().map_err(|_| ApiError::bad_value(text, path, "The value must be an integer")))
            .transpose()
    }

    /// The items of a list at a path (`Path.1`, `Path.2`, …), in the order of their numbers.
    pub(crate) fn list(&self, path: &str) -> Vec<&Node> {
        self.at(path).map(Self::items).unwrap_or_default()
    }

    fn items(&self) -> Vec<&Node> {
        let mut items: Vec<(u32, &Node)> =
            self.children.iter().filter_map(|(key, item)| Some((key.parse().ok()?, item))).collect();
        items.sort_by_key(|(number, _)| *number);
        items.into_iter().map(|(_, item)| item).collect()
    }

    /// The texts of a list at a path.
    pub(crate) fn texts(&self, path: &str) -> Vec<&str> {
        self.list(path).into_iter().filter_map(Node::value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_make_a_tree_and_numbers_order_lists() {
        let params =
            Params::parse(b"Action=X&Filter.1.Name=a&Filter.1.Value.10=z&Filter.1.Value.2=y&Flag.Value=TRUE").unwrap();
        let filter = params.root().list("Filter")[0];
        assert_eq!(filter.text("Name"), Some("a"));
        assert_eq!(filter.texts("Value"), ["y", "z"]);
        assert_eq!(params.root().boolean("Flag.Value").unwrap(), Some(true));
        assert_eq!(params.root().boolean("Action").unwrap_err().code, "InvalidParameterValue");
        assert_eq!(
            params.root().required("VpcId").unwrap_err().message,
            "The request must contain the parameter vpcId"
        );
    }

    #[test]
    fn a_form_is_a_document_of_texts() {
        let params = Params::parse(b"name=x&a.b=true&l.2=q&l.1=p").unwrap();
        assert_eq!(params.to_json(), serde_json::json!({"name": "x", "a": {"b": "true"}, "l": ["p", "q"]}));
    }

    #[test]
    fn a_name_given_twice_or_too_deep_is_refused() {
        assert_eq!(Params::parse(b"A=1&A=2").unwrap_err().code, "InvalidParameterCombination");
        assert_eq!(Params::parse(b"a.a.a.a.a.a.a.a.a.a.a.a.a=1").unwrap_err().code, "MalformedQueryString");
    }

    #[test]
    fn the_canonical_text_leaves_names_out_and_ignores_order() {
        let one = Params::parse(b"B.1=x&A=y&ClientToken=1").unwrap();
        let two = Params::parse(b"ClientToken=2&A=y&B.1=x").unwrap();
        assert_eq!(one.canonical(&["ClientToken"]), two.canonical(&["ClientToken"]));
        assert_eq!(one.canonical(&["ClientToken"]), "A=y\nB.1=x\n");
    }
}
