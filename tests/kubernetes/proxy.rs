//! A proxy in front of an API server that can lose an answer after its request went through.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

/// Forwards connections as they are, encrypted, and counts the turns of talking on them.
pub(crate) struct Proxy {
    address: SocketAddr,
    /// How many answers still come through; negative for all.
    answers: Arc<AtomicI64>,
}

impl Proxy {
    pub(crate) fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Arc::new(AtomicI64::new(-1));
        let shared = Arc::clone(&answers);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(upstream) else { continue };
                let (Ok(client_out), Ok(server_in)) = (client.try_clone(), server.try_clone()) else { continue };
                // Whose turn it is: an answer begins with the server's first bytes after the client's.
                let asked = Arc::new(AtomicI64::new(0));
                let (asks, answers) = (Arc::clone(&asked), Arc::clone(&shared));
                let request = move || {
                    asks.store(1, Ordering::SeqCst);
                    true
                };
                let answer = move || {
                    if asked.swap(0, Ordering::SeqCst) == 0 {
                        return true;
                    }
                    let left = answers.load(Ordering::SeqCst);
                    if left > 0 {
                        answers.store(left - 1, Ordering::SeqCst);
                    }
                    left != 0
                };
                thread::spawn(move || forward(client, server_in, request));
                thread::spawn(move || forward(server, client_out, answer));
            }
        });
        Self { address, answers }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Loses the answer after the next `count` ones, and all that follow until [`Self::mend`].
    pub(crate) fn lose_after(&self, count: i64) {
        self.answers.store(count, Ordering::SeqCst);
    }

    pub(crate) fn mend(&self) {
        self.answers.store(-1, Ordering::SeqCst);
    }
}

/// Copies until either end closes, or `passes` says that what came is to be lost: then both close.
fn forward(mut from: TcpStream, mut to: TcpStream, passes: impl Fn() -> bool) {
    let mut bytes = vec![0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if !passes() || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
