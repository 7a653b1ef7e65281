//! Tags, whatever a service calls them: how an object carries what is declared, and how an interrupted create is found
//! again.
//!
//! The tags of a spec are what compile put there (ownership, name, the user's own). [`CREATE`] is added by the create
//! alone and never read back: it names the create and not the object's state. Entry points: [`at_create`] and
//! [`project`]; each service turns the pairs into its own types.

use std::collections::BTreeMap;

use crate::model::{AttrPath, Value};
use crate::resource::{FieldError, Ownership};

/// Keys and values.
pub type Tags = BTreeMap<String, String>;

/// The tag that holds the token of the create that made an object.
pub(in crate::kinds) const CREATE: &str = "meshplan:create";

/// AWS allows 50 tags an object ("Tag naming limits and requirements"); one is [`CREATE`].
const MOST: usize = 49;

/// The tags a create sets.
pub(in crate::kinds) fn at_create<'a>(
    tags: &'a Tags,
    owner: &'a Ownership,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).chain([(CREATE, owner.token.as_str())])
}

/// The tags of an object, without those that nobody declares: ours of the create, and AWS's own.
pub(in crate::kinds) fn project<'a>(tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> Tags {
    tags.into_iter()
        .filter(|(key, _)| *key != CREATE && !key.starts_with("aws:"))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Whether a create with this ownership made the object with these tags.
pub(in crate::kinds) fn made_by<'a>(owner: &Ownership, tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> bool {
    tags.into_iter().any(|(key, value)| key == CREATE && value == owner.token)
}

/// One request's worth of the way from some tags to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kinds) enum Step {
    /// Set these.
    Set(Vec<(String, String)>),
    /// Take these keys away.
    Remove(Vec<String>),
}

/// The next request on the way to `to`; `None` if nothing differs.
///
/// What is in `to` is set first: an object without its ownership tags is an orphan, with one tag too many it is not.
pub(in crate::kinds) fn step(from: &Tags, to: &Tags) -> Option<Step> {
    let changed: Vec<_> = to
        .iter()
        .filter(|(key, value)| from.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if !changed.is_empty() {
        return Some(Step::Set(changed));
    }
    let removed: Vec<_> = from.keys().filter(|key| !to.contains_key(*key)).cloned().collect();
    (!removed.is_empty()).then_some(Step::Remove(removed))
}

/// What is wrong with the `tags` of a spec ("Tag naming limits and requirements").
pub(in crate::kinds) fn check(spec: &Value) -> Vec<FieldError> {
    let Some(tags) = spec.get("tags").and_then(Value::as_object) else { return Vec::new() };
    let path = AttrPath::keys(&["tags"]);
    let mut errors = Vec::new();
    if tags.len() > MOST {
        errors.push(FieldError {
            path: path.clone(),
            message: format!("{} tags are more than the {MOST} that fit beside meshplan's own", tags.len()),
        });
    }
    for (key, value) in tags {
        let length = |text: &str| text.encode_utf16().count();
        let message = if key.starts_with("aws:") {
            "a tag's key may not start with `aws:`, which is reserved".to_owned()
        } else if key.is_empty() || length(key) > 128 {
            format!("a tag's key has 1 to 128 characters, and this one has {}", length(key))
        } else if value.as_str().is_some_and(|value| length(value) > 256) {
            "a tag's value has at most 256 characters".to_owned()
        } else {
            continue;
        };
        errors.push(FieldError { path: path.key(key), message });
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Address;

    fn owner() -> Ownership {
        Ownership { mesh: "m".to_owned(), address: Address::new("aws.vpc", &["n"]), token: "t0".to_owned() }
    }

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_tag_of_the_create_is_set_once_found_by_and_never_read_back() {
        let (tags, owner) = (tags(&[("Name", "n")]), owner());
        let set: Vec<_> = at_create(&tags, &owner).chain([("aws:cloudformation:stack-name", "x")]).collect();
        assert!(made_by(&owner, set.iter().copied()));
        assert!(!made_by(&Ownership { token: "t1".to_owned(), ..owner.clone() }, set.iter().copied()));
        assert_eq!(project(set), tags);
    }

    #[test]
    fn tags_are_set_before_others_are_taken_away() {
        let (from, to) = (tags(&[("a", "1"), ("b", "1")]), tags(&[("a", "2"), ("c", "1")]));
        let set = [("a".to_owned(), "2".to_owned()), ("c".to_owned(), "1".to_owned())];
        assert_eq!(step(&from, &to), Some(Step::Set(set.into())));
        assert_eq!(step(&tags(&[("a", "2"), ("b", "1"), ("c", "1")]), &to), Some(Step::Remove(vec!["b".to_owned()])));
        assert_eq!(step(&to, &to), None);
    }

    #[test]
    fn tags_that_aws_would_refuse_are_found_before() {
        let spec: Value = serde_json::from_str(&format!(
            r#"{{"tags": {{"aws:x": "1", "long": "{}", "fine": "1"}}}}"#,
            "v".repeat(257)
        ))
        .unwrap();
        let found: Vec<String> =
            check(&spec).into_iter().map(|error| format!("{}: {}", error.path, error.message)).collect();
        assert_eq!(
            found,
            [
                "tags.aws:x: a tag's key may not start with `aws:`, which is reserved",
                "tags.long: a tag's value has at most 256 characters"
            ]
        );
    }
}
