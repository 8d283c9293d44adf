//! A listening socket that another process holds and passes to us (systemd's socket activation): while we start, and
//! start again, clients wait instead of being refused.

use std::io;

use super::listener::{Address, Listener};

/// The socket that the process was started with.
#[derive(Debug)]
pub struct Held(Socket);

#[derive(Debug)]
enum Socket {
    #[cfg_attr(not(unix), expect(dead_code, reason = "sockets are passed on Unix alone"))]
    Tcp(std::net::TcpListener),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

impl Held {
    /// Takes the socket from the environment (`LISTEN_FDS`), or `None` when there is none. No thread may run yet.
    ///
    /// # Errors
    /// Several sockets, and one that is neither TCP nor a Unix stream.
    #[cfg(unix)]
    pub fn take() -> io::Result<Option<Self>> {
        let mut passed = listenfd::ListenFd::from_env();
        match passed.len() {
            0 => return Ok(None),
            1 => (),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "there are several; ovl serves one")),
        }
        if let Ok(Some(socket)) = passed.take_tcp_listener(0) {
            return Ok(Some(Self(Socket::Tcp(socket))));
        }
        Ok(passed.take_unix_listener(0)?.map(|socket| Self(Socket::Unix(socket))))
    }

    /// Returns `None`: sockets are passed on Unix alone.
    ///
    /// # Errors
    /// None.
    #[cfg(not(unix))]
    pub fn take() -> io::Result<Option<Self>> {
        Ok(None)
    }

    /// Returns where the socket listens.
    ///
    /// # Errors
    /// What the system answers.
    pub fn address(&self) -> io::Result<Address> {
        match &self.0 {
            Socket::Tcp(socket) => socket.local_addr().map(Address::Tcp),
            #[cfg(unix)]
            Socket::Unix(socket) => {
                let address = socket.local_addr()?;
                Ok(Address::Unix(address.as_pathname().unwrap_or(std::path::Path::new("")).to_owned()))
            }
        }
    }

    /// Listens on it; a socket file stays when we end, for whoever holds it.
    ///
    /// # Errors
    /// What the system answers.
    pub fn listen(self) -> io::Result<Listener> {
        match self.0 {
            Socket::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                Ok(Listener::Tcp(socket.try_into()?))
            }
            #[cfg(unix)]
            Socket::Unix(socket) => {
                socket.set_nonblocking(true)?;
                Ok(Listener::Unix(socket.try_into()?, None))
            }
        }
    }
}
