//! Commands in pods and requests of their ports, where something is not there.

use serde_json::json;

use super::objects::sample;
use super::rig::REGION;
use super::*;
use crate::sandbox::istio::{Exec, Executed, Got, exec, get_in_pod};

fn run(lab: &Lab, pod: &str, container: &str, command: &[&str]) -> Executed {
    let command: Vec<String> = command.iter().map(ToString::to_string).collect();
    let wanted = Exec { namespace: "sample", pod, container, command: &command };
    exec(&lab.world.borrow(), (REGION, "cluster-1"), &wanted, NOW)
}

fn curl(lab: &Lab, arguments: &[&str]) -> (String, String, Option<String>) {
    let mut command = vec!["curl"];
    command.extend(arguments);
    let ran = run(lab, "curl-1", "curl", &command);
    let code = ran.status.pointer("/details/causes/0/message").and_then(|code| code.as_str()).map(str::to_owned);
    (String::from_utf8(ran.stdout).unwrap(), String::from_utf8(ran.stderr).unwrap(), code)
}

#[test]
fn what_is_not_there_is_refused_as_the_api_refuses_it() {
    let lab = Lab::pair();
    let refused = run(&lab, "nobody", "curl", &["curl"]).status;
    assert_eq!((&refused["code"], &refused["message"]), (&json!(404), &json!("pods \"nobody\" not found")));
    let refused = run(&lab, "curl-1", "nothing", &["curl"]).status;
    assert_eq!(refused["message"], "container nothing is not valid for pod curl-1");
    let ran = run(&lab, "curl-1", "curl", &["ls", "-l"]);
    assert_eq!(ran.status["details"]["causes"][0]["message"], "127");
    assert!(String::from_utf8(ran.stderr).unwrap().contains("exec: \"ls\": executable file not found in $PATH"));

    let ask = |pod: &str, port, path: &str| {
        get_in_pod(&lab.world.borrow(), (REGION, "cluster-1"), ("istio-system", pod, port), path, NOW)
    };
    assert!(matches!(ask("istiod-9", 8080, "/debug/clusterz"), Got::Refused(status) if status["code"] == 404));
    assert!(matches!(ask("istiod-1", 9999, "/"), Got::Closed(why) if why.ends_with("connect: connection refused")));
    assert_eq!(ask("istiod-1", 8080, "/nothing"), Got::Answer(404, b"404 page not found\n".to_vec()));
    let Got::Answer(200, body) = ask("istiod-1", 8080, "/debug/clusterz") else { panic!() };
    assert_eq!(
        String::from_utf8(body).unwrap(),
        r#"[{"id":"cluster-1","secretName":"","syncStatus":"synced"},{"id":"cluster-2","secretName":"istio-system/istio-remote-secret-cluster-2","syncStatus":"synced"}]"#
    );
    let Got::Answer(200, body) = ask("istiod-1", 8080, "/debug/networkz") else { panic!() };
    let gateways: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        gateways[0],
        json!({
            "Network": "network1", "Cluster": "cluster-1", "Addr": "35.160.0.1", "Port": 15443, "HBONEPort": 0,
            "ServiceAccount": { "Namespace": "", "Name": "" },
        })
    );
    assert_eq!(gateways.as_array().unwrap().len(), 4, "both families of both");
    // Of several istiods a proxy is connected to one.
    let told = ["istiod-1", "istiod-2"].map(|istiod| ask(istiod, 8080, "/debug/edsz?proxyID=curl-1.sample"));
    let connected = told.iter().filter(|got| matches!(got, Got::Answer(200, _))).count();
    let others =
        told.iter().filter(|got| matches!(got, Got::Answer(404, said) if said.starts_with(b"Proxy not connected")));
    assert_eq!((connected, others.count()), (1, 1));
}

#[test]
fn curl_says_what_curl_says() {
    let lab = Lab::pair();
    let (body, said, code) = curl(&lab, &["-sS", "helloworld.sample:5000/hello"]);
    assert!(body.starts_with("Hello version: v"), "{body}");
    assert_eq!((said.as_str(), code), ("", None));

    let (body, ..) =
        curl(&lab, &["-s", "-o", "/dev/null", "-w", "%{http_code} %{exitcode}\\n", "helloworld.sample:5000/x"]);
    assert_eq!(body, "404 0\n");
    let (_, said, code) = curl(&lab, &["-sS", "nowhere.sample:5000/hello"]);
    assert_eq!((said.as_str(), code.as_deref()), ("curl: (6) Could not resolve host: nowhere.sample\n", Some("6")));
    let (_, said, code) = curl(&lab, &["-sSm", "2", "helloworld.sample:81/hello"]);
    assert_eq!(
        (said.as_str(), code.as_deref()),
        ("curl: (28) Connection timed out after 2001 milliseconds\n", Some("28"))
    );
    let (_, said, code) = curl(&lab, &["-sS", "--frobnicate", "helloworld.sample"]);
    assert!(said.starts_with("curl: option --frobnicate: is unknown\n"));
    assert_eq!(code.as_deref(), Some("2"));
    let (all, ..) = curl(&lab, &["-sS", "helloworld.sample:5000/hello?n=[1-20]"]);
    assert_eq!(all.lines().filter(|line| line.contains("version: v1")).count(), 10);
    assert_eq!(all.lines().filter(|line| line.contains("version: v2")).count(), 10);
}

#[test]
fn a_pod_without_a_proxy_reaches_its_own_cluster_only() {
    let lab = Lab::pair();
    lab.edit("cluster-1", &sample("pods", "curl-1"), |pod| {
        pod["spec"]["containers"].as_array_mut().unwrap().truncate(1);
    });
    let (all, ..) = curl(&lab, &["-sS", "helloworld.sample:5000/hello?n=[1-20]"]);
    assert_eq!(all.lines().filter(|line| line.contains("version: v1")).count(), 20);
    // And none at all where servers take mTLS alone.
    lab.put(
        "cluster-1",
        &super::objects::key("security.istio.io", "peerauthentications", Some("istio-system"), "default"),
        json!({ "spec": { "mtls": { "mode": "STRICT" } } }),
    );
    let (_, said, code) = curl(&lab, &["-sS", "helloworld.sample:5000/hello"]);
    assert_eq!((said.as_str(), code.as_deref()), ("curl: (56) Recv failure: Connection reset by peer\n", Some("56")));
}
