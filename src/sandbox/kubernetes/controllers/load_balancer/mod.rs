//! The AWS load balancer controller: Services of type LoadBalancer become network load balancers.
//!
//! Entry point: [`run`]. It works only while it runs: the one of the chart while its pods are ready, with the role that its
//! service account has; the one of EKS Auto Mode always. A Service whose controller does not run keeps its finalizer, and
//! its load balancer stays.
//!
//! | part | what it does |
//! | --- | --- |
//! | `runner` | which controllers run, and who they are to AWS |
//! | `model` | what a Service asks for, in the words of AWS |
//! | `deploy` | makes that of AWS what the model says, and takes it away |
//! | `groups` | the security groups |
//! | `health` | what the load balancers find when they look at their targets |

mod deploy;
mod groups;
mod health;
mod model;
mod runner;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use self::model::Model;
use self::runner::Runner;
use super::control::Control;
use super::parts::{annotation, core, created, instant, is_going, list, name, namespace, set, text, uid};
use super::pods::is_held_by;

/// From a Service to its load balancer.
const DEPLOY_MS: (u64, u64) = (4_000, 10_000);

/// From the load balancer to its name in the Service's status: 10 to 30 s after the Service in all.
const STATUS_MS: (u64, u64) = (8_000, 18_000);

/// From the Service's deletion to that of its load balancer.
const DELETE_MS: (u64, u64) = (2_000, 8_000);

/// A controller that failed tries again after this long at first, and after a quarter of what has passed later.
const RETRY: SignedDuration = SignedDuration::from_secs(5);

/// The longest that it waits (controller-runtime's rate limiter).
const LONGEST_RETRY: SignedDuration = SignedDuration::from_secs(1_000);

/// Whose a Service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// The controller of the chart.
    Controller,
    /// EKS Auto Mode.
    AutoMode,
}

impl Class {
    /// What holds a Service until its load balancer is gone.
    fn finalizer(self) -> &'static str {
        match self {
            Self::Controller => "service.k8s.aws/resources",
            Self::AutoMode => "service.eks.amazonaws.com/resources",
        }
    }

    /// Whose a Service is that wants a load balancer; `None` when it wants none, or of nobody here.
    fn of(service: &Value) -> Option<Self> {
        if text(service, "/spec/type") != "LoadBalancer" {
            return None;
        }
        match text(service, "/spec/loadBalancerClass") {
            "service.k8s.aws/nlb" => Some(Self::Controller),
            "eks.amazonaws.com/nlb" => Some(Self::AutoMode),
            "" => annotation(service, "service.beta.kubernetes.io/aws-load-balancer-type")
                .filter(|kind| matches!(*kind, "external" | "nlb-ip"))
                .map(|_| Self::Controller),
            _ => None,
        }
    }
}

pub(super) fn run(control: &mut Control<'_, '_>) {
    let concerned = |service: &Value| {
        Class::of(service).is_some()
            || [Class::Controller, Class::AutoMode].iter().any(|class| is_held_by(service, class.finalizer()))
    };
    let services = control.list_if("", "services", concerned);
    if !services.is_empty() {
        let runners = runner::running(control);
        for service in services {
            serve(control, &runners, &service);
        }
    }
    health::run(control);
}

fn serve(control: &mut Control<'_, '_>, runners: &[Runner], service: &Value) {
    let running = |class: Class| runners.iter().find(|runner| runner.class == class);
    let wanted = Class::of(service).filter(|_| !is_going(service));
    // Whoever holds it lets go first, when it is another's by now, or nobody's.
    for class in [Class::Controller, Class::AutoMode] {
        if is_held_by(service, class.finalizer()) && wanted != Some(class) {
            if let Some(runner) = running(class) {
                withdraw(control, runner, service);
            }
            return;
        }
    }
    if let Some(runner) = wanted.and_then(running) {
        provide(control, runner, service);
    }
}

/// When a controller tries next, at an instant at which it failed at something that began earlier.
fn retry(control: &mut Control<'_, '_>, began: Timestamp) {
    let wait = (control.now.duration_since(began) / 4).clamp(RETRY, LONGEST_RETRY);
    let _ = control.has_come(control.now.checked_add(wait).unwrap_or(Timestamp::MAX));
}

/// Makes a Service's load balancer what the Service says.
fn provide(control: &mut Control<'_, '_>, runner: &Runner, service: &Value) {
    let began = created(service).max(runner.since);
    let key = core("services", namespace(service), name(service));
    if !is_held_by(service, runner.class.finalizer()) {
        let mut held = service.clone();
        let mut finalizers = list(service, "/metadata/finalizers").to_vec();
        finalizers.push(runner.class.finalizer().into());
        set(&mut held, &["metadata", "finalizers"], finalizers.into());
        control.put(&key, held);
        return;
    }
    let at = control.after(began, uid(service), "load balancer", DEPLOY_MS);
    if !control.has_come(at) {
        return;
    }
    let model = match Model::of(control, runner, service) {
        Ok(model) => model,
        Err(why) => {
            control.warn(service, "service", "FailedBuildModel", &format!("Failed build model due to {why}"));
            retry(control, began);
            return;
        }
    };
    let balancer = match deploy::deploy(control, runner, service, &model) {
        Ok(balancer) => balancer,
        Err(why) => {
            control.warn(service, "service", "FailedDeployModel", &format!("Failed deploy model due to {why}"));
            retry(control, began);
            return;
        }
    };
    let named = control.after(balancer.head.created_at, uid(service), "name", STATUS_MS);
    if !control.has_come(named) {
        return;
    }
    let ingress = json!([{ "hostname": balancer.dns_name }]);
    if service["status"]["loadBalancer"]["ingress"] != ingress {
        let mut named = service.clone();
        set(&mut named, &["status", "loadBalancer", "ingress"], ingress);
        control.put(&key, named);
        control.say(service, "service", "SuccessfullyReconciled", "Successfully reconciled");
    }
}

/// Takes a Service's load balancer away, and then the finalizer.
fn withdraw(control: &mut Control<'_, '_>, runner: &Runner, service: &Value) {
    let asked = instant(service, "/metadata/deletionTimestamp").unwrap_or_else(|| created(service));
    let began = asked.max(runner.since);
    let at = control.after(began, uid(service), "withdrawn", DELETE_MS);
    if !control.has_come(at) {
        return;
    }
    if let Err(why) = deploy::withdraw(control, runner, service) {
        control.warn(service, "service", "FailedDeployModel", &format!("Failed deploy model due to {why}"));
        retry(control, began);
        return;
    }
    let key = core("services", namespace(service), name(service));
    if !is_going(service) {
        let mut freed = service.clone();
        set(&mut freed, &["status", "loadBalancer"], json!({}));
        control.put(&key, freed);
    }
    control.release(&key, runner.class.finalizer());
}
