//! Answers in the order they were asked for.

use std::collections::BTreeMap;

use crate::resource::RemoteId;

/// Objects in the order of `ids`, `None` where there is none. Objects nobody asked for are left out: servers exist
/// that ignore a filter.
pub(in crate::kinds) fn in_order<T>(ids: &[RemoteId], found: impl IntoIterator<Item = (String, T)>) -> Vec<Option<T>> {
    let mut found: BTreeMap<String, T> = found.into_iter().collect();
    ids.iter().map(|id| found.remove(id.as_str())).collect()
}

/// The texts of ids, for a filter.
pub(in crate::kinds) fn texts(ids: &[RemoteId]) -> Vec<String> {
    ids.iter().map(|id| id.as_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_the_order_of_the_question() {
        let ids = ["b", "a", "c"].map(RemoteId::new);
        let found = [("a".to_owned(), 1), ("x".to_owned(), 9), ("b".to_owned(), 2)];
        assert_eq!(in_order(&ids, found), [Some(2), Some(1), None]);
    }
}
