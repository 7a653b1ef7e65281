//! What a plan says instead of deciding: what cannot be read or used, names that are taken, changes that are refused.

use crate::model::diff::{FieldChange, Impact};
use crate::model::{Address, AttrPath, Code, Diagnostic, Location, Value};
use crate::resource::{MESH_TAG, RemoteId, Status, claimed};

use super::decide::{Prior, Verdict};
use super::declared::Facts;
use super::model::Observation;
use super::planner::Planner;

impl Planner<'_> {
    /// What the kind says against changing what is there into what is declared, in one step.
    pub(super) fn check_way(
        &mut self,
        facts: &Facts<'_>,
        verdict: Verdict,
        fields: &[FieldChange],
        there: Option<&Value>,
        desired: &Value,
    ) {
        let in_place = match verdict {
            Verdict::Update | Verdict::Wait | Verdict::Adopt(_) => true,
            // What is made anew takes no step from what was.
            Verdict::NoOp
            | Verdict::Create(_)
            | Verdict::Replace(_)
            | Verdict::Delete(_)
            | Verdict::Forget(_)
            | Verdict::Refuse
            | Verdict::Taken => false,
        };
        let Some(there) = there.filter(|_| in_place && !fields.is_empty()) else { return };
        for error in facts.rules.refuses(there, desired) {
            let message = format!("{}: `{}`: {}", facts.declaration.address, error.path, error.message);
            let at = facts.declaration.origin.clone();
            self.diagnostics.push(Diagnostic::error(Code("refused-change"), message).at(at));
        }
    }

    pub(super) fn refuse(&mut self, facts: &Facts<'_>, failed: &str) {
        let address = &facts.declaration.address;
        let at = Location::Topology(facts.declaration.origin.clone());
        let finding = match facts.observation.as_deref() {
            Some(Observation::Unreadable(why)) => {
                Diagnostic::error(Code("unreadable"), format!("{address} could not be read: {why}"))
                    .help("plan with `--offline` to compare with the last applied state instead")
            }
            Some(Observation::Absent | Observation::Present { .. }) | None if failed.is_empty() => Diagnostic::error(
                Code("missing-existing"),
                format!("{address} is declared as existing and is not there"),
            )
            .help("check its id and its region, or let meshplan make it by removing `existing`"),
            Some(Observation::Absent | Observation::Present { .. }) | None => {
                Diagnostic::error(Code("unfit-existing"), format!("{address} exists and cannot be used: {failed}"))
            }
        };
        self.diagnostics.push(finding.at_location(at));
    }

    /// What had this name was ours, and what has it now does not say so.
    pub(super) fn strange(&mut self, address: &Address, id: &RemoteId, origin: Option<&AttrPath>) {
        let message =
            format!("{address}: {id} is there and no longer carries the tags of this mesh: it may be another one");
        let finding = Diagnostic::error(Code("changed-hands"), message)
            .help(format!("if it is another one, `meshplan state forget {address}` leaves it alone"))
            .help(format!("if somebody took its tags off, put `{MESH_TAG} = {}` back on it", self.state.mesh));
        self.diagnostics.push(match origin {
            Some(origin) => finding.at(origin.clone()),
            None => finding,
        });
    }

    /// Something is there by the name that is declared, and state does not know it.
    pub(super) fn taken(&mut self, facts: &Facts<'_>, fields: &[FieldChange]) {
        let Some(Observation::Present { id, live }) = facts.observation.as_deref() else { return };
        let address = &facts.declaration.address;
        let state = match &live.status {
            Status::Ready | Status::Pending(_) | Status::Degraded(_) => String::new(),
            Status::Failed(why) => format!(", and has failed: {why}"),
            Status::Deleting => ", and is being deleted".to_owned(),
        };
        let spec = live.spec.value();
        let elsewhere = self.inputs.state.records.iter().find(|(other, record)| {
            other.kind() == address.kind() && record.id == *id && record.target == facts.declaration.target
        });
        let adopt = format!("`meshplan state adopt {address} {id}` takes it in");
        let at = facts.declaration.origin.clone();
        let finding = |message| Diagnostic::error(Code("name-taken"), message).at(at.clone());
        self.diagnostics.push(match (facts.prior, elsewhere, claimed(&spec)) {
            (Prior::Lost, _, _) if state.is_empty() => {
                let forced: Vec<String> = fields
                    .iter()
                    .filter(|field| field.impact == Impact::Replace)
                    .map(|field| format!("`{}`", field.path))
                    .collect();
                finding(format!(
                    "{address}: {id} is there and ours, state does not know it, and {} cannot change in place",
                    forced.join(", ")
                ))
                .help(format!("{adopt}; the next plan replaces it"))
            }
            (Prior::Lost, _, _) => finding(format!("{address}: {id} is there and ours, state does not know it{state}"))
                .help("delete it, or wait until it is gone, and plan again"),
            (_, Some((other, _)), _) => {
                finding(format!("{address}: {id} is there already: it is {other} in state{state}"))
                    .help(format!("rename it with `[[moved]]`, from = \"{other}\", to = \"{address}\""))
                    .help("or choose another name")
            }
            (_, None, Some((mesh, theirs))) => {
                finding(format!("{address}: {id} is there already, of the mesh `{mesh}` as {theirs}{state}"))
                    .help("choose another name")
                    .help(format!("or, if nothing else manages it, {adopt}"))
            }
            (_, None, None) => finding(format!("{address}: {id} is there already, and is not of this mesh{state}"))
                .help("choose another name")
                .help(format!("or, if nothing else manages it, {adopt}")),
        });
    }
}
