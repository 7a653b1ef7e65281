//! Rules of a role, and the order in which it is changed.

use super::*;
use crate::model::{Address, Reference};

fn bare() -> Spec {
    Spec {
        name: "r".to_owned(),
        path: "/".to_owned(),
        trust: policies::cluster_trust(false),
        managed_policies: Vec::new(),
        inline_policies: BTreeMap::new(),
        permissions_boundary: None,
        tags: Tags::new(),
    }
}

/// Changes until nothing differs, each by what would be there afterwards.
fn way(mut from: Spec, to: &Spec) -> Vec<String> {
    let mut way = Vec::new();
    while let Some(change) = next(&from.clone(), to) {
        let text = match change {
            Change::Trust(document) => {
                from.trust = document.clone();
                "trust".to_owned()
            }
            Change::Bound(arn) => {
                from.permissions_boundary = Some(arn.to_owned());
                format!("bound {arn}")
            }
            Change::Attach(arn) => {
                from.managed_policies.push(arn.to_owned());
                format!("attach {arn}")
            }
            Change::Put(name, document) => {
                from.inline_policies.insert(name.to_owned(), document.clone());
                format!("put {name}")
            }
            Change::Tags(tags::Step::Set(changed)) => {
                from.tags.extend(changed);
                "tag".to_owned()
            }
            Change::Tags(tags::Step::Remove(keys)) => {
                from.tags.retain(|key, _| !keys.contains(key));
                "untag".to_owned()
            }
            Change::Detach(arn) => {
                from.managed_policies.retain(|attached| attached != arn);
                format!("detach {arn}")
            }
            Change::Drop(name) => {
                from.inline_policies.remove(name);
                format!("drop {name}")
            }
            Change::Unbound => {
                from.permissions_boundary = None;
                "unbound".to_owned()
            }
        };
        way.push(text);
        assert!(way.len() < 20, "{way:?}");
    }
    way
}

#[test]
fn a_role_is_bounded_first_and_loses_nothing_before_it_has_the_new() {
    let full = Spec {
        trust: policies::cluster_trust(true),
        managed_policies: vec!["m2".to_owned(), "m1".to_owned()],
        inline_policies: BTreeMap::from([("a".to_owned(), policies::cni_ipv6(Partition::Aws))]),
        permissions_boundary: Some("b".to_owned()),
        tags: Tags::from([("x".to_owned(), "1".to_owned())]),
        ..bare()
    };
    assert_eq!(way(bare(), &full), ["bound b", "trust", "attach m2", "attach m1", "put a", "tag"]);
    assert_eq!(way(full.clone(), &bare()), ["trust", "untag", "detach m2", "detach m1", "drop a", "unbound"]);
    let other = Spec { managed_policies: vec!["m3".to_owned(), "m1".to_owned()], ..full.clone() };
    assert_eq!(way(full, &other), ["attach m3", "detach m2"]);
}

#[test]
fn what_iam_would_refuse_is_found_before() {
    let messages = |spec: &Spec| -> Vec<String> {
        let value = crate::model::Document::of(spec).unwrap().value();
        Role.check(&value).into_iter().map(|error| format!("{}: {}", error.path, error.message)).collect()
    };
    assert_eq!(messages(&bare()), Vec::<String>::new());
    let long = Spec { name: "r".repeat(65), path: "/a".to_owned(), ..bare() };
    assert_eq!(messages(&long).len(), 2);
    let statements: Vec<Value> = (0..300)
        .map(|n| serde_json::from_str(&format!(r#"{{"Action":["a:{n}"],"Effect":"Allow","Resource":["*"]}}"#)).unwrap())
        .collect();
    let document = Value::Object([("Statement".to_owned(), Value::Array(statements))].into());
    let large = BTreeMap::from([("a".to_owned(), canonical(document.clone()))]);
    assert!(messages(&Spec { inline_policies: large, ..bare() })[0].contains("more than the 10240"));
    assert_eq!(messages(&Spec { trust: document, ..bare() }), ["trust: the policy document is not in canonical form"]);
    assert_eq!(
        messages(&Spec { trust: "x".into(), ..bare() }),
        ["trust: it is no policy document: it has no `Statement`"]
    );
}

#[test]
fn a_hole_beside_other_values_is_a_mistake() {
    let hole = || Value::Unknown(Reference::to(&Address::new("iam.role", &["c", "x"]), "arn"));
    let trust = |principals: Vec<Value>| {
        let principal = Value::Object([("AWS".to_owned(), Value::Array(principals))].into());
        let statement = Value::Object([("Principal".to_owned(), principal)].into());
        canonical(Value::Object([("Statement".to_owned(), statement)].into()))
    };
    assert_eq!(misfit(&trust(vec![hole()])), None);
    assert!(misfit(&trust(vec![hole(), "111122223333".into()])).unwrap().contains("known after apply"));
}
