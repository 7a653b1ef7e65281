//! The kubeconfig by which one control plane reads another cluster, as `istioctl create-remote-secret` writes it.
//!
//! Entry points: [`write()`], which answers the same bytes for the same [`Access`], and [`read`]. istiod takes nothing but
//! certificates, a server and a bearer token: no program, no file.

use serde::Deserialize;

/// How a cluster is read.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Access {
    /// The cluster's name in the mesh.
    pub(super) cluster: String,
    /// The URL of its API server.
    pub(super) server: String,
    /// The certificates of its authority: PEM in base64.
    pub(super) certificate_authority: String,
    /// The bearer token.
    pub(super) token: String,
}

/// The text, with the keys in the order in which Kubernetes' own encoder has them.
pub(super) fn write(access: &Access) -> String {
    let Access { server, certificate_authority, token, .. } = access;
    let cluster = scalar(&access.cluster);
    format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {certificate_authority}\n    server: {server}\n  \
         name: {cluster}\ncontexts:\n- context:\n    cluster: {cluster}\n    user: {cluster}\n  name: {cluster}\n\
         current-context: {cluster}\nkind: Config\nusers:\n- name: {cluster}\n  user:\n    token: {token}\n"
    )
}

/// A DNS label as YAML takes it for a text: some would be numbers or truth values otherwise.
fn scalar(label: &str) -> String {
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let is_plain = label.starts_with(|c: char| c.is_ascii_lowercase()) && !WORDS.contains(&label);
    if is_plain { label.to_owned() } else { format!("\"{label}\"") }
}

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "current-context")]
    current_context: String,
    clusters: Vec<NamedCluster>,
    contexts: Vec<NamedContext>,
    users: Vec<NamedUser>,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
struct Cluster {
    server: String,
    #[serde(rename = "certificate-authority-data", default)]
    certificate_authority: String,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    user: String,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    user: User,
}

#[derive(Deserialize)]
struct User {
    token: String,
}

/// What a kubeconfig says, however it is written; `None` if it says anything else than how to read one cluster.
pub(super) fn read(text: &str) -> Option<Access> {
    let config: Config = serde_saphyr::from_str(text).ok()?;
    let context = config.contexts.into_iter().find(|context| context.name == config.current_context)?.context;
    let cluster = config.clusters.into_iter().find(|cluster| cluster.name == context.cluster)?;
    let user = config.users.into_iter().find(|user| user.name == context.user)?;
    Some(Access {
        cluster: cluster.name,
        server: cluster.cluster.server,
        certificate_authority: cluster.cluster.certificate_authority,
        token: user.user.token,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(cluster: &str) -> Access {
        let [server, certificate_authority, token] = ["https://1.2.3.4", "Y2FEYXRh", "token"].map(str::to_owned);
        Access { cluster: cluster.to_owned(), server, certificate_authority, token }
    }

    /// The text that Istio's own test expects of `istioctl create-remote-secret`
    /// (istioctl/pkg/multicluster/remote_secret_test.go).
    const ISTIOCTLS: &str = "\
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: Y2FEYXRh
    server: https://1.2.3.4
  name: fake-cluster-name-0
contexts:
- context:
    cluster: fake-cluster-name-0
    user: fake-cluster-name-0
  name: fake-cluster-name-0
current-context: fake-cluster-name-0
kind: Config
users:
- name: fake-cluster-name-0
  user:
    token: token
";

    #[test]
    fn the_bytes_are_those_of_istioctl() {
        assert_eq!(write(&access("fake-cluster-name-0")), ISTIOCTLS);
    }

    #[test]
    fn what_is_written_is_read_and_so_is_what_others_wrote() {
        for name in ["cluster-1", "1", "1e3", "no", "0x1f", "true", "2026-11-23"] {
            let read = read(&write(&access(name))).unwrap();
            assert!(read == access(name), "{name} is read as {}", read.cluster);
        }
        // An older istioctl, and one that writes JSON.
        let older = ISTIOCTLS.replace("kind: Config\n", "kind: Config\npreferences: {}\n");
        assert!(read(&older).unwrap() == access("fake-cluster-name-0"));
        assert!(read("{}").is_none() && read("not: [yaml").is_none());
    }
}
