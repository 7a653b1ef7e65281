//! The kubeconfig of an EKS cluster: who is calling is answered by `meshplan eks-token`, so that no token is written.

use std::path::Path;

use serde_json::{Value as Json, json};

use crate::resource::ClusterAccess;

/// The version of the exchange between clients and programs that answer tokens.
pub const TOKEN_API_VERSION: &str = "client.authentication.k8s.io/v1";

/// The user of an EKS cluster as a kubeconfig holds it: `program` signs its tokens.
#[must_use]
pub fn user_of_eks(program: &str, cluster: &str, region: &str, is_sandbox: bool) -> Json {
    let mut arguments = vec!["eks-token", "--cluster", cluster, "--region", region];
    if is_sandbox {
        arguments.push("--sandbox");
    }
    json!({ "exec": {
        "apiVersion": TOKEN_API_VERSION,
        "command": program,
        "args": arguments,
        "interactiveMode": "Never",
        "provideClusterInfo": false,
        "installHint": "meshplan is not on the PATH: it signs the tokens of this cluster",
    }})
}

/// The text of a kubeconfig with one cluster. JSON is YAML.
pub(super) fn of_eks(access: &ClusterAccess, cluster: &str, region: &str, meshplan: &Path) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "cluster",
        "contexts": [{ "name": "cluster", "context": { "cluster": "cluster", "user": "caller" } }],
        "clusters": [{ "name": "cluster", "cluster": {
            "server": access.endpoint, "certificate-authority-data": access.certificate_authority
        } }],
        "users": [{ "name": "caller", "user": user_of_eks(&meshplan.to_string_lossy(), cluster, region, false) }],
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::ClusterAuth;

    #[test]
    fn it_names_this_program_and_holds_no_token() {
        let access = ClusterAccess {
            endpoint: "https://a.test".to_owned(),
            certificate_authority: "Y2E=".to_owned(),
            auth: ClusterAuth::Eks { cluster: "one".to_owned(), region: "us-west-2".to_owned() },
        };
        let text = of_eks(&access, "one", "us-west-2", Path::new("/opt/meshplan"));
        let json: Json = serde_json::from_str(&text).unwrap();
        assert_eq!(json["users"][0]["user"]["exec"]["command"], "/opt/meshplan");
        let args = json!(["eks-token", "--cluster", "one", "--region", "us-west-2"]);
        assert_eq!(json["users"][0]["user"]["exec"]["args"], args);
        assert!(!text.contains("\"token\":"));
    }
}
