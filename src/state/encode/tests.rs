//! The bytes of a state file: every cut, every flipped bit, and what a newer version wrote.

use serde_json::json;

use super::*;
use crate::state::Entry;
use crate::state::testing::{address, create, describe, ready};
use crate::state::upgrade::Step;

fn small() -> State {
    let mut state = State::new("demo", "0123456789abcdef0123456789abcdef".to_owned(), true);
    let entries =
        create("aws.vpc/a", "vpc-1").into_iter().chain([ready("aws.vpc/a")]).chain(create("aws.vpc/b", "vpc-2"));
    let more = create("aws.vpc/c", "vpc-3").into_iter().take(1);
    entries.chain(more).for_each(|entry: Entry| state.fold(entry).unwrap());
    state.region = Some("us-west-2".to_owned());
    state
}

/// Reads a text in both ways, which must not differ.
fn decode(text: &[u8]) -> Result<Decoded, DecodeError> {
    let streamed = decode_from(io::Cursor::new(text), text.len()).unwrap();
    let whole = super::decode(text);
    match (&streamed, &whole) {
        (Ok(streamed), Ok(whole)) => assert_eq!(describe(&streamed.state), describe(&whole.state)),
        (Err(streamed), Err(whole)) => assert_eq!(streamed, whole),
        other => panic!("{other:?}"),
    }
    streamed
}

fn sealed(text: &str) -> Vec<u8> {
    let mut text = text.as_bytes().to_vec();
    frame::seal(&mut text);
    text
}

#[test]
fn the_file_is_json_with_one_line_per_record() {
    let text = describe(&small());
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["records"]["aws.vpc/a"]["id"], json!("vpc-1"));
    assert_eq!(json["records"]["aws.vpc/a"]["spec"]["tags"]["Name"], json!("aws.vpc/a"));
    assert_eq!(json["records"]["aws.vpc/b"]["status"], json!("creating"));
    assert_eq!(json["intents"]["aws.vpc/c"]["operation"], json!("create"));
    let starts: Vec<&str> = text.lines().map(|line| line.split_inclusive(':').next().unwrap()).collect();
    let expected = [
        "{\"format\":",
        "\"written_by\":",
        "\"mesh\":",
        "\"lineage\":",
        "\"serial\":",
        "\"generation\":",
        "\"account\":",
        "\"region\":",
        "\"sandbox\":",
        "\"records\":",
        "\"aws.vpc/a\":",
        "\"aws.vpc/b\":",
        "},",
        "\"intents\":",
        "\"aws.vpc/c\":",
        "},",
        "\"checksum\":",
    ];
    assert_eq!(starts, expected);
}

#[test]
fn what_is_decoded_encodes_to_the_same_bytes() {
    let text = describe(&small());
    let decoded = decode(text.as_bytes()).unwrap();
    assert_eq!(decoded.upgraded_from, None);
    assert_eq!(describe(&decoded.state), text);
}

#[test]
fn lines_that_this_version_does_not_write_are_read_all_the_same() {
    let text = describe(&small());
    let body = text.split("\"checksum\"").next().unwrap();
    for other in [
        body.replace("\"records\":{\n", "\"records\":{"),
        body.replace("\"spec\":", "\n\"spec\":"),
        body.replace(",\n", ",").replace("{\n", "{"),
        body.replace("\"records\":{\n", "\"policy\":{\n\"records\":{\n}},\n\"records\":{\n"),
        body.replace("\"records\":{\n", "\"policy\":{\n\"records\":{\n}},\n\"records\":{"),
    ] {
        let sealed = sealed(&other);
        assert_ne!(sealed, text.as_bytes());
        let mut state = decode(&sealed).unwrap().state;
        assert_eq!(state.extra.remove("policy").is_some(), other.contains("policy"));
        assert_eq!(describe(&state), text);
    }
}

#[test]
fn unknown_fields_survive_as_they_are() {
    let text = describe(&small())
        .replace("\"records\":{", "\"policy\":{\"b\": 1e400,\n \"a\":[ ]},\n\"records\":{")
        .replace("\"spec\":", "\"imported\":{ \"from\":\"x\" },\"spec\":");
    let body = text.split("\"checksum\"").next().unwrap();
    let state = decode(&sealed(body)).unwrap().state;
    assert_eq!(state.extra["policy"].get(), "{\"b\": 1e400,\n \"a\":[ ]}");
    assert_eq!(state.records[&address("aws.vpc/b")].extra["imported"].get(), "{ \"from\":\"x\" }");
    let again = describe(&state);
    assert!(again.contains("\"policy\":{\"b\": 1e400,  \"a\":[ ]}"), "but for line breaks: the file has its own");
    assert_eq!(again.matches("\"imported\":{ \"from\":\"x\" }").count(), 2);
    assert_eq!(describe(&decode(again.as_bytes()).unwrap().state), again);
}

#[test]
fn every_truncation_and_every_flipped_bit_is_damage() {
    let text = describe(&small()).into_bytes();
    for length in 0..text.len() {
        let error = decode(&text[..length]).unwrap_err();
        assert_eq!(error, DecodeError::Damaged(Damage::CutShort { length }));
    }
    let mut flipped = text.clone();
    for at in 0..text.len() * 8 {
        flipped[at / 8] ^= 1 << (at % 8);
        assert!(matches!(decode(&flipped), Err(DecodeError::Damaged(_))), "bit {at}");
        flipped[at / 8] ^= 1 << (at % 8);
    }
}

#[test]
fn a_newer_format_is_told_from_damage() {
    let newer = sealed(&format!("{{\"format\":{},\"written_by\":\"9.8.7\",\"records\":[],", FORMAT + 1));
    let expected = DecodeError::Newer { format: FORMAT + 1, written_by: Some("9.8.7".to_owned()) };
    assert_eq!(decode(&newer).unwrap_err(), expected);
    let mut damaged = newer;
    damaged[30] ^= 1;
    assert!(matches!(decode(&damaged), Err(DecodeError::Damaged(_))));
}

#[test]
fn whole_bytes_of_the_wrong_shape_are_damage_with_a_place() {
    let Err(DecodeError::Damaged(Damage::Shape(what))) = decode(&sealed("{\"format\":1,\"serial\":\"x\",")) else {
        panic!("no error");
    };
    assert!(what.contains("invalid type: string \"x\"") && what.contains("line 1"), "{what}");
    let Err(DecodeError::Damaged(Damage::Shape(what))) = decode(&sealed("{\"format\":1,\"serial\":1,")) else {
        panic!("no error");
    };
    assert!(what.contains("missing field `mesh`"), "{what}");
}

/// A format before the first, for this test alone: it called the mesh a stack.
const OLD: Chain = Chain {
    oldest: 0,
    steps: &[Step {
        state: |mut members| {
            let mesh = members.remove("stack").ok_or("there is no `stack`")?;
            members.insert("mesh".to_owned(), mesh);
            Ok(members)
        },
        entry: |entry| Ok(entry),
    }],
};

#[test]
fn an_older_format_is_taken_through_the_chain() {
    let today = describe(&small());
    let body = today.split("\"checksum\"").next().unwrap();
    let old = body.replace("\"format\":1", "\"format\":0").replace("\"mesh\"", "\"stack\"");
    let decoded = decode_with(&OLD, &sealed(&old)).unwrap();
    assert_eq!(decoded.upgraded_from, Some(0));
    assert_eq!(describe(&decoded.state), today);

    let error = decode_with(&OLD, &sealed(&old.replace("\"stack\"", "\"stock\""))).unwrap_err();
    let expected = UpgradeError::Step { format: 0, reason: "there is no `stack`".to_owned() };
    assert_eq!(error, DecodeError::Upgrade(expected));
    assert_eq!(decode(&sealed(&old)).unwrap_err(), DecodeError::Upgrade(UpgradeError::TooOld { format: 0 }));
}
