//! Keeps secrets out of what helm says: a chart's error may quote a value.
//!
//! Values are plain by their nature, and shown in a plan. Those that look like secrets all the same (by the name that
//! they have, or because they are private keys) are not repeated in an error, also not as a Secret would encode them.

use data_encoding::BASE64;
use serde_json::Value as Json;

/// What the names of secrets have in them, in lower case.
const NAMES: [&str; 10] =
    ["password", "passwd", "passphrase", "secret", "token", "credential", "apikey", "api_key", "private", "auth"];

/// Shorter texts would be masked wherever their letters occur by chance.
const SHORTEST: usize = 4;

const MASK: &str = "(sensitive)";

/// A text without the secrets of these values.
pub(super) fn masked(text: &str, values: &Json) -> String {
    let mut secrets = Vec::new();
    collect(values, false, &mut secrets);
    // The longest first: one may be a part of another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.into_iter().fold(text.to_owned(), |text, secret| text.replace(&secret, MASK))
}

fn collect(value: &Json, is_secret: bool, secrets: &mut Vec<String>) {
    match value {
        Json::String(text) if is_secret || text.contains("PRIVATE KEY-----") => {
            let whole = text.trim();
            if whole.len() >= SHORTEST {
                secrets.push(BASE64.encode(text.as_bytes()));
                // Helm quotes line by line, and escaped in JSON.
                secrets.push(whole.escape_default().to_string());
                secrets.extend(whole.lines().map(str::trim).filter(|line| line.len() >= SHORTEST).map(str::to_owned));
            }
        }
        Json::Number(number) if is_secret => secrets.extend(Some(number.to_string()).filter(|n| n.len() >= SHORTEST)),
        Json::Array(items) => items.iter().for_each(|item| collect(item, is_secret, secrets)),
        Json::Object(fields) => {
            for (key, field) in fields {
                let key = key.to_lowercase();
                let names_one = NAMES.iter().any(|name| key.contains(name));
                collect(field, is_secret || names_one, secrets);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_not_repeated() {
        let values = json!({
            "color": "blue", "adminPassword": "hunter2!", "nested": [{ "apiToken": { "value": "abcd-efgh" } }],
            "key": "-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n-----END PRIVATE KEY-----\n", "short": { "token": "abc" },
        });
        let said = "blue hunter2! aHVudGVyMiE= abcd-efgh MIGHAgEA abc";
        assert_eq!(masked(said, &values), "blue (sensitive) (sensitive) (sensitive) (sensitive) abc");
        assert_eq!(masked("cannot use \"blue\"", &values), "cannot use \"blue\"");
    }

    #[test]
    fn a_secret_within_another_is_masked_with_it() {
        let values = json!({ "token": "abcdef", "password": "abcdefghij" });
        assert_eq!(masked("abcdefghij abcdef", &values), "(sensitive) (sensitive)");
    }
}
