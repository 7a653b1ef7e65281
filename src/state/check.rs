//! Whether a state is the caller's: a run against the wrong account or a copied file would rebuild or orphan a whole
//! mesh, so it is refused before anything is looked at. Pure.

use super::record::State;

/// What the caller is about to work on. A field that is `None` is not compared.
#[derive(Debug, Clone, Copy, Default)]
pub struct Caller<'a> {
    /// The mesh's id.
    pub mesh: Option<&'a str>,
    /// Whether the run is in the sandbox.
    pub sandbox: Option<bool>,
    /// The account of the caller's credentials.
    pub account: Option<&'a str>,
    /// The topology's default region.
    pub region: Option<&'a str>,
    /// The lineage of a saved plan.
    pub lineage: Option<&'a str>,
}

/// A state is not the one that the caller means.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateMismatch {
    /// Another mesh's.
    #[error("the state is of mesh `{state}`, not of `{caller}`: `--state DIR` names another directory")]
    Mesh {
        /// What the state says.
        state: String,
        /// What the caller says.
        caller: String,
    },
    /// Real against simulated.
    #[error("{}", match in_sandbox {
        true => "the state's resources live in the sandbox, and this run is against AWS: give `--sandbox`, or another \
                 directory with `--state DIR`",
        false => "the state's resources live in AWS, and this run is in the sandbox: leave out `--sandbox`, or give another \
                  directory with `--state DIR`",
    })]
    Sandbox {
        /// Whether the state is the sandbox's.
        in_sandbox: bool,
    },
    /// Another account's.
    #[error(
        "the state's resources are in account {state}, and the credentials are for account {caller}: use credentials of \
         the first, or another directory with `--state DIR`"
    )]
    Account {
        /// What the state says.
        state: String,
        /// What the caller says.
        caller: String,
    },
    /// Another default region's.
    #[error(
        "the state was made with region {state}, and this run is for {caller}: set the region back, or destroy the mesh and \
         build it there"
    )]
    Region {
        /// What the state says.
        state: String,
        /// What the caller says.
        caller: String,
    },
    /// Another history's: the plan was made from a state that this one does not come from.
    #[error(
        "the plan was made from another state (lineage {caller}; this one is {state}): the state was made anew or \
         replaced since; plan again"
    )]
    Lineage {
        /// What the state says.
        state: String,
        /// What the caller says.
        caller: String,
    },
}

impl State {
    /// Checks that this is the state that the caller means.
    pub fn check(&self, caller: &Caller<'_>) -> Result<(), StateMismatch> {
        let differs = |state: Option<&str>, caller: Option<&str>| {
            state.zip(caller).filter(|(state, caller)| state != caller).map(|(s, c)| (s.to_owned(), c.to_owned()))
        };
        if let Some((state, caller)) = differs(Some(&self.mesh), caller.mesh) {
            return Err(StateMismatch::Mesh { state, caller });
        }
        if caller.sandbox.is_some_and(|sandbox| sandbox != self.sandbox) {
            return Err(StateMismatch::Sandbox { in_sandbox: self.sandbox });
        }
        if let Some((state, caller)) = differs(self.account.as_deref(), caller.account) {
            return Err(StateMismatch::Account { state, caller });
        }
        if let Some((state, caller)) = differs(self.region.as_deref(), caller.region) {
            return Err(StateMismatch::Region { state, caller });
        }
        if let Some((state, caller)) = differs(Some(&self.lineage), caller.lineage) {
            return Err(StateMismatch::Lineage { state, caller });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_refused_to_whoever_means_another() {
        let mut state = State::new("demo", "aa".to_owned(), false);
        let mine = Caller {
            mesh: Some("demo"),
            sandbox: Some(false),
            account: Some("111122223333"),
            region: Some("us-west-2"),
            lineage: Some("aa"),
        };
        assert_eq!(state.check(&mine), Ok(()), "a state that has seen no account or region has none to compare");
        state.account = Some("111122223333".to_owned());
        state.region = Some("us-west-2".to_owned());
        assert_eq!(state.check(&mine), Ok(()));
        assert_eq!(state.check(&Caller::default()), Ok(()));
        for (other, says) in [
            (Caller { mesh: Some("prod"), ..mine }, "the state is of mesh `demo`, not of `prod`"),
            (Caller { sandbox: Some(true), ..mine }, "leave out `--sandbox`"),
            (Caller { account: Some("444455556666"), ..mine }, "the credentials are for account 444455556666"),
            (Caller { region: Some("eu-west-1"), ..mine }, "this run is for eu-west-1"),
            (Caller { lineage: Some("bb"), ..mine }, "plan again"),
        ] {
            let message = state.check(&other).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
    }
}
