//! Whose a release is: what is recorded with each of its revisions.

use std::collections::BTreeMap;

use crate::resource::{ADDRESS_TAG, MESH_TAG};

/// What a description of ours begins with.
const WORD: &str = "meshplan ";

/// Who made a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marker {
    pub(super) mesh: String,
    /// The resource's address.
    pub(super) address: String,
    /// The create's token; none for a release that was taken over.
    pub(super) token: Option<String>,
}

impl Marker {
    /// The marker that a description holds. What follows its first line is helm's.
    pub(super) fn parse(description: &str) -> Option<Self> {
        let line = description.lines().next()?.strip_prefix(WORD)?;
        let mut words = line.split(' ');
        let (mesh, address) = words.next()?.split_once('/')?;
        let token = words.next().filter(|token| !token.is_empty()).map(str::to_owned);
        let is_whole = !mesh.is_empty() && !address.is_empty() && words.next().is_none();
        is_whole.then(|| Self { mesh: mesh.to_owned(), address: address.to_owned(), token })
    }

    /// The description of a revision.
    pub(super) fn text(&self) -> String {
        let token = self.token.as_ref().map(|token| format!(" {token}")).unwrap_or_default();
        format!("{WORD}{}/{}{token}", self.mesh, self.address)
    }

    /// The marker of a spec's tags, if they name an owner.
    pub(super) fn of(tags: &BTreeMap<String, String>, token: Option<&str>) -> Option<Self> {
        let (mesh, address) = (tags.get(MESH_TAG)?.clone(), tags.get(ADDRESS_TAG)?.clone());
        Some(Self { mesh, address, token: token.map(str::to_owned) })
    }

    /// The marker as the tags of a spec.
    pub(super) fn tags(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(MESH_TAG.to_owned(), self.mesh.clone()), (ADDRESS_TAG.to_owned(), self.address.clone())])
    }
}

/// The labels of a revision that hold its owner. Helm records a description only when an operation has gone well; labels
/// are there from its beginning, and stay through upgrades and rollbacks.
///
/// A label's value holds 63 characters and no `/`: addresses are written with `_`, which no part of one has, and go on in
/// further labels.
pub(super) fn labels(marker: &Marker) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    put(&mut labels, MESH, &marker.mesh);
    put(&mut labels, ADDRESS, &marker.address.replace('/', "_"));
    if let Some(token) = &marker.token {
        put(&mut labels, CREATE, token);
    }
    labels
}

/// The owner that labels hold.
pub(super) fn of_labels(labels: &BTreeMap<String, String>) -> Option<Marker> {
    Some(Marker {
        mesh: get(labels, MESH)?,
        address: get(labels, ADDRESS)?.replace('_', "/"),
        token: get(labels, CREATE),
    })
}

const MESH: &str = "meshplan/mesh";
const ADDRESS: &str = "meshplan/address";
const CREATE: &str = "meshplan/create";

/// A label's value begins and ends with a letter or a digit, wherever the text is cut.
const PIECE: usize = 61;

fn put(labels: &mut BTreeMap<String, String>, key: &str, text: &str) {
    let pieces: Vec<char> = text.chars().collect();
    for (n, piece) in pieces.chunks(PIECE).enumerate() {
        let piece: String = piece.iter().collect();
        labels.insert(name(key, n), if pieces.len() <= PIECE { piece } else { format!("x{piece}x") });
    }
}

fn get(labels: &BTreeMap<String, String>, key: &str) -> Option<String> {
    if !labels.contains_key(&name(key, 1)) {
        return labels.get(key).cloned();
    }
    let pieces = (0..).map_while(|n| labels.get(&name(key, n)));
    pieces.map(|piece| piece.strip_prefix('x')?.strip_suffix('x').map(str::to_owned)).collect()
}

fn name(key: &str, piece: usize) -> String {
    if piece == 0 { key.to_owned() } else { format!("{key}-{piece}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker(address: &str, token: Option<&str>) -> Marker {
        Marker { mesh: "mesh1".to_owned(), address: address.to_owned(), token: token.map(str::to_owned) }
    }

    #[test]
    fn a_marker_is_read_back_from_a_description_and_from_labels() {
        let long = format!("helm.release/{}/{}/{}", "c".repeat(60), "n".repeat(63), "r".repeat(53));
        for address in ["helm.release/cluster-1/istio-system/istiod", long.as_str()] {
            for token in [None, Some("abcdefghijklmnopqrstuvwxyz234567")] {
                let marker = marker(address, token);
                assert_eq!(Marker::parse(&marker.text()).as_ref(), Some(&marker));
                let labels = labels(&marker);
                assert_eq!(of_labels(&labels).as_ref(), Some(&marker));
                for value in labels.values() {
                    assert!(value.len() <= 63, "{value}");
                    assert!(value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)), "{value}");
                    assert!(value.starts_with(|c: char| c.is_ascii_alphanumeric()), "{value}");
                    assert!(value.ends_with(|c: char| c.is_ascii_alphanumeric()), "{value}");
                }
            }
        }
    }

    #[test]
    fn what_others_write_is_no_marker() {
        for text in
            ["", "Install complete", "meshplan", "meshplan ", "meshplan mesh1", "meshplan a/b c d", "meshplan /a"]
        {
            assert_eq!(Marker::parse(text), None, "{text}");
        }
        assert!(Marker::parse("meshplan mesh1/helm.release/a/b/c token\nUpgrade failed: because").is_some());
        assert_eq!(of_labels(&BTreeMap::from([("owner".to_owned(), "helm".to_owned())])), None);
    }
}
