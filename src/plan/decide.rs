//! The decision table: what is declared × what state says × what is observed → an action and its reason.
//!
//! One exhaustive match over small enums: every row can be read, and the property test visits all of them.

/// What state says of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prior {
    /// Nothing.
    None,
    /// Nothing, and what is there by its name says itself that it is this resource: state was lost.
    Lost,
    /// A create was promised and no id is known.
    Promised,
    /// It was seen ready.
    Ready,
    /// It has an id and was not seen ready.
    Creating,
    /// It is not trusted.
    Tainted,
    /// Its deletion was requested.
    Deleting,
}

/// What the cloud says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It was not asked (an offline plan): what was last applied stands for what is there.
    NotRead(Difference),
    /// It is not there.
    Absent,
    /// It is there, ready or getting ready.
    Present(Difference),
    /// It is there and is going away.
    Deleting,
    /// It is there and will never be ready.
    Failed,
    /// It could not be read.
    Unreadable,
}

/// How what is there differs from what is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// Not at all.
    None,
    /// In fields that can be changed in place.
    InPlace,
    /// In fields that force replacement.
    Forces,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    NoOp,
    /// Make it.
    Create(Why),
    /// Change it in place.
    Update,
    /// Replace it.
    Replace(Why),
    /// Remove it.
    Delete(Why),
    /// Drop it from state.
    Forget(Why),
    /// Take in what is there.
    Adopt(Why),
    /// Wait for an earlier run's create and complete it.
    Wait,
    /// A finding for the user: it cannot be read, so nothing can be decided.
    Refuse,
    /// A finding for the user: what is there by its name was not made here, or cannot become it.
    Taken,
}

/// The reason's kind; the planner adds the details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Not in state.
    New,
    /// A create was left unfinished.
    Unfinished,
    /// A delete was left unfinished.
    DeleteUnfinished,
    /// In state and gone.
    Vanished,
    /// Fields force it.
    Fields,
    /// Not trusted.
    Tainted,
    /// It failed.
    Failed,
    /// It is being deleted.
    BeingDeleted,
    /// No longer declared.
    NotDeclared,
    /// It is someone else's.
    BroughtAlong,
    /// It lives elsewhere.
    Elsewhere,
    /// It is ours, and state does not know it.
    Lost,
}

/// The decision for a resource that we make and delete.
#[must_use]
pub fn decide(declared: bool, prior: Prior, seen: Seen) -> Verdict {
    use Difference as D;
    use Prior as P;
    use Seen as S;
    if seen == S::Unreadable && !matches!(prior, P::None | P::Lost) {
        return Verdict::Refuse;
    }
    match (declared, prior, seen) {
        // Whoever made what has this name: a create would clash with it, and a delete later would take it away.
        (true, P::None, S::Present(_) | S::Deleting | S::Failed) => Verdict::Taken,
        (true, P::None | P::Lost, S::Absent | S::NotRead(_) | S::Unreadable) => Verdict::Create(Why::New),
        (true, P::Lost, S::Present(D::None | D::InPlace)) => Verdict::Adopt(Why::Lost),
        // It would have to be replaced, and what state does not know is never deleted.
        (true, P::Lost, S::Present(D::Forces) | S::Deleting | S::Failed) => Verdict::Taken,
        // What the promise made is no longer what is wanted: it goes, and another is made.
        (true, P::Promised, S::Present(D::Forces)) => Verdict::Replace(Why::Fields),
        (true, P::Promised, S::Present(D::None | D::InPlace)) => Verdict::Adopt(Why::Unfinished),
        // What a promise made and then failed or is going is found by the create step itself, by the same token.
        (true, P::Promised, _) => Verdict::Create(Why::Unfinished),

        (true, P::Ready | P::Creating | P::Tainted, S::Absent) => Verdict::Create(Why::Vanished),
        (true, P::Deleting, S::Absent) => Verdict::Create(Why::DeleteUnfinished),
        (true, P::Ready | P::Creating | P::Tainted | P::Deleting, S::Deleting) => Verdict::Replace(Why::BeingDeleted),
        (true, P::Ready | P::Creating | P::Tainted | P::Deleting, S::Failed) => Verdict::Replace(Why::Failed),
        (true, P::Tainted, S::Present(_) | S::NotRead(_)) => Verdict::Replace(Why::Tainted),
        (true, P::Ready | P::Creating | P::Deleting, S::Present(D::Forces) | S::NotRead(D::Forces)) => {
            Verdict::Replace(Why::Fields)
        }
        (true, P::Creating, S::Present(D::None | D::InPlace) | S::NotRead(D::None | D::InPlace)) => Verdict::Wait,
        // Its deletion was requested and nothing says whether it happened: only a look can tell.
        (true, P::Deleting, S::NotRead(_)) => Verdict::Replace(Why::DeleteUnfinished),
        (true, P::Ready | P::Deleting, S::Present(D::InPlace)) | (true, P::Ready, S::NotRead(D::InPlace)) => {
            Verdict::Update
        }
        (true, P::Ready | P::Deleting, S::Present(D::None)) | (true, P::Ready, S::NotRead(D::None)) => Verdict::NoOp,

        (false, P::None | P::Lost, _) => Verdict::NoOp,
        // Also when nothing was found: the delete step looks for as long as describes may lag.
        (false, P::Promised, _) => Verdict::Delete(Why::Unfinished),
        (false, P::Ready | P::Creating | P::Tainted | P::Deleting, S::Absent) => Verdict::Forget(Why::NotDeclared),
        (false, P::Deleting, _) => Verdict::Delete(Why::DeleteUnfinished),
        (false, P::Ready | P::Creating | P::Tainted, _) => Verdict::Delete(Why::NotDeclared),

        // Taken care of above, for every prior that has anything to read.
        (true, P::Ready | P::Creating | P::Tainted | P::Deleting, S::Unreadable) => Verdict::Refuse,
    }
}

/// The decision for a resource that belongs to someone else: it is looked up, never written.
#[must_use]
pub fn decide_observed(declared: bool, prior: Prior, seen: Seen) -> Verdict {
    match (declared, prior, seen) {
        (false, Prior::None | Prior::Lost, _) => Verdict::NoOp,
        (false, _, _) => Verdict::Forget(Why::NotDeclared),
        (true, _, Seen::Unreadable | Seen::Absent | Seen::Failed | Seen::Deleting) => Verdict::Refuse,
        (true, Prior::Ready, Seen::Present(Difference::None) | Seen::NotRead(Difference::None)) => Verdict::NoOp,
        (true, _, Seen::Present(_) | Seen::NotRead(_)) => Verdict::Adopt(Why::BroughtAlong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIORS: [Prior; 7] =
        [Prior::None, Prior::Lost, Prior::Promised, Prior::Ready, Prior::Creating, Prior::Tainted, Prior::Deleting];

    fn all_seen() -> Vec<Seen> {
        let differences = [Difference::None, Difference::InPlace, Difference::Forces];
        let mut all: Vec<Seen> = differences.iter().flat_map(|d| [Seen::NotRead(*d), Seen::Present(*d)]).collect();
        all.extend([Seen::Absent, Seen::Deleting, Seen::Failed, Seen::Unreadable]);
        all
    }

    #[test]
    fn the_rows_of_the_design_hold() {
        use Difference as D;
        let rows = [
            (true, Prior::None, Seen::Absent, Verdict::Create(Why::New)),
            (true, Prior::None, Seen::Present(D::None), Verdict::Taken),
            (true, Prior::None, Seen::Failed, Verdict::Taken),
            (true, Prior::Lost, Seen::Present(D::None), Verdict::Adopt(Why::Lost)),
            (true, Prior::Lost, Seen::Present(D::InPlace), Verdict::Adopt(Why::Lost)),
            (true, Prior::Lost, Seen::Present(D::Forces), Verdict::Taken),
            (true, Prior::Promised, Seen::Present(D::None), Verdict::Adopt(Why::Unfinished)),
            (true, Prior::Promised, Seen::Absent, Verdict::Create(Why::Unfinished)),
            (true, Prior::Ready, Seen::Present(D::None), Verdict::NoOp),
            (true, Prior::Ready, Seen::Present(D::InPlace), Verdict::Update),
            (true, Prior::Ready, Seen::Present(D::Forces), Verdict::Replace(Why::Fields)),
            (true, Prior::Ready, Seen::Absent, Verdict::Create(Why::Vanished)),
            (true, Prior::Creating, Seen::Present(D::InPlace), Verdict::Wait),
            (true, Prior::Tainted, Seen::Present(D::None), Verdict::Replace(Why::Tainted)),
            (true, Prior::Ready, Seen::Unreadable, Verdict::Refuse),
            (false, Prior::Ready, Seen::Present(D::None), Verdict::Delete(Why::NotDeclared)),
            (false, Prior::Ready, Seen::Absent, Verdict::Forget(Why::NotDeclared)),
        ];
        for (declared, prior, seen, verdict) in rows {
            assert_eq!(decide(declared, prior, seen), verdict, "{declared} {prior:?} {seen:?}");
        }
    }

    #[test]
    fn nothing_is_made_twice_and_nothing_undeclared_is_kept() {
        for prior in PRIORS {
            for seen in all_seen() {
                let wanted = decide(true, prior, seen);
                let exists = matches!(seen, Seen::Present(_) | Seen::Deleting | Seen::Failed);
                if exists && prior != Prior::Promised {
                    assert!(!matches!(wanted, Verdict::Create(_)), "{prior:?} {seen:?}: a create beside what is there");
                }
                assert!(
                    !matches!(wanted, Verdict::Delete(_) | Verdict::Forget(_)),
                    "{prior:?} {seen:?}: a declared resource goes"
                );
                let unwanted = decide(false, prior, seen);
                let goes = matches!(unwanted, Verdict::Delete(_) | Verdict::Forget(_) | Verdict::Refuse);
                assert!(
                    goes || matches!(prior, Prior::None | Prior::Lost),
                    "{prior:?} {seen:?}: stays though not declared"
                );
            }
        }
    }

    #[test]
    fn what_is_someone_elses_is_never_written() {
        for declared in [true, false] {
            for prior in PRIORS {
                for seen in all_seen() {
                    let verdict = decide_observed(declared, prior, seen);
                    assert!(
                        matches!(verdict, Verdict::NoOp | Verdict::Adopt(_) | Verdict::Forget(_) | Verdict::Refuse),
                        "{declared} {prior:?} {seen:?}: {verdict:?}"
                    );
                }
            }
        }
    }
}
