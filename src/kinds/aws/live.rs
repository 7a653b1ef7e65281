//! What the kinds of networks share in reading: the words for a part's state.

use crate::resource::Status;

/// The most that one page of a describe holds (EC2 takes 5 to 1000).
pub(super) const PAGE: i32 = 1000;

/// How far a part (an IPv6 block, a route table) is associated with its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Association {
    /// It is there.
    Held,
    /// It is being added.
    Coming,
    /// It is being removed.
    Going,
    /// It is not there; answers list it for a while.
    Gone,
    /// It could not be added.
    Failed,
}

impl Association {
    /// Reads a state's word. No word at all means that it is there.
    pub(super) fn of(state: Option<&str>) -> Self {
        match state.map(plain) {
            None | Some("associated") => Self::Held,
            Some("disassociating") => Self::Going,
            Some("disassociated") => Self::Gone,
            Some("failing" | "failed") => Self::Failed,
            Some(_) => Self::Coming,
        }
    }

    /// Whether the part belongs to the object as declared: there, or on its way.
    pub(super) fn is_declared(self) -> bool {
        matches!(self, Self::Held | Self::Coming)
    }

    /// What it means for the object; `None` if nothing.
    pub(super) fn status(self, part: &str, message: Option<&str>) -> Option<Status> {
        match self {
            Self::Held | Self::Gone => None,
            Self::Coming => Some(Status::Pending(format!("{part} is associating"))),
            Self::Going => Some(Status::Pending(format!("{part} is disassociating"))),
            Self::Failed => Some(Status::Failed(format!(
                "{part} could not be associated: {}",
                message.unwrap_or("no reason given")
            ))),
        }
    }
}

/// A state's word. moto 5.2 prints a subnet's as a dictionary: `{'State': 'associated'}`.
fn plain(state: &str) -> &str {
    state.strip_prefix("{'State': '").and_then(|rest| rest.split('\'').next()).unwrap_or(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_from_its_word_and_from_motos_dictionary() {
        assert_eq!(Association::of(Some("associated")), Association::Held);
        assert_eq!(Association::of(Some("{'State': 'associated'}")), Association::Held);
        assert_eq!(Association::of(Some("associating")), Association::Coming);
        assert_eq!(Association::of(Some("disassociated")), Association::Gone);
        assert_eq!(Association::of(None), Association::Held);
    }
}
