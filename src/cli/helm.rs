//! Helm for the commands: the program of a run, whether there is one before anything is made, and what a plan's releases
//! would do to their objects.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::available_parallelism;

use futures_util::future::join_all;

use super::context::{Context, Source};
use super::session::Session;
use crate::kinds::helm::objects::{ObjectAction, ObjectChange};
use crate::kinds::helm::preview::{Before, Preview, preview};
use crate::kinds::helm::program::{HelmProgram, Settings};
use crate::model::{Clock, Code, Diagnostic, Target, Value};
use crate::plan::render::counted;
use crate::plan::{Action, Change, Plan};
use crate::resource::{Cloud, ErrorClass, Helm, ProviderError};
use crate::sandbox::charts;
use crate::state::State;

/// The kind whose changes need helm.
const RELEASE: &str = "helm.release";

/// The folder of the program's own below the state directory.
const FOLDER: &str = "helm";

/// Each helm takes some 100 MB, and a processor while it renders.
const WIDEST: usize = 8;

/// How many lines of a release's preview are shown.
const LINES: usize = 80;

/// The program of a run against real clusters.
pub(super) fn program(context: &Context, aws: &aws_config::SdkConfig, clock: &Arc<dyn Clock>) -> Rc<dyn Helm> {
    let width = available_parallelism().map_or(2, usize::from).saturating_mul(2).clamp(2, WIDEST);
    Rc::new(HelmProgram::new(Settings {
        path: context.path.clone(),
        meshplan: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("meshplan")),
        folder: context.globals.state.join(FOLDER),
        aws: aws.clone(),
        clock: Arc::clone(clock),
        width,
    }))
}

/// Asks for helm if the plan needs it. Without it nothing that the plan makes first would be of use: an error when it is
/// about to be applied, a warning while it is only made.
pub(super) async fn check(session: &Session, plan: &Plan, applies: bool) -> Vec<Diagnostic> {
    let needs = |change: &&Change| {
        change.address.kind() == RELEASE && !matches!(change.action, Action::NoOp | Action::Forget | Action::Adopt)
    };
    let Some(first) = plan.changes.iter().find(needs) else { return Vec::new() };
    let Ok(helm) = session.cloud.helm() else { return Vec::new() };
    match session.drive(helm.version()).await {
        Ok(version) => {
            tracing::info!(version, "helm");
            Vec::new()
        }
        Err(error) => {
            let severe = if applies { Diagnostic::error } else { Diagnostic::warning };
            let releases = plan.changes.iter().filter(needs).count();
            let finding = severe(Code("no-helm"), error.message).note(format!(
                "{} needs it, of {} in this plan",
                first.address,
                counted(releases, "release")
            ));
            vec![finding]
        }
    }
}

/// Says of the releases of a run in the sandbox that they are recorded, and which charts are not known there.
pub(super) fn recorded(context: &Context, plan: &Plan) {
    if !context.globals.sandbox {
        return;
    }
    let is_made = |change: &&Change| {
        // Clusters that are reached by a kubeconfig file are no simulated ones: helm itself runs there.
        let is_simulated = matches!(&change.target, Target::Cluster { cluster } if cluster.kind().starts_with("eks."));
        let makes = matches!(change.action, Action::Create | Action::Update | Action::Replace);
        change.address.kind() == RELEASE && is_simulated && makes
    };
    for (n, change) in plan.changes.iter().filter(is_made).enumerate() {
        if n == 0 {
            context.streams.say(&format!("note: {}", charts::NOTE));
        }
        let spec = change.goal.as_ref().map(|goal| goal.spec.value());
        let chart = spec.as_ref().and_then(|spec| spec.get("chart")).and_then(Value::as_str);
        if let Some(chart) = chart.filter(|chart| !charts::is_known(chart)) {
            context.streams.say(&format!("note: {}", charts::note_on_unknown(&change.address.to_string(), chart)));
        }
    }
}

/// Notes with each release of a plan what happens to its objects; answers what is wrong with those that cannot be
/// rendered. Nothing is rendered in the sandbox.
pub(super) async fn previews(
    context: &Context,
    session: Option<&Session>,
    state: &State,
    source: &Source,
    plan: &mut Plan,
) -> Vec<Diagnostic> {
    if context.globals.sandbox {
        return Vec::new();
    }
    let offline;
    let cloud = if let Some(session) = session {
        &session.cloud
    } else {
        let aws = aws_config::SdkConfig::builder().behavior_version(aws_config::BehaviorVersion::latest()).build();
        let clock: Arc<dyn Clock> = Arc::new(super::clock::WallClock);
        let helm = program(context, &aws, &clock);
        offline = Cloud::new(aws).with_helm(helm);
        &offline
    };
    let online = session.is_some();
    let seen = &*plan;
    let looks = seen.changes.iter().enumerate().filter(|(_, change)| is_rendered(change));
    let looks = looks.map(|(n, change)| async move { (n, look(cloud, online, state, seen, change).await) });
    let found: BTreeMap<usize, Result<Preview, ProviderError>> = join_all(looks).await.into_iter().collect();
    let mut findings = Vec::new();
    for (n, found) in found {
        let Some(change) = plan.changes.get_mut(n) else { continue };
        match found {
            Ok(preview) => change.preview = lines(change.action, &preview),
            // Offline there may be no way to the chart, and nothing is lost by that.
            Err(error) if error.class == ErrorClass::Invalid && session.is_some() => {
                let declared = source.compiled.declarations.binary_search_by(|d| d.address.cmp(&change.address));
                let message = format!("{}: {}", change.address, error.message);
                let finding = Diagnostic::error(Code("release-not-rendered"), message);
                findings.push(match declared {
                    Ok(at) => finding.at(source.compiled.declarations[at].origin.clone()),
                    Err(_) => finding,
                });
            }
            Err(error) => change.notes.push(format!("its objects cannot be foreseen: {}", error.message)),
        }
    }
    findings
}

fn is_rendered(change: &Change) -> bool {
    change.address.kind() == RELEASE
        && change.goal.is_some()
        && matches!(change.action, Action::Create | Action::Update | Action::Adopt | Action::Replace)
}

async fn look(
    cloud: &Cloud,
    online: bool,
    state: &State,
    plan: &Plan,
    change: &Change,
) -> Result<Preview, ProviderError> {
    let spec = change.goal.as_ref().map(|goal| goal.spec.value()).unwrap_or_default();
    // What no change of this plan touches is known.
    let known = |reference: &crate::model::Reference| -> Option<Value> {
        let record = state.records.get(&reference.address).filter(|_| plan.change(&reference.address).is_none())?;
        record.outputs.value().get(&reference.output).cloned()
    };
    let spec = spec.fill(&mut |reference| known(reference)).unwrap_or(spec);
    let applied = state.records.get(&change.address).map(|record| record.spec.value());
    let before = match (change.action, &applied) {
        (Action::Create, _) => Before::Nothing,
        (_, Some(applied)) if !online => Before::Applied(applied),
        _ => Before::Release,
    };
    preview(cloud, &change.target, before, &spec, kubernetes(plan, change).as_deref()).await
}

/// The version that a cluster is made with, for one that is not there yet.
fn kubernetes(plan: &Plan, change: &Change) -> Option<String> {
    let crate::model::Target::Cluster { cluster } = &change.target else { return None };
    let spec = plan.change(cluster)?.goal.as_ref()?.spec.value();
    spec.get("version")?.as_str().map(|version| format!("v{version}.0"))
}

/// A preview as a plan shows it: a release that is made is summed up, one that changes shown line by line.
fn lines(action: Action, preview: &Preview) -> Vec<String> {
    let mut lines = Vec::new();
    if action == Action::Create {
        lines.extend(summed_up(&preview.objects));
    } else {
        lines.extend(
            preview.objects.iter().flat_map(|object| object.to_string().lines().map(str::to_owned).collect::<Vec<_>>()),
        );
        if preview.objects.is_empty() {
            lines.push("no object changes".to_owned());
        }
    }
    if lines.len() > LINES {
        let more = lines.len() - LINES;
        lines.truncate(LINES);
        lines.push(format!("… and {}", counted(more, "more line")));
    }
    if preview.is_partial {
        lines.push("values that are known after apply are not among these".to_owned());
    }
    lines
}

/// How many objects of which kinds are made.
fn summed_up(objects: &[ObjectChange]) -> Option<String> {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for object in objects.iter().filter(|object| object.action == ObjectAction::Add) {
        *kinds.entry(object.object.kind.as_str()).or_default() += 1;
    }
    let all = kinds.values().sum();
    let kinds: Vec<String> = kinds
        .into_iter()
        .map(|(kind, count)| if count == 1 { kind.to_owned() } else { format!("{count} {kind}") })
        .collect();
    (all > 0).then(|| format!("+ {}: {}", counted(all, "object"), kinds.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::helm::objects::object_diff;

    #[test]
    fn a_release_that_is_made_is_summed_up_and_one_that_changes_is_shown() {
        let object = |kind: &str, name: &str, color: &str| {
            format!("---\napiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}}}\ndata: {{color: {color}}}\n")
        };
        let old = object("ConfigMap", "a", "red");
        let new = format!(
            "{}{}{}",
            object("ConfigMap", "a", "blue"),
            object("ConfigMap", "b", "x"),
            object("Service", "c", "x")
        );
        let made = Preview { objects: object_diff("", &new), is_partial: true };
        assert_eq!(
            lines(Action::Create, &made),
            ["+ 3 objects: 2 ConfigMap, Service", "values that are known after apply are not among these"]
        );
        let changed = Preview { objects: object_diff(&old, &new), is_partial: false };
        let shown = lines(Action::Update, &changed);
        assert_eq!(shown[0], "~ ConfigMap a");
        assert!(
            shown.contains(&"-  color: red".to_owned()) && shown.contains(&"+  color: blue".to_owned()),
            "{shown:#?}"
        );
        assert!(shown.contains(&"+ ConfigMap b".to_owned()));
        let same = Preview { objects: Vec::new(), is_partial: false };
        assert_eq!(lines(Action::Update, &same), ["no object changes"]);
    }
}
