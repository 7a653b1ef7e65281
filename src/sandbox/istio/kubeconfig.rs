//! What istiod takes of a remote secret's kubeconfig: a server, its authority and a token. What would make it run a
//! program or read a file is refused (`pkg/kube/util.go`, `sanitizeKubeConfig`).

use serde_json::Value;

use super::view::{list, text};

/// A kubeconfig that istiod takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) server: String,
    /// PEM in base64.
    pub(super) authority: String,
    pub(super) token: String,
}

/// Reads a kubeconfig as istiod does; `None` where it refuses it, whatever the reason.
pub(super) fn parse(bytes: &[u8]) -> Option<Access> {
    let config: Value = serde_saphyr::from_str(std::str::from_utf8(bytes).ok()?).ok()?;
    let named = |all: &str, name: &str| list(&config, all).iter().find(|one| text(one, "/name") == name);
    let context = named("/contexts", text(&config, "/current-context"))?;
    let cluster = named("/clusters", text(context, "/context/cluster"))?;
    let user = named("/users", text(context, "/context/user"))?;
    let is_there = |object: &Value, pointer: &str| object.pointer(pointer).is_some_and(|value| !value.is_null());
    let of_user = ["/user/exec", "/user/tokenFile", "/user/client-key", "/user/client-certificate"];
    let refused = of_user.iter().any(|pointer| is_there(user, pointer))
        || is_there(cluster, "/cluster/certificate-authority")
        || !matches!(text(user, "/user/auth-provider/name"), "" | "oidc");
    let server = text(cluster, "/cluster/server");
    (!refused && !server.is_empty()).then(|| Access {
        server: server.trim_end_matches('/').to_owned(),
        authority: text(cluster, "/cluster/certificate-authority-data").to_owned(),
        token: text(user, "/user/token").to_owned(),
    })
}
