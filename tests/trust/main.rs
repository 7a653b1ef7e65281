//! The mesh's trust, from its making to its renewal: the engine makes it, openssl and Go's rules judge it, and its keys
//! are looked for in everything that is written.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test panics about what is wrong, and prints what it counted"
)]

mod chains;
mod files;
mod keys;
mod renewal;
mod replica;
#[expect(dead_code, reason = "the rest of it is for those who begin with a topology")]
#[path = "../support/rig.rs"]
mod rig;
#[expect(dead_code, reason = "the rest of it is for those who do not look at what is left")]
#[path = "../support/touches.rs"]
mod touches;

use std::path::{Path, PathBuf};

use meshplan::compile::Declaration;
use meshplan::kinds::KINDS;
use meshplan::kinds::pki::{KeyKind, intermediate, root};
use meshplan::model::secret::Sealed;
use meshplan::model::{Address, AttrPath, Document, Reference, Target, Value};
use meshplan::resource::{DynKind, Registry};
use meshplan::sandbox::{Options, Speed};
use meshplan::state::State;

use rig::InSandbox;

const YEAR: u64 = 365 * 86_400;

/// A declaration of something local.
fn declare(address: &Address, spec: &impl serde::Serialize) -> Declaration {
    let spec = Document::of(spec).unwrap();
    let mut references: Vec<Address> =
        spec.value().references().into_iter().map(|reference| reference.address.clone()).collect();
    references.sort();
    references.dedup();
    Declaration {
        address: address.clone(),
        target: Target::Local,
        spec,
        references,
        depends_on: Vec::new(),
        update_after: Vec::new(),
        notes: Vec::new(),
        origin: AttrPath::keys(&["ca"]),
        protected: false,
    }
}

fn root_address() -> Address {
    Address::new("pki.root", &["mesh1"])
}

fn intermediate_address(cluster: &str) -> Address {
    Address::new("pki.intermediate", &[cluster])
}

/// What a root is declared as.
fn root_spec(key: KeyKind) -> root::Spec {
    root::Spec {
        organization: "mesh1".to_owned(),
        common_name: "mesh1 Root CA".to_owned(),
        key,
        ttl_seconds: 10 * YEAR,
        recipients: Vec::new(),
    }
}

/// What an intermediate under `root` is declared as.
fn intermediate_spec(root: &Address, cluster: &str, key: KeyKind) -> intermediate::Spec {
    intermediate::Spec {
        organization: "mesh1".to_owned(),
        cluster: cluster.to_owned(),
        key,
        ttl_seconds: 2 * YEAR,
        issuer_certificate: Reference::to(root, "certificate").into(),
        issuer_key: Reference::to(root, "key").into(),
        recipients: Vec::new(),
    }
}

/// A root and an intermediate for each cluster.
fn trust(clusters: &[&str], key: KeyKind) -> Vec<Declaration> {
    let root = root_address();
    let mut declared = vec![declare(&root, &root_spec(key))];
    declared.extend(clusters.iter().map(|c| declare(&intermediate_address(c), &intermediate_spec(&root, c, key))));
    sorted(declared)
}

fn sorted(mut declared: Vec<Declaration>) -> Vec<Declaration> {
    declared.sort_by(|a, b| a.address.cmp(&b.address));
    declared
}

/// A process in a folder, which also knows the replica.
fn process(folder: &Path) -> InSandbox {
    let mut process = InSandbox::start(folder, Options { speed: Speed::Unlimited, ..Options::default() });
    let kinds: Vec<&'static dyn DynKind> = KINDS.iter().copied().chain([&replica::Replica as &dyn DynKind]).collect();
    process.process.registry = Registry::new(&kinds);
    process
}

fn output(state: &State, address: &Address, name: &str) -> Value {
    state.records[address].outputs.value().get(name).cloned().unwrap_or_else(|| panic!("{address} has no {name}"))
}

fn text(state: &State, address: &Address, name: &str) -> String {
    output(state, address, name).as_str().unwrap().to_owned()
}

/// Every key in a state, opened.
fn opened(state: &State, folder: &Path) -> Vec<String> {
    let vault = rig::vault(folder);
    let sealed = state.records.values().filter_map(|record| Sealed::of(record.outputs.value().get("key")?));
    sealed.map(|sealed| vault.open(&sealed).unwrap().expose().to_string()).collect()
}

/// Every file below a folder, with its bytes.
fn everything(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(everything(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            files.push((path, bytes));
        }
    }
    files
}
