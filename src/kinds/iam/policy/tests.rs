//! Documents that mean the same are the same, and no others.

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::*;
use crate::model::{Address, Reference};

fn value(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

fn same(a: &str, b: &str) -> bool {
    canonical(value(a)) == canonical(value(b))
}

#[test]
fn a_single_text_is_a_list_of_one_and_order_means_nothing() {
    assert!(same(
        r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:Get", "Resource": "*"}}"#,
        r#"{"Version": "2012-10-17", "Statement": [{"Sid": "x", "Resource": ["*"], "Action": ["s3:Get"], "Effect": "Allow"}]}"#
    ));
    assert!(same(
        r#"{"Statement": [{"Action": ["b", "a", "b"]}, {"Action": "c"}]}"#,
        r#"{"Id": "i", "Version": "2008-10-17", "Statement": [{"Action": ["c"]}, {"Action": ["a", "b"]}]}"#
    ));
}

#[test]
fn what_differs_in_meaning_stays_different() {
    for (a, b) in [
        (r#"{"Statement": [{"Action": "a"}]}"#, r#"{"Statement": [{"NotAction": "a"}]}"#),
        (r#"{"Statement": [{"Effect": "Allow"}]}"#, r#"{"Statement": [{"Effect": "Deny"}]}"#),
        (r#"{"Statement": []}"#, r#"{"Version": "2012-10-17", "Statement": []}"#),
        (
            r#"{"Statement": [{"Principal": {"AWS": "111122223333"}}]}"#,
            r#"{"Statement": [{"Principal": {"AWS": "arn:aws:iam::111122223333:role/root"}}]}"#,
        ),
        (r#"{"Statement": [{"Principal": {"AWS": "*"}}]}"#, r#"{"Statement": [{"Principal": {"Federated": "*"}}]}"#),
        (
            r#"{"Statement": [{"Condition": {"Bool": {"a": "true"}}}]}"#,
            r#"{"Statement": [{"Condition": {"Bool": {"a": "false"}}}]}"#,
        ),
    ] {
        assert!(!same(a, b), "{a} and {b}");
    }
}

#[test]
fn principals_have_one_form() {
    assert!(same(
        r#"{"Statement": [{"Principal": "*", "NotPrincipal": {"AWS": "*"}}]}"#,
        r#"{"Statement": [{"Principal": {"AWS": ["*"]}, "NotPrincipal": "*"}]}"#
    ));
    for partition in ["aws", "aws-cn", "aws-us-gov"] {
        assert!(same(
            r#"{"Statement": [{"Principal": {"AWS": "111122223333"}}]}"#,
            &format!(r#"{{"Statement": [{{"Principal": {{"AWS": ["arn:{partition}:iam::111122223333:root"]}}}}]}}"#)
        ));
    }
}

#[test]
fn a_condition_on_truth_or_a_number_is_its_text() {
    assert!(same(
        r#"{"Statement": [{"Condition": {"Bool": {"a": true}, "NumericEquals": {"b": [2, "1"]}}}]}"#,
        r#"{"Statement": [{"Condition": {"Bool": {"a": ["true"]}, "NumericEquals": {"b": ["1", "2"]}}}]}"#
    ));
}

#[test]
fn holes_stay_where_they_are() {
    let hole = Reference::to(&Address::new("iam.oidc_provider", &["c"]), "arn");
    let json = serde_json::to_string(&Value::Unknown(hole.clone())).unwrap();
    let document = canonical(value(&format!(r#"{{"Statement": {{"Principal": {{"Federated": {json}}}}}}}"#)));
    assert_eq!(document.references(), [&hole]);
    assert_eq!(wire(&document), Err(PolicyError::Unknown));
    assert_eq!(canonical(Value::Unknown(hole.clone())), Value::Unknown(hole));
}

#[test]
fn claims_of_the_own_provider_are_written_without_its_name() {
    let document = |federated: &str, key: &str| {
        format!(
            r#"{{"Statement": [{{"Principal": {{"Federated": "{federated}"}},
                "Condition": {{"StringEquals": {{"{key}": "x"}}}}}}]}}"#
        )
    };
    let arn = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.us-west-2.amazonaws.com/id/ABC";
    let read = document(arn, "oidc.eks.us-west-2.amazonaws.com/id/ABC:sub");
    assert!(same(&read, &document(arn, "<provider>:sub")));
    assert!(!same(&read, &document(arn, "oidc.eks.us-west-2.amazonaws.com/id/OTHER:sub")));
    let sent = wire(&canonical(value(&read))).unwrap();
    assert!(sent.contains(r#""oidc.eks.us-west-2.amazonaws.com/id/ABC:sub":["x"]"#), "{sent}");
    assert_eq!(
        wire(&canonical(value(&document("cognito-identity.amazonaws.com", "<provider>:sub")))),
        Err(PolicyError::NoProvider("<provider>:sub".to_owned()))
    );
}

#[test]
fn an_answer_is_read_encoded_or_plain() {
    let plain = r#"{"Version": "2012-10-17", "Statement": [{"Action": "a", "Resource": "arn:aws:s3:::b/100%25+ü"}]}"#;
    let encoded: String = plain.bytes().fold(String::new(), |text, byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text + &char::from(byte).to_string(),
        byte => text + &format!("%{byte:02X}"),
    });
    assert_eq!(read(plain).unwrap(), canonical(value(plain)));
    assert_eq!(read(&encoded).unwrap(), canonical(value(plain)));
    assert!(read("%7B").is_err());
    assert_eq!(decode("a%2"), b"a%2");
}

/// One text or a list of texts, as people write them.
fn texts_of(pool: &'static [&'static str]) -> impl Strategy<Value = serde_json::Value> {
    subsequence(pool.to_vec(), 1..=pool.len()).prop_map(|texts| match texts.as_slice() {
        [one] => serde_json::json!(one),
        several => serde_json::json!(several),
    })
}

fn statements() -> impl Strategy<Value = serde_json::Value> {
    let principal = prop_oneof![
        Just(serde_json::json!("*")),
        texts_of(&["111122223333", "arn:aws:iam::444455556666:root", "arn:aws:iam::1:role/x", "*"])
            .prop_map(|names| serde_json::json!({ "AWS": names })),
        texts_of(&["ec2.amazonaws.com", "eks.amazonaws.com"]).prop_map(|names| serde_json::json!({ "Service": names })),
        Just(serde_json::json!({ "Federated": "arn:aws:iam::1:oidc-provider/issuer.example/id/A" })),
    ];
    let key = prop_oneof![Just("aws:SourceIp"), Just("issuer.example/id/A:sub"), Just("issuer.example/id/B:aud")];
    (
        prop_oneof![Just("Allow"), Just("Deny")],
        texts_of(&["ec2:Describe*", "sts:AssumeRole", "sts:TagSession"]),
        proptest::option::of(texts_of(&["*", "arn:aws:ec2:*:*:vpc/*"])),
        proptest::option::of(principal),
        proptest::option::of((key, texts_of(&["a", "b", "c"]))),
        proptest::option::of("[A-Z]{1,4}"),
    )
        .prop_map(|(effect, action, resource, principal, condition, sid)| {
            let mut statement = serde_json::json!({ "Effect": effect, "Action": action });
            let mut set = |key: &str, value: Option<serde_json::Value>| {
                if let Some(value) = value {
                    statement[key] = value;
                }
            };
            set("Resource", resource);
            set("Principal", principal);
            set("Condition", condition.map(|(key, values)| serde_json::json!({ "StringEquals": { key: values } })));
            set("Sid", sid.map(serde_json::Value::String));
            statement
        })
}

/// Another way to write the same: lists turned round, single texts put into lists.
fn rewritten(value: &serde_json::Value, key: &str) -> serde_json::Value {
    match value {
        serde_json::Value::Array(items) => items.iter().rev().map(|item| rewritten(item, "")).collect(),
        serde_json::Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| *name != "Sid")
            .map(|(name, value)| (name.clone(), rewritten(value, name)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        serde_json::Value::String(text) if key == "Principal" && text == "*" => serde_json::json!({ "AWS": ["*"] }),
        serde_json::Value::String(text) if text == "111122223333" => {
            serde_json::json!("arn:aws-cn:iam::111122223333:root")
        }
        serde_json::Value::String(_) if !matches!(key, "" | "Effect" | "Version") => {
            let inner = rewritten(value, "");
            serde_json::json!([inner])
        }
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn however_it_is_written_it_is_the_same_document(
        statements in proptest::collection::vec(statements(), 1..5)
    ) {
        let one = serde_json::json!({ "Version": "2012-10-17", "Statement": statements });
        let other = rewritten(&one, "");
        let read = |json: &serde_json::Value| canonical(serde_json::from_value(json.clone()).unwrap());
        prop_assert_eq!(read(&one), read(&other));
    }

    #[test]
    fn a_canonical_document_stays_as_it_is_and_survives_the_wire(
        statements in proptest::collection::vec(statements(), 1..5)
    ) {
        let document: Value =
            serde_json::from_value(serde_json::json!({ "Version": "2012-10-17", "Statement": statements })).unwrap();
        let once = canonical(document);
        prop_assert_eq!(&canonical(once.clone()), &once);
        prop_assert_eq!(&read(&wire(&once).unwrap()).unwrap(), &once);
    }

    #[test]
    fn nothing_panics(text in "\\PC*") {
        let _ = read(&text);
        if let Ok(value) = serde_json::from_str::<Value>(&text) {
            let _ = wire(&canonical(value));
        }
    }
}
