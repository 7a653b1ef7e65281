//! `state list|show|forget|adopt|history|restore`: looking at and mending what meshplan remembers.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::args::{Listing, StateArgs, StateCommand};
use super::context::Context;
use super::plan::{check, next};
use super::session::Session;
use super::{Exit, data};
use crate::model::diagnostic::did_you_mean;
use crate::model::diff::mask_sensitive;
use crate::model::{Address, Digest, Document, Target, Value};
use crate::plan::render::{clean, counted};
use crate::resource::{DynKind, OutputClass, RemoteId, Status};
use crate::state::{Birth, Entry, IntendedRecord, Operation, Record, RecordStatus, State, store};

/// `state`.
pub(super) async fn state(context: &Context, args: StateArgs) -> anyhow::Result<Exit> {
    let mesh = args.mesh.as_deref();
    match args.command {
        StateCommand::List { format } => list(context, mesh, format),
        StateCommand::Show { address } => show(context, mesh, &address),
        StateCommand::Forget { address, yes } => forget(context, mesh, &address, yes).await,
        StateCommand::Adopt { address, id, topology } => adopt(context, &address, &id, topology.as_deref()).await,
        StateCommand::History => history(context, mesh),
        StateCommand::Restore { serial, yes } => restore(context, mesh, serial, yes).await,
    }
}

/// A record as `state list` and `state show` write it.
#[derive(Serialize)]
struct Shown<'a> {
    address: &'a Address,
    id: &'a RemoteId,
    status: &'a RecordStatus,
    target: &'a Target,
    protected: bool,
    depends_on: &'a [Address],
    spec: &'a Document,
    outputs: &'a Document,
}

impl<'a> Shown<'a> {
    fn of(address: &'a Address, record: &'a Record) -> Self {
        Self {
            address,
            id: &record.id,
            status: &record.status,
            target: &record.target,
            protected: record.protected,
            depends_on: &record.depends_on,
            spec: &record.spec,
            outputs: &record.outputs,
        }
    }
}

fn list(context: &Context, mesh: Option<&str>, format: Listing) -> anyhow::Result<Exit> {
    let state = context.existing_state(&context.mesh(mesh)?)?;
    if format == Listing::Json || context.globals.json {
        let all: Vec<Shown<'_>> = state.records.iter().map(|(address, record)| Shown::of(address, record)).collect();
        return data(context, &(serde_json::to_string_pretty(&all)? + "\n"));
    }
    let width = state.records.keys().map(|address| address.as_str().len()).max().unwrap_or_default();
    let mut text = String::new();
    for (address, record) in &state.records {
        let status = match &record.status {
            RecordStatus::Ready => String::new(),
            RecordStatus::Creating => "  creating".to_owned(),
            RecordStatus::Tainted(why) => format!("  tainted: {}", clean(why)),
            RecordStatus::Deleting => "  deleting".to_owned(),
        };
        let _ = writeln!(text, "{:width$}  {}{status}", address.as_str(), clean(record.id.as_str()));
    }
    for address in state.intents.keys().filter(|address| !state.records.contains_key(*address)) {
        let _ = writeln!(text, "{:width$}  (a create was begun and its end not seen)", address.as_str());
    }
    context.streams.data(&text)?;
    let sandbox = if state.sandbox { "sandbox: " } else { "" };
    let resources = counted(state.records.len(), "resource");
    context.streams.say(&format!("{sandbox}mesh {}, serial {}: {resources}", state.mesh, state.serial));
    Ok(Exit::Done)
}

fn show(context: &Context, mesh: Option<&str>, address: &Address) -> anyhow::Result<Exit> {
    let state = context.existing_state(&context.mesh(mesh)?)?;
    let record = state.records.get(address).ok_or_else(|| unknown(&state, address))?;
    data(context, &(serde_json::to_string_pretty(&Shown::of(address, record))? + "\n"))
}

fn unknown(state: &State, address: &Address) -> anyhow::Error {
    match did_you_mean(address.as_str(), state.records.keys().map(Address::as_str)) {
        Some(near) => anyhow::anyhow!("`{address}` is not in state: did you mean `{near}`?"),
        None => anyhow::anyhow!("`{address}` is not in state: `meshplan state list` shows what is"),
    }
}

async fn forget(context: &Context, mesh: Option<&str>, address: &Address, yes: bool) -> anyhow::Result<Exit> {
    let mesh = context.mesh(mesh)?;
    context.existing_state(&mesh)?;
    let mut store = context.open(&mesh, Birth::default())?;
    let record = store.state().records.get(address);
    if record.is_none() && !store.state().intents.contains_key(address) {
        return Err(unknown(store.state(), address));
    }
    let object = record.map_or_else(|| "what was begun".to_owned(), |record| record.id.to_string());
    let question =
        format!("Drop {address} from state? {} stays where it is, and nobody will remember it.", clean(&object));
    if let Some(exit) = context.approve(&question, yes).await? {
        return Ok(exit);
    }
    store.append(&[Entry::Forgotten { address: address.clone() }])?;
    store.save()?;
    context.streams.say(&format!("forgot {address}: {} stays where it is", clean(&object)));
    Ok(Exit::Done)
}

async fn adopt(context: &Context, address: &Address, id: &str, topology: Option<&Path>) -> anyhow::Result<Exit> {
    let source = context.topology(topology)?;
    let declarations = &source.compiled.declarations;
    let Some(declaration) = declarations.iter().find(|declaration| declaration.address == *address) else {
        let near = did_you_mean(address.as_str(), declarations.iter().map(|d| d.address.as_str()));
        match near {
            Some(near) => bail!("`{address}` is not declared in {}: did you mean `{near}`?", source.name),
            None => bail!(
                "`{address}` is not declared in {}: what is not declared would be deleted by the next apply",
                source.name
            ),
        }
    };
    let mut store = context.open(&source.mesh, context.birth(&source.mesh, source.region.as_deref()))?;
    check(context, store.state(), &source)?;
    if store.state().records.contains_key(address) {
        bail!("`{address}` is in state already: `meshplan state forget {address}` drops it first");
    }
    if store.state().intents.get(address).is_some_and(|intent| intent.operation == Operation::Create) {
        bail!(
            "an earlier run began to create `{address}` and did not see the end, so there may be an object of it \
             already: `{}` finds out and finishes it",
            next(context, &format!("apply {}", source.name))
        );
    }
    let id = RemoteId::new(id);
    if let Some((owner, _)) = store.state().records.iter().find(|(_, record)| record.id == id) {
        bail!("{id} is in state already, as {owner}");
    }
    let session = Session::open(context, source.region.as_deref(), &store.state().lineage).await?;
    let account = session.check(store.state(), source.region.as_deref()).await?;
    let kind = session
        .registry
        .kind(address.kind())
        .with_context(|| format!("this version of meshplan knows no kind `{}`", address.kind()))?;
    let ids = [id.clone()];
    let found = session.drive(kind.read_many(&session.cloud, &declaration.target, &ids)).await;
    let found = found.with_context(|| format!("could not read {id} as {}", address.kind()))?;
    let Some(live) = found.into_iter().next().flatten() else {
        bail!("there is no {} {id} in {}", address.kind(), declaration.target);
    };
    match &live.status {
        Status::Ready => {}
        Status::Pending(what) | Status::Degraded(what) => {
            bail!("{id} is not ready yet ({}): adopt it when it is", clean(what))
        }
        Status::Failed(why) => bail!("{id} will never be ready: {}", clean(why)),
        Status::Deleting => bail!("{id} is being deleted"),
    }
    let record = IntendedRecord {
        schema_version: kind.schema_version(),
        target: declaration.target.clone(),
        spec: Document::of(&mask_sensitive(
            &declared_part(&live.spec.value(), &declaration.spec.value()),
            kind.fields(),
            &store.state().lineage,
        ))?,
        // No declaration has this digest: the next plan compares the documents.
        declared: Digest::of("adopted"),
        depends_on: declaration.requirements(),
        protected: declaration.protected || kind.protected(),
        deposes: false,
    };
    let outputs = plain_outputs(kind, &live.outputs)?;
    let mut entries = Vec::new();
    if store.state().account.is_none() {
        entries.push(Entry::Account { account });
    }
    entries.push(Entry::Adopted { address: address.clone(), id: id.clone(), record, outputs });
    store.append(&entries)?;
    store.save()?;
    context
        .streams
        .say(&format!("adopted {id} as {address}; `meshplan plan` shows how it differs from what is declared"));
    Ok(Exit::Done)
}

/// What of an adopted object is ours: the live values of the fields that are declared. A field that was ever in state
/// and is not declared is taken away by the next apply, so nobody else's may get in.
fn declared_part(live: &Value, declared: &Value) -> Value {
    let (Value::Object(live), Value::Object(declared)) = (live, declared) else { return live.clone() };
    let ours = |(key, value): (&String, &Value)| Some((key.clone(), declared_part(value, declared.get(key)?)));
    Value::Object(live.iter().filter_map(ours).collect())
}

/// The outputs that may be stored.
fn plain_outputs(kind: &dyn DynKind, outputs: &Document) -> anyhow::Result<Document> {
    let Value::Object(mut fields) = outputs.value() else { return Ok(outputs.clone()) };
    let plain = |name: &str| kind.outputs().iter().any(|rule| rule.name == name && rule.class == OutputClass::Plain);
    if fields.keys().all(|name| plain(name)) {
        return Ok(outputs.clone());
    }
    fields.retain(|name, _| plain(name));
    Ok(Document::of(&Value::Object(fields))?)
}

fn history(context: &Context, mesh: Option<&str>) -> anyhow::Result<Exit> {
    let mesh = context.mesh(mesh)?;
    let mut text = String::new();
    for snapshot in store::history(&context.globals.state, &mesh)? {
        let content = match &snapshot.content {
            Ok(resources) => counted(*resources, "resource"),
            Err(why) => format!("cannot be read: {}", clean(why)),
        };
        let saved = snapshot.saved.map_or_else(String::new, |saved| format!("  {saved:.0}"));
        let current = if snapshot.is_current { "  (present)" } else { "" };
        let _ = writeln!(text, "{:>6}{saved}  {content}{current}", snapshot.serial);
    }
    data(context, &text)
}

async fn restore(context: &Context, mesh: Option<&str>, serial: u64, yes: bool) -> anyhow::Result<Exit> {
    let mesh = context.mesh(mesh)?;
    let restored = store::snapshot(&context.globals.state, &mesh, serial)?;
    let resources = counted(restored.records.len(), "resource");
    let present = context.existing_state(&mesh).map(|state| state.records).unwrap_or_default();
    let dropped = present.keys().filter(|address| !restored.records.contains_key(*address)).count();
    let loss = match dropped {
        0 => String::new(),
        n => format!(" {} of the present one is not in it and would be nobody's.", counted(n, "resource")),
    };
    let question = format!("Make serial {serial} ({resources}) the present state of {mesh}?{loss}");
    if let Some(exit) = context.approve(&question, yes).await? {
        return Ok(exit);
    }
    let store = store::restore(&context.globals.state, &mesh, serial, context.opening(Birth::default()))?;
    context.streams.say(&format!(
        "restored serial {serial} as serial {}: {resources}; `meshplan plan` shows what the cloud says to that",
        store.state().serial
    ));
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_declared_does_not_become_ours() {
        let value = |json: &str| serde_json::from_str::<Value>(json).unwrap();
        let declared = value(
            r#"{"cidr": "10.1.0.0/16", "tags": {"Name": "n", "gone": "x"}, "vpc_id": {"$ref": {"address": "aws.vpc/a", "output": "vpc_id"}}}"#,
        );
        let live = value(
            r#"{"cidr": "10.9.0.0/16", "dns": true, "tags": {"Name": "theirs", "team": "b"}, "vpc_id": "vpc-1"}"#,
        );
        let ours = value(r#"{"cidr": "10.9.0.0/16", "tags": {"Name": "theirs"}, "vpc_id": "vpc-1"}"#);
        assert_eq!(declared_part(&live, &declared), ours);
    }
}
