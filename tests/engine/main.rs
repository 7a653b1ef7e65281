//! The planner and the apply engine against a toy provider whose every answer a test decides, on virtual time.

mod crashes;
mod planning;
mod runs;
mod toy;
