//! `kubeconfig`: a context for each cluster, whose user asks `meshplan eks-token`.
//!
//! Without `--out` it goes to standard output. A file is merged into: entries of others stay as they are, and one of the
//! same name that is not meshplan's is never overwritten.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};

use super::context::Context;
use super::sandbox::served_at;
use super::session::aws_region;
use super::{Exit, data};
use crate::kinds::helm::program::user_of_eks;
use crate::model::diagnostic::did_you_mean;
use crate::plan::render::counted;
use crate::state::{RecordStatus, State, store};

/// The kinds whose outputs say how a cluster is reached.
const KINDS: [&str; 2] = ["eks.cluster", "eks.existing_cluster"];

/// The program that a kubeconfig names.
const PROGRAM: &str = "meshplan";

/// How a cluster is reached.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    /// Its name in the topology, and in the kubeconfig.
    name: String,
    /// Its name in EKS.
    cluster: String,
    region: String,
    endpoint: String,
    authority: String,
    sandbox: bool,
    /// Where the sandbox that it is in is served, or would be.
    served: Option<String>,
}

/// `kubeconfig`.
pub(super) fn kubeconfig(
    context: &Context,
    mesh: Option<&str>,
    cluster: Option<&str>,
    out: Option<&Path>,
) -> anyhow::Result<Exit> {
    let state = context.existing_state(&context.mesh(mesh)?)?;
    let entries = chosen(context, &state, cluster)?;
    let Some(out) = out else {
        return data(context, &written(&merged(None, &entries)?)?);
    };
    // A link stays a link: what it leads to is replaced.
    let path = fs::canonicalize(out).unwrap_or_else(|_| out.to_owned());
    let there = read(&path)?;
    let new = merged(there, &entries).with_context(|| format!("could not merge into `{}`", out.display()))?;
    let text = written(&new)?;
    store::write_atomically(&path, text.as_bytes())?;
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    let count = counted(entries.len(), "context");
    context.streams.say(&format!("wrote {count} to `{}`: {}", out.display(), names.join(", ")));
    Ok(Exit::Done)
}

/// The clusters of a state that can be reached, or the one that was asked for.
fn chosen(context: &Context, state: &State, wanted: Option<&str>) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut names = Vec::new();
    for (address, record) in &state.records {
        let Some(name) = address.as_str().split_once('/').map(|(_, name)| name) else { continue };
        if !KINDS.contains(&address.kind()) {
            continue;
        }
        names.push(name);
        if wanted.is_some_and(|wanted| wanted != name) {
            continue;
        }
        let outputs = record.outputs.value();
        let text = |field: &str| outputs.get(field).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        let (endpoint, authority) = (text("endpoint"), text("certificate_authority"));
        let Some(region) = aws_region(&record.target) else { continue };
        if record.status != RecordStatus::Ready || endpoint.is_empty() {
            context.streams.say(&format!("note: {address} is not ready: it is left out"));
            continue;
        }
        entries.push(Entry {
            name: name.to_owned(),
            cluster: text("name"),
            region: region.to_owned(),
            endpoint,
            authority,
            sandbox: state.sandbox,
            served: state.sandbox.then(|| served_at(context)),
        });
    }
    if state.sandbox {
        context.streams.say("note: the simulated clusters answer while `meshplan sandbox serve` runs");
    }
    if let Some(wanted) = wanted
        && !names.contains(&wanted)
    {
        match did_you_mean(wanted, names.iter().copied()) {
            Some(near) => bail!("there is no cluster `{wanted}` in state: did you mean `{near}`?"),
            None if names.is_empty() => bail!("there is no EKS cluster in state: `meshplan apply` makes one"),
            None => bail!("there is no cluster `{wanted}` in state; there are: {}", names.join(", ")),
        }
    }
    if entries.is_empty() {
        bail!("there is no EKS cluster in state that can be reached: `meshplan apply` makes one");
    }
    Ok(entries)
}

/// A kubeconfig's content; `None` if there is no such file, or an empty one.
fn read(path: &PathBuf) -> anyhow::Result<Option<Value>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("could not read `{}`", path.display())),
    };
    if text.trim().is_empty() {
        return Ok(None);
    }
    let value = serde_saphyr::from_str(&text)
        .with_context(|| format!("`{}` is no kubeconfig: `--out` names another file", path.display()))?;
    Ok(Some(value))
}

/// A kubeconfig as text. What was written is read back: nothing that is somebody else's may change its meaning.
fn written(kubeconfig: &Value) -> anyhow::Result<String> {
    let text = serde_saphyr::to_string(kubeconfig).context("could not write a kubeconfig")?;
    let back: Value = serde_saphyr::from_str(&text).context("could not read back what was to be written")?;
    if back != *kubeconfig {
        bail!("something in this kubeconfig cannot be written as it was read: `--out` names another file");
    }
    Ok(text)
}

/// A kubeconfig with these entries in it.
fn merged(there: Option<Value>, entries: &[Entry]) -> anyhow::Result<Value> {
    let mut kubeconfig = match there {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(fields)) => fields,
        Some(_) => bail!("it is no kubeconfig: `--out` names another file"),
    };
    for (field, value) in [("apiVersion", "v1"), ("kind", "Config")] {
        match kubeconfig.get(field) {
            None => {
                kubeconfig.insert(field.to_owned(), value.into());
            }
            Some(has) if has == value => {}
            Some(has) => bail!("its {field} is {has} and not {value:?}: `--out` names another file"),
        }
    }
    for entry in entries {
        let is_ours = find(&kubeconfig, "users", &entry.name).map(is_ours);
        let taken = ["clusters", "contexts"].iter().any(|list| find(&kubeconfig, list, &entry.name).is_some());
        if is_ours == Some(false) || (is_ours.is_none() && taken) {
            bail!(
                "it has entries named `{}` that are not meshplan's: rename or remove them, or name another file with \
                 `--out`",
                entry.name
            );
        }
        put(&mut kubeconfig, "clusters", &entry.name, "cluster", &entry.cluster())?;
        put(&mut kubeconfig, "contexts", &entry.name, "context", &entry.context())?;
        put(&mut kubeconfig, "users", &entry.name, "user", &entry.user())?;
    }
    // Whoever has chosen a context keeps it.
    let chosen = kubeconfig.get("current-context").and_then(Value::as_str).is_some_and(|context| !context.is_empty());
    if let (false, Some(first)) = (chosen, entries.first()) {
        kubeconfig.insert("current-context".to_owned(), first.name.clone().into());
    }
    Ok(Value::Object(kubeconfig))
}

impl Entry {
    fn cluster(&self) -> Value {
        let mut cluster = json!({ "server": self.endpoint, "certificate-authority-data": self.authority });
        if let Some(server) = &self.served {
            // All simulated clusters share a port: which one is meant is told by the name that is asked for.
            cluster["server"] = format!("https://{server}").into();
            cluster["tls-server-name"] = self.endpoint.trim_start_matches("https://").into();
        }
        cluster
    }

    fn context(&self) -> Value {
        json!({ "cluster": self.name, "user": self.name })
    }

    fn user(&self) -> Value {
        user_of_eks(PROGRAM, &self.cluster, &self.region, self.sandbox)
    }
}

/// Whether a user's entry is one that this command wrote.
fn is_ours(user: &Value) -> bool {
    let exec = &user["user"]["exec"];
    exec["command"].as_str().is_some_and(|command| Path::new(command).file_name() == Some(PROGRAM.as_ref()))
        && exec["args"].as_array().is_some_and(|args| args.iter().any(|arg| arg == "eks-token"))
}

fn find<'a>(kubeconfig: &'a Map<String, Value>, list: &str, name: &str) -> Option<&'a Value> {
    kubeconfig.get(list)?.as_array()?.iter().find(|entry| entry["name"] == name)
}

/// Puts an entry into a list: in its place, if it has one.
fn put(kubeconfig: &mut Map<String, Value>, list: &str, name: &str, field: &str, value: &Value) -> anyhow::Result<()> {
    let entries = kubeconfig.entry(list).or_insert(Value::Null);
    if entries.is_null() {
        *entries = json!([]);
    }
    let Some(entries) = entries.as_array_mut() else { bail!("its {list} are no list: `--out` names another file") };
    let entry = json!({ "name": name, field: value });
    match entries.iter_mut().find(|entry| entry["name"] == name) {
        Some(there) => *there = entry,
        None => entries.push(entry),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str) -> Entry {
        Entry {
            name: name.to_owned(),
            cluster: format!("{name}-in-eks"),
            region: "us-west-2".to_owned(),
            endpoint: "https://example.test".to_owned(),
            authority: "Y2E=".to_owned(),
            sandbox: true,
            served: None,
        }
    }

    fn theirs() -> Value {
        serde_saphyr::from_str(
            "apiVersion: v1\nkind: Config\ncurrent-context: kind-dev\npreferences: {}\n\
             clusters:\n- name: kind-dev\n  cluster: {server: 'https://127.0.0.1:1', insecure-skip-tls-verify: true}\n\
             contexts:\n- name: kind-dev\n  context: {cluster: kind-dev, user: kind-dev, namespace: 'yes'}\n\
             users:\n- name: kind-dev\n  user: {token: '0123', exec: null}\n",
        )
        .unwrap()
    }

    #[test]
    fn simulated_clusters_share_a_port_and_are_told_apart_by_name() {
        let served = Entry { served: Some("127.0.0.1:4566".to_owned()), ..entry("cluster-1") };
        assert_eq!(
            served.cluster(),
            json!({
                "server": "https://127.0.0.1:4566",
                "tls-server-name": "example.test",
                "certificate-authority-data": "Y2E=",
            })
        );
    }

    #[test]
    fn what_is_somebody_elses_stays_as_it_is() {
        let before = theirs();
        let after = merged(Some(before.clone()), &[entry("cluster-1"), entry("cluster-2")]).unwrap();
        for list in ["clusters", "contexts", "users"] {
            assert_eq!(after[list][0], before[list][0]);
            assert_eq!(after[list].as_array().unwrap().len(), 3);
        }
        assert_eq!(after["current-context"], "kind-dev");
        assert_eq!(after["preferences"], before["preferences"]);
        let text = written(&after).unwrap();
        assert_eq!(serde_saphyr::from_str::<Value>(&text).unwrap(), after, "{text}");
        let again = merged(Some(after.clone()), &[entry("cluster-1"), entry("cluster-2")]).unwrap();
        assert_eq!(again, after, "a second time changes nothing");
    }

    #[test]
    fn entries_that_are_not_ours_are_never_overwritten() {
        let error = merged(Some(theirs()), &[entry("kind-dev")]).unwrap_err();
        assert!(error.to_string().starts_with("it has entries named `kind-dev` that are not meshplan's"), "{error}");
        let context_alone = json!({ "contexts": [{ "name": "cluster-1", "context": {} }] });
        assert!(merged(Some(context_alone), &[entry("cluster-1")]).is_err());
        assert!(merged(Some(json!(["no", "kubeconfig"])), &[entry("cluster-1")]).is_err());
        assert!(merged(Some(json!({ "kind": "Pod" })), &[entry("cluster-1")]).is_err());
        assert!(merged(Some(json!({ "users": {} })), &[entry("cluster-1")]).is_err());
        assert!(merged(Some(json!({ "users": null })), &[entry("cluster-1")]).is_ok());
    }

    #[test]
    fn a_fresh_kubeconfig_uses_its_first_cluster() {
        let fresh = merged(None, &[entry("cluster-1")]).unwrap();
        assert_eq!(fresh["current-context"], "cluster-1");
        assert_eq!(
            fresh["users"][0]["user"]["exec"]["args"],
            json!(["eks-token", "--cluster", "cluster-1-in-eks", "--region", "us-west-2", "--sandbox"])
        );
        assert!(is_ours(&fresh["users"][0]));
    }
}
