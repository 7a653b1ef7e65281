//! Facts of a mesh in which all is well, to be broken one at a time.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::model::Address;
use crate::verify::*;

pub(super) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A mesh of IPv4 clusters, each in a network of its own.
pub(super) fn mesh(n_clusters: u8) -> Mesh {
    let cluster = |n: u8| {
        let name = format!("cluster-{n}");
        let cluster = Cluster {
            address: Address::new("eks.cluster", &[&name]),
            network: format!("network{n}"),
            region: Some("us-west-2".to_owned()),
            eks: Some(name.clone()),
            reach: Reach { pods: Family::Ipv4, other: false, dns64: false },
            istio: Version { major: 1, minor: 31, patch: 0 },
            leaves_from: vec![format!("198.51.100.{n}/32").parse().unwrap()],
        };
        (name, cluster)
    };
    Mesh {
        id: "mesh1".to_owned(),
        clusters: (1..=n_clusters).map(cluster).collect(),
        sample: Some(Sample { requests: 20, port: 5000 }),
    }
}

fn pod(name: &str, ip: &str) -> Pod {
    Pod {
        name: name.to_owned(),
        addresses: vec![address(ip)],
        ready: true,
        has_proxy: true,
        images: vec!["an-image".to_owned()],
        ..Pod::default()
    }
}

/// What is seen of it when all is well.
pub(super) fn facts(n_clusters: u8) -> Facts {
    Facts { clusters: (1..=n_clusters).map(|n| (format!("cluster-{n}"), Ok(cluster(n, n_clusters)))).collect() }
}

fn cluster(n: u8, n_clusters: u8) -> ClusterFacts {
    let name = |n: u8| format!("cluster-{n}");
    let all = || 1..=n_clusters;
    let read = |peer: u8| ReadCluster {
        id: name(peer),
        secret: if peer == n { String::new() } else { format!("istio-system/istio-remote-secret-{}", name(peer)) },
        status: "synced".to_owned(),
    };
    let gateway = |peer: u8| KnownGateway {
        network: format!("network{peer}"),
        cluster: name(peer),
        address: Some(address(&format!("192.0.2.{peer}"))),
        port: 15443,
    };
    let hello = |peer: u8| Reply::Hello { version: format!("v{peer}"), instance: format!("helloworld-v{peer}") };
    let pod_ip = |peer: u8| format!("10.{peer}.0.40");
    let server = Pod {
        version: Some(format!("v{n}")),
        network: Some(format!("network{n}")),
        ..pod(&format!("helloworld-v{n}"), &pod_ip(n))
    };
    ClusterFacts {
        istiods: vec![Istiod {
            pod: pod("istiod-1", &format!("10.{n}.0.11")),
            resolves_hostnames: true,
            clusters: Ok(all().map(read).collect()),
            gateways: Ok(all().map(gateway).collect()),
        }],
        network_label: Some(format!("network{n}")),
        remote_secrets: all()
            .filter(|peer| *peer != n)
            .map(|peer| RemoteSecret {
                secret: format!("istio-remote-secret-{}", name(peer)),
                labelled: true,
                key: name(peer),
                kubeconfig: Ok(RemoteAccess {
                    server: format!("https://{peer}.test"),
                    token: format!("digest-{peer}"),
                }),
            })
            .collect(),
        reader: Reader { tokens: vec![format!("digest-{n}")], may_read: true },
        api: Some(ApiEndpoint {
            url: format!("https://{n}.test"),
            has_ipv6: false,
            public: true,
            private: true,
            admits: vec!["0.0.0.0/0".parse().unwrap()],
        }),
        gateways: vec![Gateway {
            name: "istio-system/istio-eastwestgateway".to_owned(),
            network: Some(format!("network{n}")),
            ports: vec![15021, 15443],
            kind: "LoadBalancer".to_owned(),
            address: Some(format!("gateway-{n}.elb.test")),
            warnings: Vec::new(),
            balancer: Some(Ok(Balancer::Known {
                kind: "network".to_owned(),
                state: "active".to_owned(),
                dual_stack: false,
                targets: Some(vec![TargetHealth {
                    target: format!("10.{n}.0.30:15443"),
                    state: "healthy".to_owned(),
                    why: None,
                }]),
            })),
        }],
        gateway_pods: vec![pod("istio-eastwestgateway-1", &format!("10.{n}.0.30"))],
        listeners: vec!["istio-system/cross-network-gateway".to_owned()],
        injector: Injector { configured: true, has_ca: true, failures: Vec::new() },
        trust: Trust {
            declared: Some(Ok(Bundle {
                roots: vec!["63727a17b1ff63727a17b1ff".to_owned()],
                root_names: vec!["CN=root 01".to_owned()],
                signer: format!("signer-{n}"),
                signer_name: format!("CN=signer 0{n}"),
            })),
            published: BTreeMap::from([("sample".to_owned(), vec!["63727a17b1ff63727a17b1ff".to_owned()])]),
            domain: Some("cluster.local".to_owned()),
        },
        sample: Some(SampleFacts {
            has_service: true,
            servers: vec![server],
            client: Some(pod("curl-1", &format!("10.{n}.0.41"))),
            endpoints: Some(Ok(all()
                .map(|peer| if peer == n { address(&pod_ip(n)) } else { address(&format!("192.0.2.{peer}")) })
                .collect())),
            replies: Some(Ok((0..10).flat_map(|_| all().map(hello)).collect())),
        }),
    }
}

/// The facts with one cluster changed.
pub(super) fn broken(name: &str, change: impl FnOnce(&mut ClusterFacts)) -> Facts {
    let mut facts = facts(2);
    change(facts.clusters.get_mut(name).unwrap().as_mut().unwrap());
    facts
}
