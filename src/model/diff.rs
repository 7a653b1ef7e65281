//! Three-way differences: what we last applied decides what is ours, what the cloud says decides what differs,
//! what is declared decides the goal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::secret::{is_masked, mask};
use super::{AttrPath, Segment, Value};

/// What a kind says about a field of its spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldTrait {
    /// Cannot be updated in place: a change replaces the resource.
    Immutable,
    /// Can be added in place, but once set a change replaces the resource (a subnet's IPv6 block).
    ImmutableOnceSet,
    /// A list whose order means nothing.
    Unordered,
    /// Never shown or stored: compared by salted digest.
    Sensitive,
    /// Cannot be read back: compared with what was last applied, never with what is observed.
    WriteOnly,
    /// Used by the create alone: what it is later is not ours (a node group's desired size).
    AtCreate,
    /// Chosen by the provider when it is not declared: no longer declaring it changes nothing.
    Computed,
    /// A table that is ours as a whole: what is in it and not declared is removed, whoever put it there.
    Exclusive,
}

/// The traits of one field, or of every field below it.
#[derive(Debug, Clone, Copy)]
pub struct FieldRule {
    /// Keys separated by dots, `*` for any key or index: `ingress.*.cidr`.
    pub path: &'static str,
    /// What holds for it.
    pub traits: &'static [FieldTrait],
}

/// What a field change does to its resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Impact {
    /// It is updated in place.
    Update,
    /// It forces replacement.
    Replace,
}

/// Where a field change comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The declaration changed.
    Changed,
    /// The cloud no longer holds what was applied.
    Drifted,
}

/// One field's before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Where in the spec.
    pub path: AttrPath,
    /// What is observed; absent when the field is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What is desired; absent when the field is to be removed, with holes where it is known after apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// What it does to the resource.
    pub impact: Impact,
    /// Where it comes from.
    pub cause: Cause,
}

/// The three documents of a comparison.
#[derive(Debug, Clone, Copy)]
pub struct ThreeWay<'a> {
    /// The goal; may have holes.
    pub desired: &'a Value,
    /// What was last applied, with sensitive fields masked; `None` for a resource that is being adopted.
    pub prior: Option<&'a Value>,
    /// What the cloud holds, projected to the declared shape.
    pub observed: &'a Value,
}

/// The changes that lead from `observed` to `desired`, in document order.
///
/// `salt` masks sensitive fields: see [`mask`].
#[must_use]
pub fn diff(documents: ThreeWay<'_>, rules: &[FieldRule], salt: &str) -> Vec<FieldChange> {
    let creates = documents.prior.is_none() && documents.observed.as_object().is_some_and(BTreeMap::is_empty);
    let mut differ = Differ { rules, salt, creates, path: Vec::new(), changes: Vec::new() };
    differ.compare(Some(documents.desired), documents.prior, Some(documents.observed));
    differ.changes
}

/// `observed` once `changes` are made: their fields as in `desired`, and everything else as it is. What a diff does
/// not name is not ours, and an update that was given `desired` itself would take it away.
#[must_use]
pub fn patch(observed: &Value, desired: &Value, changes: &[FieldChange]) -> Value {
    let mut patched = observed.clone();
    for change in changes {
        take_over(&mut patched, desired, change.path.segments());
    }
    patched
}

/// What an update is given: [`patch`], and the fields that cannot be read back as they are declared. What is observed
/// says nothing of those, and an update sends them all the same.
#[must_use]
pub fn outgoing(observed: &Value, desired: &Value, changes: &[FieldChange], rules: &[FieldRule]) -> Value {
    let mut outgoing = patch(observed, desired, changes);
    for rule in rules.iter().filter(|rule| rule.traits.contains(&FieldTrait::WriteOnly) && !rule.path.contains('*')) {
        let path: Vec<Segment> = rule.path.split('.').map(|key| Segment::Key(key.to_owned())).collect();
        take_over(&mut outgoing, desired, &path);
    }
    outgoing
}

fn take_over(target: &mut Value, desired: &Value, path: &[Segment]) {
    // A diff descends into objects only: lists change as a whole.
    let [Segment::Key(key), rest @ ..] = path else {
        target.clone_from(desired);
        return;
    };
    if target.as_object().is_none() {
        *target = Value::Object(BTreeMap::new());
    }
    let Value::Object(fields) = target else { return };
    match desired.get(key) {
        Some(desired) => take_over(fields.entry(key.clone()).or_default(), desired, rest),
        None => {
            fields.remove(key);
        }
    }
}

/// `spec` with every sensitive field masked: the form in which it may be stored or shown.
#[must_use]
pub fn mask_sensitive(spec: &Value, rules: &[FieldRule], salt: &str) -> Value {
    if !rules.iter().any(|rule| rule.traits.contains(&FieldTrait::Sensitive)) {
        return spec.clone();
    }
    mask_below(spec, rules, salt, &mut Vec::new())
}

/// Whether the field at this path is sensitive.
#[must_use]
pub fn is_sensitive(rules: &[FieldRule], path: &AttrPath) -> bool {
    has_trait(rules, path.segments(), FieldTrait::Sensitive)
}

/// The first sensitive field of `spec` whose value could be read: not a hole, not masked.
#[must_use]
pub fn exposed(spec: &Value, rules: &[FieldRule]) -> Option<AttrPath> {
    if !rules.iter().any(|rule| rule.traits.contains(&FieldTrait::Sensitive)) {
        return None;
    }
    exposed_below(spec, rules, &mut Vec::new())
}

fn exposed_below(value: &Value, rules: &[FieldRule], path: &mut Vec<Segment>) -> Option<AttrPath> {
    let mut child = |segment: Segment, value: &Value| {
        path.push(segment);
        let found = exposed_below(value, rules, path);
        path.pop();
        found
    };
    match value {
        Value::Null | Value::Unknown(_) => None,
        value if is_masked(value) => None,
        Value::Object(fields) => fields.iter().find_map(|(key, value)| child(Segment::Key(key.clone()), value)),
        Value::Array(items) => items.iter().enumerate().find_map(|(n, value)| child(Segment::Index(n), value)),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            has_trait(rules, path, FieldTrait::Sensitive).then(|| path.iter().cloned().collect())
        }
    }
}

fn mask_below(value: &Value, rules: &[FieldRule], salt: &str, path: &mut Vec<Segment>) -> Value {
    if has_trait(rules, path, FieldTrait::Sensitive) {
        return mask(value, salt);
    }
    let mut child = |segment: Segment, value: &Value| {
        path.push(segment);
        let masked = mask_below(value, rules, salt, path);
        path.pop();
        masked
    };
    match value {
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, v)| (key.clone(), child(Segment::Key(key.clone()), v))).collect())
        }
        Value::Array(items) => {
            Value::Array(items.iter().enumerate().map(|(n, v)| child(Segment::Index(n), v)).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Unknown(_) => value.clone(),
    }
}

/// What of a spec stays as it is while nobody changes it: without fields that only a create uses, and with the elements
/// of unordered lists in one order.
#[must_use]
pub fn settled(spec: &Value, rules: &[FieldRule]) -> Value {
    settled_below(spec, rules, &mut Vec::new())
}

fn settled_below(value: &Value, rules: &[FieldRule], path: &mut Vec<Segment>) -> Value {
    match value {
        Value::Object(fields) => {
            let mut kept = BTreeMap::new();
            for (key, field) in fields {
                path.push(Segment::Key(key.clone()));
                if !has_trait(rules, path, FieldTrait::AtCreate) {
                    kept.insert(key.clone(), settled_below(field, rules, path));
                }
                path.pop();
            }
            Value::Object(kept)
        }
        Value::Array(items) if has_trait(rules, path, FieldTrait::Unordered) => {
            let mut items = items.clone();
            items.sort_by_cached_key(ToString::to_string);
            Value::Array(items)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Unknown(_) => {
            value.clone()
        }
    }
}

/// Whether a rule with this trait covers the path or one of its ancestors.
fn has_trait(rules: &[FieldRule], path: &[Segment], wanted: FieldTrait) -> bool {
    rules.iter().any(|rule| rule.traits.contains(&wanted) && covers(rule.path, path))
}

fn covers(pattern: &str, path: &[Segment]) -> bool {
    let mut segments = path.iter();
    pattern.split('.').all(|part| match segments.next() {
        Some(Segment::Key(key)) => part == "*" || part == key,
        Some(Segment::Index(_)) => part == "*",
        None => false,
    })
}

struct Differ<'a> {
    rules: &'a [FieldRule],
    salt: &'a str,
    /// Whether there is nothing yet to compare with.
    creates: bool,
    path: Vec<Segment>,
    changes: Vec<FieldChange>,
}

impl Differ<'_> {
    fn has(&self, wanted: FieldTrait) -> bool {
        has_trait(self.rules, &self.path, wanted)
    }

    fn compare(&mut self, desired: Option<&Value>, prior: Option<&Value>, observed: Option<&Value>) {
        let (desired, prior, observed) = (set(desired), set(prior), set(observed));
        if self.has(FieldTrait::Sensitive) {
            let masked = |value: Option<&Value>| value.map(|value| mask(value, self.salt));
            let (desired, prior, observed) = (masked(desired), masked(prior), masked(observed));
            return self.compare_leaf(desired.as_ref(), prior.as_ref(), observed.as_ref());
        }
        let object = |value: Option<&Value>| value.is_some_and(|value| value.as_object().is_some());
        if object(desired) && (object(observed) || observed.is_none()) {
            let keys = |value: Option<&'_ Value>| {
                value.and_then(Value::as_object).into_iter().flatten().map(|(key, _)| key.clone()).collect::<Vec<_>>()
            };
            // Ours are the fields that are declared and those that were: a field in neither is not ours to touch.
            let mut ours = keys(desired);
            ours.extend(keys(prior));
            if self.has(FieldTrait::Exclusive) {
                ours.extend(keys(observed));
            }
            ours.sort_unstable();
            ours.dedup();
            if observed.is_none() && ours.is_empty() {
                return self.compare_leaf(desired, prior, observed);
            }
            for key in ours {
                let field = |value: Option<&'_ Value>| value.and_then(|value| value.get(&key)).cloned();
                let (d, p, o) = (field(desired), field(prior), field(observed));
                self.path.push(Segment::Key(key));
                self.compare(d.as_ref(), p.as_ref(), o.as_ref());
                self.path.pop();
            }
            return;
        }
        self.compare_leaf(desired, prior, observed);
    }

    /// A value as it may be shown: sensitive fields inside it masked.
    fn masked(&self, value: &Value) -> Value {
        mask_below(value, self.rules, self.salt, &mut self.path.clone())
    }

    fn compare_leaf(&mut self, desired: Option<&Value>, prior: Option<&Value>, observed: Option<&Value>) {
        let observed = if self.has(FieldTrait::WriteOnly) { prior } else { observed };
        let unordered = self.has(FieldTrait::Unordered);
        // A create shows it, being compared with nothing; whatever is there later is not ours to change.
        if self.has(FieldTrait::AtCreate) && !self.creates {
            return;
        }
        match (desired, observed) {
            (None, None) => return,
            (None, Some(_)) if prior.is_none() && !self.has(FieldTrait::Exclusive) => return,
            (None, Some(_)) if self.has(FieldTrait::Computed) => return,
            (Some(desired), Some(observed)) if same(desired, observed, unordered) => return,
            (None | Some(_), Some(_)) | (Some(_), None) => {}
        }
        let replaces = self.has(FieldTrait::Immutable)
            || (self.has(FieldTrait::ImmutableOnceSet) && observed.is_some() && desired.is_some());
        let unchanged_declaration = match (desired, prior) {
            (Some(desired), Some(prior)) => same(desired, prior, unordered),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        self.changes.push(FieldChange {
            path: self.path.iter().cloned().collect(),
            before: observed.map(|value| self.masked(value)),
            after: desired.map(|value| self.masked(value)),
            impact: if replaces { Impact::Replace } else { Impact::Update },
            cause: if unchanged_declaration { Cause::Drifted } else { Cause::Changed },
        });
    }
}

/// A null field is a field that is not set.
fn set(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !matches!(value, Value::Null))
}

fn same(a: &Value, b: &Value, unordered: bool) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) if unordered => {
            let sorted = |items: &[Value]| {
                let mut texts: Vec<String> = items.iter().map(ToString::to_string).collect();
                texts.sort_unstable();
                texts
            };
            a.len() == b.len() && sorted(a) == sorted(b)
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &[FieldRule] = &[
        FieldRule { path: "cidr", traits: &[FieldTrait::Immutable] },
        FieldRule { path: "ipv6", traits: &[FieldTrait::ImmutableOnceSet] },
        FieldRule { path: "azs", traits: &[FieldTrait::Unordered] },
        FieldRule { path: "key", traits: &[FieldTrait::Sensitive] },
        FieldRule { path: "once", traits: &[FieldTrait::WriteOnly] },
        FieldRule { path: "chosen", traits: &[FieldTrait::Computed] },
        FieldRule { path: "values", traits: &[FieldTrait::Exclusive] },
    ];

    fn value(json: &str) -> Value {
        serde_json::from_str(json).unwrap()
    }

    fn changes(desired: &str, prior: &str, observed: &str) -> Vec<String> {
        let (desired, prior, observed) =
            (value(desired), mask_sensitive(&value(prior), RULES, "salt"), value(observed));
        diff(ThreeWay { desired: &desired, prior: Some(&prior), observed: &observed }, RULES, "salt")
            .into_iter()
            .map(|change| {
                let text = |value: Option<Value>| value.map_or("-".to_owned(), |value| value.to_string());
                format!(
                    "{} {}->{} {:?} {:?}",
                    change.path,
                    text(change.before),
                    text(change.after),
                    change.impact,
                    change.cause
                )
            })
            .collect()
    }

    #[test]
    fn what_moves_by_itself_is_not_part_of_what_is_settled() {
        let rules = [
            FieldRule { path: "desired", traits: &[FieldTrait::AtCreate] },
            FieldRule { path: "subnets", traits: &[FieldTrait::Unordered] },
        ];
        let spec = |text: &str| settled(&serde_json::from_str(text).unwrap(), &rules);
        let one = spec(r#"{"desired": 2, "subnets": ["a", "b"], "types": ["x", "y"]}"#);
        assert_eq!(one, spec(r#"{"desired": 5, "subnets": ["b", "a"], "types": ["x", "y"]}"#));
        assert_ne!(one, spec(r#"{"desired": 2, "subnets": ["a", "b"], "types": ["y", "x"]}"#));
    }

    #[test]
    fn what_is_declared_is_compared_and_what_is_in_neither_is_not_ours() {
        assert_eq!(
            changes(
                r#"{"tags":{"a":"2","c":"1"}}"#,
                r#"{"tags":{"a":"1","b":"1"}}"#,
                r#"{"tags":{"a":"1","b":"1","x":"9"}}"#
            ),
            ["tags.a \"1\"->\"2\" Update Changed", "tags.b \"1\"->- Update Changed", "tags.c -->\"1\" Update Changed"]
        );
    }

    #[test]
    fn patching_reaches_what_is_ours_and_leaves_the_rest() {
        for (desired, prior, observed, expected) in [
            (
                r#"{"tags":{"a":"2","c":"1"}}"#,
                r#"{"tags":{"a":"1","b":"1"}}"#,
                r#"{"tags":{"a":"1","b":"1","x":"9"},"other":true}"#,
                r#"{"tags":{"a":"2","c":"1","x":"9"},"other":true}"#,
            ),
            (r#"{"tags":{"a":"1"}}"#, "{}", r#"{"tags":null}"#, r#"{"tags":{"a":"1"}}"#),
            (r#"{"azs":["a"]}"#, "{}", r#"{"azs":["b","c"]}"#, r#"{"azs":["a"]}"#),
            (r#"{"key":"new"}"#, r#"{"key":"old"}"#, r#"{"key":"old"}"#, r#"{"key":"new"}"#),
        ] {
            let (desired, prior, observed) = (value(desired), value(prior), value(observed));
            let against =
                |observed: &Value| diff(ThreeWay { desired: &desired, prior: Some(&prior), observed }, RULES, "salt");
            let patched = patch(&observed, &desired, &against(&observed));
            assert_eq!(patched, value(expected));
            assert_eq!(against(&patched), []);
        }
    }

    #[test]
    fn a_table_that_is_ours_as_a_whole_loses_what_others_put_into_it() {
        let observed = r#"{"values":{"a":{"b":1,"theirs":2},"more":3},"also":4}"#;
        let found = changes(r#"{"values":{"a":{"b":1}}}"#, r#"{"values":{"a":{"b":1}}}"#, observed);
        assert_eq!(found, ["values.a.theirs 2->- Update Drifted", "values.more 3->- Update Drifted"]);
        assert_eq!(changes(r#"{"values":{}}"#, "{}", r#"{"values":{"x":1}}"#), ["values.x 1->- Update Drifted"]);
    }

    #[test]
    fn an_update_sends_what_cannot_be_read_back() {
        let (observed, desired) = (value(r#"{"once":"short","a":1}"#), value(r#"{"once":"https://long","a":2}"#));
        assert_eq!(patch(&observed, &desired, &[]), observed);
        assert_eq!(outgoing(&observed, &desired, &[], RULES), value(r#"{"once":"https://long","a":1}"#));
        assert_eq!(outgoing(&observed, &value("{}"), &[], RULES), value(r#"{"a":1}"#));
    }

    #[test]
    fn a_value_that_moved_in_the_cloud_is_drift() {
        assert_eq!(
            changes(r#"{"cidr":"a"}"#, r#"{"cidr":"a"}"#, r#"{"cidr":"b"}"#),
            ["cidr \"b\"->\"a\" Replace Drifted"]
        );
    }

    #[test]
    fn once_set_is_added_in_place_and_replaced_later() {
        assert_eq!(changes(r#"{"ipv6":"x"}"#, "{}", "{}"), ["ipv6 -->\"x\" Update Changed"]);
        assert_eq!(
            changes(r#"{"ipv6":"y"}"#, r#"{"ipv6":"x"}"#, r#"{"ipv6":"x"}"#),
            ["ipv6 \"x\"->\"y\" Replace Changed"]
        );
        assert_eq!(changes("{}", r#"{"ipv6":"x"}"#, r#"{"ipv6":"x"}"#), ["ipv6 \"x\"->- Update Changed"]);
    }

    #[test]
    fn order_write_only_and_computed_fields_make_no_noise() {
        assert!(changes(r#"{"azs":["a","b"]}"#, r#"{"azs":["a","b"]}"#, r#"{"azs":["b","a"]}"#).is_empty());
        assert!(changes(r#"{"once":"x"}"#, r#"{"once":"x"}"#, "{}").is_empty());
        assert!(changes("{}", r#"{"chosen":"x"}"#, r#"{"chosen":"x"}"#).is_empty());
        assert!(changes(r#"{"a":null}"#, "{}", "{}").is_empty());
    }

    #[test]
    fn a_readable_secret_is_found_and_a_hole_or_a_masked_one_is_none() {
        let found = |spec: &str| exposed(&value(spec), RULES).map(|path| path.to_string());
        assert_eq!(found(r#"{"cidr": "a", "key": "hunter2"}"#).as_deref(), Some("key"));
        assert_eq!(found(r#"{"key": {"pem": ["", {"a": true}]}}"#).as_deref(), Some("key.pem[0]"));
        assert_eq!(found(r#"{"key": null, "cidr": "a"}"#), None);
        assert_eq!(found(r#"{"key": {"$ref": {"address": "pki.root/a", "output": "key"}}}"#), None);
        let masked = mask_sensitive(&value(r#"{"key": "hunter2"}"#), RULES, "salt");
        assert_eq!(exposed(&masked, RULES), None);
    }

    #[test]
    fn a_sensitive_change_is_seen_and_not_shown() {
        assert!(changes(r#"{"key":"hunter2"}"#, r#"{"key":"hunter2"}"#, r#"{"key":"hunter2"}"#).is_empty());
        let seen = changes(r#"{"key":"hunter3"}"#, r#"{"key":"hunter2"}"#, r#"{"key":"hunter2"}"#);
        assert_eq!(seen.len(), 1);
        assert!(seen[0].starts_with("key { $sensitive"), "{seen:?}");
        assert!(!seen[0].contains("hunter"), "{seen:?}");
    }
}
