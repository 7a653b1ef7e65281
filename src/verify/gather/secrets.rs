//! What tells a cluster of the others, and how the others authenticate to it: remote secrets, tokens, the API endpoint.
//!
//! Tokens are digested as soon as they are read, so that two can be compared and none is kept.

use aws_sdk_eks::config::retry::RetryConfig;
use data_encoding::BASE64;
use serde_json::Value as Json;

use super::{Looker, REQUEST, label, list_at, text};
use crate::kinds::kubernetes::Kube;
use crate::model::Digest;
use crate::resource::{ErrorClass, ProviderError};
use crate::verify::facts::{ApiEndpoint, Reader, RemoteAccess, RemoteSecret, Seen};

const SECRETS: &str = "/api/v1/namespaces/istio-system/secrets";
const LABEL: &str = "istio/multiCluster";
const ACCOUNT: &str = "istio-reader-service-account";
/// What istiod's chart binds the reader by; a revision follows in the name of some installations.
const BINDING: &str = "istio-reader-clusterrole";

impl Looker<'_> {
    /// The remote secrets of a cluster; of those that should be there also the ones that lack their label.
    pub(super) async fn remote_secrets(self, kube: &Kube) -> Seen<Vec<RemoteSecret>> {
        let labelled = format!("{SECRETS}?labelSelector=istio%2FmultiCluster%3Dtrue");
        let mut secrets = self.list(kube, &labelled).await?;
        for peer in self.mesh.clusters.keys().filter(|peer| *peer != self.name) {
            let name = format!("istio-remote-secret-{peer}");
            if !secrets.iter().any(|secret| text(secret, "/metadata/name") == name) {
                secrets.extend(self.object(kube, &format!("{SECRETS}/{name}")).await?);
            }
        }
        Ok(secrets.iter().flat_map(entries).collect())
    }

    /// The tokens of the reader, and whether it may read.
    pub(super) async fn reader(self, kube: &Kube) -> Seen<Reader> {
        let tokens = format!("{SECRETS}?fieldSelector=type%3Dkubernetes.io%2Fservice-account-token");
        let secrets = self.list(kube, &tokens).await?;
        let of_reader = |secret: &&Json| {
            secret.pointer("/metadata/annotations/kubernetes.io~1service-account.name").and_then(Json::as_str)
                == Some(ACCOUNT)
        };
        let token = |secret: &Json| decoded(secret.pointer("/data/token")?).map(|token| Digest::of(token).to_string());
        let bindings = self.list(kube, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings").await?;
        let binds = |binding: &Json| {
            text(binding, "/metadata/name").starts_with(BINDING)
                && list_at(binding, "/subjects").iter().any(|subject| text(subject, "/name") == ACCOUNT)
        };
        Ok(Reader {
            tokens: secrets.iter().filter(of_reader).filter_map(token).collect(),
            may_read: bindings.iter().any(binds),
        })
    }

    /// Who may connect to the API server, where EKS says it. Reasons alone depend on it: that it cannot be read hides
    /// those, and nothing else.
    pub(super) async fn api(self) -> Option<ApiEndpoint> {
        let (region, name) = (self.declared.region.as_ref()?, self.declared.eks.as_ref()?);
        let config = aws_sdk_eks::config::Builder::from(self.cloud.aws())
            .region(aws_sdk_eks::config::Region::new(region.clone()))
            .retry_config(RetryConfig::disabled())
            .build();
        let client = aws_sdk_eks::Client::from_conf(config);
        let request =
            async {
                client.describe_cluster().name(name).send().await.map_err(|error| {
                    ProviderError::new(ErrorClass::Transient, "eks:DescribeCluster", error.to_string())
                })
            };
        let cluster = self.within(REQUEST, request).await.ok()?.cluster?;
        let access = cluster.resources_vpc_config()?;
        let has_ipv6 = cluster
            .kubernetes_network_config()
            .and_then(|network| network.ip_family())
            .is_some_and(|family| *family == aws_sdk_eks::types::IpFamily::Ipv6);
        Some(ApiEndpoint {
            url: cluster.endpoint()?.to_owned(),
            has_ipv6,
            public: access.endpoint_public_access(),
            private: access.endpoint_private_access(),
            admits: access.public_access_cidrs().iter().filter_map(|range| range.parse().ok()).collect(),
        })
    }
}

/// The bytes of a Secret's field.
pub(super) fn decoded(value: &Json) -> Option<Vec<u8>> {
    BASE64.decode(value.as_str()?.as_bytes()).ok()
}

/// What a Secret tells of: one cluster for each key.
fn entries(secret: &Json) -> Vec<RemoteSecret> {
    let name = text(secret, "/metadata/name");
    let labelled = label(secret, LABEL) == Some("true");
    let data = secret.get("data").and_then(Json::as_object);
    let entry = |(key, value): (&String, &Json)| RemoteSecret {
        secret: name.to_owned(),
        labelled,
        key: key.clone(),
        kubeconfig: decoded(value).ok_or_else(|| "it is not base64".to_owned()).and_then(|text| access(&text)),
    };
    data.into_iter().flatten().map(entry).collect()
}

/// What a kubeconfig says, as istiod takes it: it refuses what would make it run programs or read files.
fn access(bytes: &[u8]) -> Result<RemoteAccess, String> {
    let written = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let config: Json = serde_saphyr::from_str(written).map_err(|_| "it is not YAML".to_owned())?;
    let named = |list: &str, name: &str| list_at(&config, list).iter().find(|one| text(one, "/name") == name).cloned();
    let current = text(&config, "/current-context");
    let context = named("/contexts", current).ok_or_else(|| format!("it has no context `{current}`"))?;
    let cluster = named("/clusters", text(&context, "/context/cluster")).ok_or("its context names no cluster")?;
    let user = named("/users", text(&context, "/context/user")).ok_or("its context names no user")?;
    for (pointer, what) in [
        ("/user/exec", "a program to run (`exec`)"),
        ("/user/tokenFile", "a file with a token (`tokenFile`)"),
        ("/user/client-key", "a file with a key (`client-key`)"),
        ("/user/client-certificate", "a file with a certificate (`client-certificate`)"),
        ("/cluster/certificate-authority", "a file with certificates (`certificate-authority`)"),
    ] {
        if user.pointer(pointer).or_else(|| cluster.pointer(pointer)).is_some_and(|value| !value.is_null()) {
            return Err(format!("it names {what}, which istiod does not allow"));
        }
    }
    let provider = user.pointer("/user/auth-provider/name").and_then(Json::as_str);
    if let Some(provider) = provider.filter(|provider| *provider != "oidc") {
        return Err(format!("it names the auth provider `{provider}`, which istiod does not allow"));
    }
    let (server, token) = (text(&cluster, "/cluster/server"), text(&user, "/user/token"));
    if server.is_empty() {
        return Err("it names no server".to_owned());
    }
    Ok(RemoteAccess { server: server.to_owned(), token: Digest::of(token).to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubeconfig(user: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n\
             clusters: [{{name: a, cluster: {{server: https://a.test, certificate-authority-data: eA==}}}}]\n\
             users: [{{name: a, user: {user}}}]\n"
        )
    }

    #[test]
    fn a_kubeconfig_is_taken_as_istiod_takes_it() {
        let usable = access(kubeconfig("{token: t}").as_bytes()).unwrap();
        assert_eq!(usable, RemoteAccess { server: "https://a.test".to_owned(), token: Digest::of("t").to_string() });
        for (user, why) in [
            ("{exec: {command: aws}}", "it names a program to run (`exec`), which istiod does not allow"),
            ("{tokenFile: /x}", "it names a file with a token (`tokenFile`), which istiod does not allow"),
            ("{auth-provider: {name: gcp}}", "it names the auth provider `gcp`, which istiod does not allow"),
        ] {
            assert_eq!(access(kubeconfig(user).as_bytes()).unwrap_err(), why);
        }
        assert_eq!(access(b"{}").unwrap_err(), "it has no context ``");
        assert!(access(b"a: [").is_err());
    }
}
