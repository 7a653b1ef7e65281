//! As much of an API server as looking takes: objects and lists, and the mesh behind exec and port-forward.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::rig::REGION;
use crate::resource::{ClusterRoute, Exec, Executed, GetInPod};
use crate::sandbox::istio::view::{Cluster, label, text};
use crate::sandbox::istio::{self, Got};
use crate::sandbox::world::World;

pub(super) struct Route {
    pub(super) world: Rc<RefCell<World>>,
    pub(super) now: Timestamp,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Route")
    }
}

impl Route {
    fn named(&self, endpoint: &str) -> String {
        let world = self.world.borrow();
        let mut clusters = Cluster::all(&world, self.now);
        clusters.find(|one| endpoint.contains(&one.row.unique)).unwrap().row.name().to_owned()
    }

    fn get(&self, cluster: &str, uri: &http::Uri) -> Option<Value> {
        let world = self.world.borrow();
        let cluster = Cluster::named(&world, REGION, cluster, self.now)?;
        let mut parts: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
        let group = match parts.remove(0) {
            "api" => "",
            _ => parts.remove(0),
        };
        parts.remove(0);
        let (namespace, rest) = match parts.as_slice() {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            rest => (None, rest),
        };
        if let [plural, name] = rest {
            return cluster.get(group, plural, namespace, name).cloned();
        }
        let query: Vec<(String, String)> =
            form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        let is_selected = |object: &&Value| {
            query.iter().all(|(field, value)| match (field.as_str(), value.split_once('=')) {
                ("labelSelector", Some((name, value))) => label(object, name) == Some(value),
                ("labelSelector", None) => label(object, value).is_some(),
                ("fieldSelector", Some(("type", value))) => text(object, "/type") == value,
                other => panic!("{other:?}"),
            })
        };
        let items: Vec<&Value> =
            cluster.list(group, rest.first()?, namespace).into_iter().filter(is_selected).collect();
        Some(json!({ "kind": "List", "items": items }))
    }
}

impl ClusterRoute for Route {
    fn leads_to(&self, _: &str) -> bool {
        true
    }

    fn send<'a>(
        &'a self,
        endpoint: &'a str,
        request: http::Request<Vec<u8>>,
    ) -> LocalBoxFuture<'a, io::Result<http::Response<Vec<u8>>>> {
        let (status, body) = match self.get(&self.named(endpoint), request.uri()) {
            Some(object) => (200, object),
            None => (404, json!({ "kind": "Status", "reason": "NotFound", "message": "not found", "code": 404 })),
        };
        let answer = http::Response::builder().status(status).body(body.to_string().into_bytes()).unwrap();
        Box::pin(async move { Ok(answer) })
    }

    fn exec<'a>(&'a self, endpoint: &'a str, exec: Exec) -> LocalBoxFuture<'a, io::Result<Executed>> {
        assert!(exec.authorization.unwrap().starts_with("Bearer k8s-aws-v1."));
        let command = istio::Exec {
            namespace: &exec.namespace,
            pod: &exec.pod,
            container: &exec.container,
            command: &exec.command,
        };
        let ran = istio::exec(&self.world.borrow(), (REGION, &self.named(endpoint)), &command, self.now);
        Box::pin(async move { Ok(Executed { stdout: ran.stdout, stderr: ran.stderr, status: ran.status }) })
    }

    fn get_in_pod<'a>(
        &'a self,
        endpoint: &'a str,
        get: GetInPod,
    ) -> LocalBoxFuture<'a, io::Result<http::Response<Vec<u8>>>> {
        let to = (get.namespace.as_str(), get.pod.as_str(), get.port);
        let got = istio::get_in_pod(&self.world.borrow(), (REGION, &self.named(endpoint)), to, &get.path, self.now);
        let answer = match got {
            Got::Answer(status, body) => Ok(http::Response::builder().status(status).body(body).unwrap()),
            Got::Refused(status) => {
                let code = u16::try_from(status["code"].as_u64().unwrap()).unwrap();
                Ok(http::Response::builder().status(code).body(status.to_string().into_bytes()).unwrap())
            }
            Got::Closed(why) => Err(io::Error::new(io::ErrorKind::ConnectionRefused, why)),
        };
        Box::pin(async move { answer })
    }
}
