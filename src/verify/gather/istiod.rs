//! What istiods say on their debug endpoints. Those are open without a token to the pod's own loopback only, where a port
//! that the API server forwards ends.

use serde::Deserialize;
use serde_json::Value as Json;

use super::cluster::{environment, is_going, pod};
use super::{Looker, REQUEST, label, list_at, text};
use crate::kinds::kubernetes::Kube;
use crate::resource::{ErrorClass, ProviderError};
use crate::verify::facts::{Istiod, KnownGateway, Pod, ReadCluster, Seen, Unseen};

const NAMESPACE: &str = "istio-system";
/// istiod's plain-text port.
const PORT: u16 = 8080;

/// An entry of `/debug/clusterz`.
#[derive(Deserialize)]
struct DebugCluster {
    id: String,
    #[serde(rename = "secretName", default)]
    secret_name: String,
    #[serde(rename = "syncStatus", default)]
    sync_status: String,
}

/// An entry of `/debug/networkz`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct DebugGateway {
    network: String,
    cluster: String,
    addr: String,
    port: u32,
}

impl Looker<'_> {
    /// All istiods of a cluster.
    pub(super) async fn istiods(self, kube: &Kube, system_pods: &[Json]) -> Vec<Istiod> {
        let is_istiod = |pod: &&Json| label(pod, "app") == Some("istiod") && !is_going(pod);
        let mut istiods = Vec::new();
        for object in system_pods.iter().filter(is_istiod) {
            let pod = pod(object);
            let (clusters, gateways) =
                if pod.ready { self.debug(kube, &pod.name).await } else { (Ok(Vec::new()), Ok(Vec::new())) };
            let resolves =
                environment(object, "discovery").get("RESOLVE_HOSTNAME_GATEWAYS").map(String::as_str) != Some("false");
            istiods.push(Istiod { pod, resolves_hostnames: resolves, clusters, gateways });
        }
        istiods
    }

    async fn debug(self, kube: &Kube, pod: &str) -> (Seen<Vec<ReadCluster>>, Seen<Vec<KnownGateway>>) {
        let (clusters, gateways) = tokio::join!(
            self.ask_istiod::<Option<Vec<DebugCluster>>>(kube, pod, "/debug/clusterz"),
            self.ask_istiod::<Option<Vec<DebugGateway>>>(kube, pod, "/debug/networkz"),
        );
        let cluster = |one: DebugCluster| ReadCluster { id: one.id, secret: one.secret_name, status: one.sync_status };
        let gateway = |one: DebugGateway| KnownGateway {
            network: one.network,
            cluster: one.cluster,
            address: one.addr.parse().ok(),
            port: u16::try_from(one.port).unwrap_or_default(),
        };
        (
            clusters.map(|all| all.unwrap_or_default().into_iter().map(cluster).collect()),
            gateways.map(|all| all.unwrap_or_default().into_iter().map(gateway).collect()),
        )
    }

    async fn ask_istiod<T: for<'a> Deserialize<'a>>(self, kube: &Kube, pod: &str, path: &str) -> Seen<T> {
        let answer = self.within(REQUEST, kube.get_in_pod(NAMESPACE, pod, PORT, path)).await?;
        if answer.status != 200 {
            let said: String = String::from_utf8_lossy(&answer.body).trim().chars().take(200).collect();
            return Err(Unseen { why: format!("{path} answers {} {said}", answer.status), passes: false });
        }
        serde_json::from_slice(&answer.body)
            .map_err(|error| Unseen { why: format!("{path} does not answer what it should: {error}"), passes: false })
    }

    /// Where a pod's proxy is told to send requests to the sample; `None` if it is connected to none of the istiods.
    pub(super) async fn endpoints(
        self,
        kube: &Kube,
        istiods: &[Istiod],
        client: &Pod,
        port: u16,
    ) -> Option<Seen<Vec<std::net::IpAddr>>> {
        let path = format!("/debug/edsz?proxyID={}.{}", client.name, super::sample::NAMESPACE);
        let cluster = format!("outbound|{port}||{}.{}.svc.", super::sample::SERVER, super::sample::NAMESPACE);
        let mut first_error = None;
        for istiod in istiods.iter().filter(|istiod| istiod.pod.ready) {
            let answer = self.within(REQUEST, kube.get_in_pod(NAMESPACE, &istiod.pod.name, PORT, &path)).await;
            let told = answer.and_then(|answer| match answer.status {
                200 => assignment(&answer.body, &cluster).map(Some),
                // It is connected to another istiod.
                404 => Ok(None),
                status => Err(Unseen { why: format!("/debug/edsz answers {status}"), passes: false }),
            });
            match told {
                Ok(Some(addresses)) => return Some(Ok(addresses)),
                Ok(None) => {}
                Err(why) => first_error = first_error.or(Some(why)),
            }
        }
        first_error.map(Err)
    }
}

/// The addresses of one cluster of Envoy's, out of those that a proxy is told.
fn assignment(body: &[u8], cluster: &str) -> Seen<Vec<std::net::IpAddr>> {
    let all: Json = serde_json::from_slice(body).map_err(|error| {
        let error = ProviderError::new(ErrorClass::Invalid, "istiod:edsz", error.to_string());
        super::unseen(&error)
    })?;
    let all = all.as_array().map(Vec::as_slice).unwrap_or_default();
    let of_cluster = all.iter().filter(|one| text(one, "/clusterName").starts_with(cluster));
    let localities = of_cluster.flat_map(|one| list_at(one, "/endpoints"));
    let endpoints = localities.flat_map(|locality| list_at(locality, "/lbEndpoints"));
    let addresses = endpoints.map(|one| text(one, "/endpoint/address/socketAddress/address"));
    Ok(addresses.filter_map(|address| address.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_one_cluster_are_read_from_what_istiod_prints() {
        let body = br#"[
            {"clusterName":"outbound|80||curl.sample.svc.cluster.local","endpoints":[{"lbEndpoints":[{"endpoint":{"address":{"socketAddress":{"address":"10.1.0.9","portValue":80}}}}]}]},
            {"clusterName":"outbound|5000||helloworld.sample.svc.cluster.local","endpoints":[{"locality":{"region":"us-west-2"},"lbEndpoints":[
              {"endpoint":{"address":{"socketAddress":{"address":"10.1.0.5","portValue":5000}}},"loadBalancingWeight":1},
              {"endpoint":{"address":{"socketAddress":{"address":"2001:db8::7","portValue":15443}}},"loadBalancingWeight":1}]}]},
            {"clusterName":"outbound|5001||helloworld.sample.svc.cluster.local"}]"#;
        let told = assignment(body, "outbound|5000||helloworld.sample.svc.").unwrap();
        assert_eq!(told, ["10.1.0.5".parse::<std::net::IpAddr>().unwrap(), "2001:db8::7".parse().unwrap()]);
        assert!(!assignment(b"<html>", "outbound").unwrap_err().passes);
    }
}
