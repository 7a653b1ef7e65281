//! A folder with a mesh in it, the binary that works on it, and whoever breaks it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use http::Method;
use meshplan::kinds::eks::token::token;
use meshplan::model::Clock;
use meshplan::resource::Cloud;
use meshplan::sandbox::{Options, Sandbox, Speed};
use serde_json::Value;

const REGION: &str = "us-west-2";

/// A folder of one test's own.
pub(crate) struct Place(PathBuf);

impl Place {
    /// A folder in which a committed topology was applied to the end.
    pub(crate) fn applied(test: &str, topology: &str) -> (Self, Output) {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mesh").join(test);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::copy(Path::new("topologies").join(topology), path.join("mesh.toml")).unwrap();
        let place = Self(path);
        let output = place.run(&["apply", "mesh.toml", "--yes"]);
        assert!(output.status.success(), "{}", shown(&output));
        (place, output)
    }

    /// Runs the binary over the sandbox, with nothing of the caller's environment.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_meshplan"))
            .args(arguments)
            .args(["--sandbox", "--sandbox-speed", "unlimited"])
            .current_dir(&self.0)
            .env_clear()
            .env("COLUMNS", "100")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// The codes of what `verify` finds wrong, after having looked for so many seconds.
    pub(crate) fn codes(&self, seconds: u32) -> Vec<String> {
        let output = self.run(&["verify", "--format", "json", "--timeout", &seconds.to_string()]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", shown(&output)));
        assert_eq!(report["ok"], output.status.success(), "{}", shown(&output));
        let causes = report["causes"].as_array().unwrap();
        causes.iter().map(|cause| cause["code"].as_str().unwrap().to_owned()).collect()
    }

    fn sandbox(&self) -> Sandbox {
        let options = Options { speed: Speed::Unlimited, ..Options::default() };
        Sandbox::open(&self.0.join("state/sandbox"), options).unwrap()
    }

    /// Makes a request of a cluster's API server, as its administrator.
    pub(crate) fn ask(&self, cluster: &str, method: Method, path: &str, patch: Option<Value>) -> Value {
        let sandbox = self.sandbox();
        let clock: Arc<dyn Clock> = Arc::new(sandbox.clock().clone());
        let config = sandbox.sdk_config();
        let asking = async {
            let region = aws_config::Region::new(REGION);
            let eks =
                aws_sdk_eks::Client::from_conf(aws_sdk_eks::config::Builder::from(&config).region(region).build());
            let described = eks.describe_cluster().name(cluster).send().await.unwrap().cluster.unwrap();
            let token = token(&Cloud::new(config.clone()), REGION, cluster, clock.now()).await.unwrap();
            let request = http::Request::builder()
                .method(method)
                .uri(path)
                .header("accept", "application/json")
                .header("content-type", "application/merge-patch+json")
                .header("authorization", format!("Bearer {}", token.token.expose()))
                .body(patch.map(|patch| patch.to_string().into_bytes()).unwrap_or_default())
                .unwrap();
            let answer = sandbox.kubernetes().send(described.endpoint().unwrap(), request).await.unwrap();
            let body: Value = serde_json::from_slice(answer.body()).unwrap();
            assert!(answer.status().is_success(), "{path}: {body}");
            body
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(sandbox.drive(asking))
    }

    /// Lets only these ranges connect to a cluster's API server.
    pub(crate) fn admit(&self, cluster: &str, ranges: &[&str]) {
        let sandbox = self.sandbox();
        let config = sandbox.sdk_config();
        let admitting = async {
            let region = aws_config::Region::new(REGION);
            let eks =
                aws_sdk_eks::Client::from_conf(aws_sdk_eks::config::Builder::from(&config).region(region).build());
            let access = aws_sdk_eks::types::VpcConfigRequest::builder()
                .set_public_access_cidrs(Some(ranges.iter().map(ToString::to_string).collect()))
                .build();
            eks.update_cluster_config().name(cluster).resources_vpc_config(access).send().await.unwrap();
            sandbox.clock().sleep(std::time::Duration::from_mins(15)).await;
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(sandbox.drive(admitting));
    }
}

pub(crate) fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}\n{}", text(&output.stdout), text(&output.stderr), output.status)
}
