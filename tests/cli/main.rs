//! The binary as people and scripts meet it: standard output, standard error and exit code of each command, in a clean
//! environment, over the sandbox. Hermetic: no network, no account, nothing outside a directory of the test's own.

mod clusters;
mod foreign;
mod looks;
mod refusals;
mod runs;
mod saved;
mod support;
