//! The mesh's trust: its root, and an authority for each cluster; made here, or looked up in files.
//!
//! Entry points: [`compile`], and [`authority`] for whatever puts a cluster's authority into it. Both kinds of authority
//! yield the same: `certificate`, `chain`, `root` and `key`, as Istio's secret `cacerts` holds them. An external authority
//! is somebody else's altogether; one of AWS Private CA is refused by what would stand on it (`mesh`).

use serde::Serialize;

use super::{Compiled, Declaration};
use crate::kinds::pki::{KeyKind, existing_intermediate, existing_root, intermediate, root};
use crate::model::{Address, AttrPath, Code, Diagnostic, Document, Reference, Target};
use crate::topology::schema::{self, CaSource};
use crate::topology::{Ca, CaFiles, Topology};

/// A spec that cannot be written as JSON: a defect.
const DEFECT: Code = Code("defect");

/// Adds the declarations of the mesh's trust.
pub fn compile(topology: &Topology, compiled: &mut Compiled) {
    let mut lowering = Lowering { topology, ca: &topology.ca, compiled };
    match (topology.ca.source, &topology.ca.files) {
        // Without clusters there is nobody to trust.
        _ if topology.clusters.is_empty() => {}
        (CaSource::Generated, _) => lowering.generated(),
        (CaSource::Files, Some(files)) if files.key.is_some() => lowering.own_root(files),
        (CaSource::Files, Some(files)) => lowering.ready(files),
        (CaSource::Files, None) | (CaSource::External | CaSource::AcmPca, _) => {}
    }
}

/// The authority of a cluster; `None` where somebody else puts it there.
#[must_use]
pub fn authority(topology: &Topology, cluster: &str) -> Option<Address> {
    let ready = topology.ca.files.as_ref().is_some_and(|files| files.key.is_none());
    match topology.ca.source {
        CaSource::Generated => Some(Address::new("pki.intermediate", &[cluster])),
        CaSource::Files if ready => Some(Address::new("pki.existing_intermediate", &[cluster])),
        CaSource::Files => Some(Address::new("pki.intermediate", &[cluster])),
        CaSource::AcmPca | CaSource::External => None,
    }
}

struct Lowering<'a> {
    topology: &'a Topology,
    ca: &'a Ca,
    compiled: &'a mut Compiled,
}

impl Lowering<'_> {
    /// Everything is made here.
    fn generated(&mut self) {
        let mesh = &self.topology.mesh.id;
        let address = Address::new("pki.root", &[mesh]);
        let spec = root::Spec {
            organization: mesh.clone(),
            common_name: format!("{mesh} Root CA"),
            key: key_kind(self.ca.key),
            ttl_seconds: self.ca.root_ttl.seconds(),
            recipients: self.ca.recipients.clone(),
        };
        let whom = if self.ca.recipients.is_empty() {
            "its key is sealed to your own identity, which is made if there is none: `[ca] recipients` names others"
                .to_owned()
        } else {
            format!("its key is sealed to the {} public keys of `[ca] recipients`", self.ca.recipients.len())
        };
        self.declare(&address, &spec, vec![whom]);
        self.intermediates(&address);
    }

    /// The root is given with its key, and what is below it is made here.
    fn own_root(&mut self, files: &CaFiles) {
        let address = Address::new("pki.existing_root", &[&self.topology.mesh.id]);
        let spec = existing_root::Spec {
            certificate: files.root.clone(),
            key: files.key.clone(),
            min_validity_seconds: self.ca.min_validity.seconds(),
        };
        self.declare(&address, &spec, Vec::new());
        self.intermediates(&address);
    }

    fn intermediates(&mut self, root: &Address) {
        let topology = self.topology;
        for cluster in topology.clusters.values() {
            let name = cluster.name.as_str();
            let spec = intermediate::Spec {
                organization: topology.mesh.id.clone(),
                cluster: name.to_owned(),
                key: key_kind(self.ca.key),
                ttl_seconds: self.ca.intermediate_ttl.seconds(),
                issuer_certificate: Reference::to(root, "certificate").into(),
                issuer_key: Reference::to(root, "key").into(),
                recipients: self.ca.recipients.clone(),
            };
            self.declare(&Address::new("pki.intermediate", &[name]), &spec, Vec::new());
        }
    }

    /// Everything is given.
    fn ready(&mut self, files: &CaFiles) {
        for (cluster, given) in &files.intermediates {
            let spec = existing_intermediate::Spec {
                certificate: given.cert.clone(),
                key: given.key.clone(),
                chain: given.chain.clone(),
                root: files.root.clone(),
                min_validity_seconds: self.ca.min_validity.seconds(),
            };
            self.declare(&Address::new("pki.existing_intermediate", &[cluster.as_str()]), &spec, Vec::new());
        }
    }

    fn declare<S: Serialize>(&mut self, address: &Address, spec: &S, notes: Vec<String>) {
        let origin = AttrPath::keys(&["ca"]);
        let spec = match Document::of(spec) {
            Ok(spec) => spec,
            Err(error) => {
                let message = format!("{address} cannot be declared: {error}");
                return self.compiled.diagnostics.push(Diagnostic::error(DEFECT, message).at(origin));
            }
        };
        let mut references: Vec<Address> =
            spec.value().references().into_iter().map(|reference| reference.address.clone()).collect();
        references.sort_unstable();
        references.dedup();
        self.compiled.declarations.push(Declaration {
            address: address.clone(),
            target: Target::Local,
            spec,
            references,
            depends_on: Vec::new(),
            update_after: Vec::new(),
            notes,
            origin,
            protected: false,
        });
    }
}

fn key_kind(kind: schema::KeyKind) -> KeyKind {
    match kind {
        schema::KeyKind::EcdsaP256 => KeyKind::EcdsaP256,
        schema::KeyKind::Rsa2048 => KeyKind::Rsa2048,
        schema::KeyKind::Rsa4096 => KeyKind::Rsa4096,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::parse;

    /// What the lines of `[ca]` mean for two clusters: each declaration's address, references and spec.
    fn lowered(ca: &str) -> Vec<String> {
        let text = format!(
            "schema = 1\n[mesh]\nid = \"mesh1\"\nregion = \"us-west-2\"\n[networks.n]\ncidr = \"10.1.0.0/16\"\n\
             [clusters.c1]\nnetwork = \"n\"\n[clusters.c2]\nnetwork = \"n\"\n{ca}"
        );
        let parsed = parse(&text);
        let topology = parsed.topology.unwrap_or_else(|| panic!("{:#?}", parsed.diagnostics));
        let mut compiled = Compiled { declarations: Vec::new(), diagnostics: Vec::new(), notes: Vec::new() };
        compile(&topology, &mut compiled);
        assert_eq!(compiled.diagnostics, []);
        let given = compiled.declarations.iter().map(|declaration| {
            let references: Vec<&str> = declaration.references.iter().map(Address::as_str).collect();
            format!("{} <- {} {}", declaration.address, references.join(" "), declaration.spec.as_str())
        });
        let authorities =
            ["c1", "c2"].map(|c| authority(&topology, c).map_or("nobody's".to_owned(), |a| a.to_string()));
        for authority in &authorities {
            let known = compiled.declarations.iter().any(|declaration| declaration.address.as_str() == authority);
            assert!(known || authority == "nobody's", "{authority} is not declared");
        }
        given.chain(compiled.notes.clone()).chain([authorities.join(", ")]).collect()
    }

    #[test]
    fn what_is_generated_hangs_on_one_root() {
        assert_eq!(
            lowered("[ca]\nroot_ttl = \"5y\"\nintermediate_ttl = \"1y\"\nkey = \"rsa-2048\"\n"),
            [
                r#"pki.root/mesh1 <-  {"organization":"mesh1","common_name":"mesh1 Root CA","key":"rsa-2048","ttl_seconds":157680000,"recipients":[]}"#,
                r#"pki.intermediate/c1 <- pki.root/mesh1 {"organization":"mesh1","cluster":"c1","key":"rsa-2048","ttl_seconds":31536000,"issuer_certificate":{"$ref":{"address":"pki.root/mesh1","output":"certificate"}},"issuer_key":{"$ref":{"address":"pki.root/mesh1","output":"key"}},"recipients":[]}"#,
                r#"pki.intermediate/c2 <- pki.root/mesh1 {"organization":"mesh1","cluster":"c2","key":"rsa-2048","ttl_seconds":31536000,"issuer_certificate":{"$ref":{"address":"pki.root/mesh1","output":"certificate"}},"issuer_key":{"$ref":{"address":"pki.root/mesh1","output":"key"}},"recipients":[]}"#,
                "pki.intermediate/c1, pki.intermediate/c2",
            ]
        );
    }

    #[test]
    fn what_is_given_is_looked_up() {
        let own = lowered("[ca]\nsource = \"files\"\n[ca.files]\nroot = \"r.pem\"\nkey = \"k.pem\"\n");
        assert_eq!(
            own[0],
            r#"pki.existing_root/mesh1 <-  {"certificate":"r.pem","key":"k.pem","min_validity_seconds":7776000}"#
        );
        assert!(own[1].starts_with("pki.intermediate/c1 <- pki.existing_root/mesh1 "), "{own:?}");
        let table = |c: &str| format!("[ca.files.intermediates.{c}]\ncert = \"{c}\"\nkey = \"k\"\nchain = \"ch\"\n");
        let ready =
            lowered(&format!("[ca]\nsource = \"files\"\n[ca.files]\nroot = \"r.pem\"\n{}{}", table("c1"), table("c2")));
        assert_eq!(
            ready[0],
            r#"pki.existing_intermediate/c1 <-  {"certificate":"c1","key":"k","chain":"ch","root":"r.pem","min_validity_seconds":7776000}"#
        );
        assert_eq!(ready[2], "pki.existing_intermediate/c1, pki.existing_intermediate/c2");
        assert_eq!(lowered("[ca]\nsource = \"external\"\n"), ["nobody's, nobody's"]);
    }
}
