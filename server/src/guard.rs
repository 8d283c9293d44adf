//! Who may ask: the host name, the origin of a page, the token (trust T20 to T23).

use std::net::SocketAddr;

use axum::extract::Request;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    handlers::site,
    problem::{FORBIDDEN, HOST_NOT_ALLOWED, INVALID_BODY, Problem, UNAUTHORIZED},
};

/// The rules for who may ask.
#[derive(Debug, Default)]
pub struct Guard {
    /// The names under which the server answers; `None` where the name proves nothing (a Unix socket, or a token).
    hosts: Option<Vec<Host>>,
    /// The origins whose pages may read and write.
    origins: Vec<String>,
    /// The SHA-256 of the token.
    token: Option<[u8; 32]>,
}

#[derive(Debug)]
struct Host {
    name: String,
    /// The port that must be named; `None` for any.
    port: Option<u16>,
}

impl Guard {
    /// Answers under every host name.
    pub fn any_host(mut self) -> Self {
        self.hosts = None;
        self
    }

    /// Answers as `localhost`, the loopback addresses and `bound`, each with its port, and as `extra` with any port.
    pub fn hosts(mut self, bound: SocketAddr, extra: &[String]) -> Self {
        let port = Some(bound.port());
        let literal = match bound {
            SocketAddr::V4(v4) => v4.ip().to_string(),
            SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
        };
        let own = ["localhost", "127.0.0.1", "[::1]", &literal].map(|name| Host { name: name.into(), port });
        let extra = extra.iter().map(|name| Host { name: name.to_ascii_lowercase(), port: None });
        self.hosts = Some(own.into_iter().chain(extra).collect());
        self
    }

    /// Lets pages of these origins read and write.
    pub fn origins(mut self, origins: Vec<String>) -> Self {
        self.origins = origins;
        self
    }

    /// Asks for this token.
    pub fn token(mut self, token: Option<&str>) -> Self {
        self.token = token.map(hash);
        self
    }

    /// Refuses a request that names another host, comes from a foreign page or lacks the token.
    ///
    /// # Errors
    /// 400 for no or two `Host` headers, 421 for a foreign one, 403 for a foreign page, 401 without the token.
    pub fn admit(&self, request: &Request) -> Result<(), Problem> {
        let host = self.admit_host(request.uri(), request.headers())?;
        self.admit_origin(request.method(), request.headers(), host)?;
        self.admit_token(request)
    }

    fn admit_host<'a>(&self, uri: &Uri, headers: &'a HeaderMap) -> Result<&'a str, Problem> {
        let mut all = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (all.next(), all.next()) else {
            return Err(Problem::new(&INVALID_BODY, "a request has exactly one Host header"));
        };
        let host = host.to_str().map_err(|_| foreign("?"))?;
        self.allow(host)?;
        uri.authority().map_or(Ok(()), |authority| self.allow(authority.as_str()))?;
        Ok(host)
    }

    fn allow(&self, authority: &str) -> Result<(), Problem> {
        let Some(hosts) = &self.hosts else { return Ok(()) };
        let (name, port) = split_port(authority).ok_or_else(|| foreign(authority))?;
        let fits =
            |host: &Host| host.name.eq_ignore_ascii_case(name) && host.port.is_none_or(|own| own == port.unwrap_or(80));
        if hosts.iter().any(fits) { Ok(()) } else { Err(foreign(authority)) }
    }

    /// Refuses a write that a page of another origin makes.
    fn admit_origin(&self, method: &Method, headers: &HeaderMap, host: &str) -> Result<(), Problem> {
        let origin = headers.get(header::ORIGIN);
        if method.is_safe() || self.names(origin) {
            return Ok(());
        }
        let own = |origin: &HeaderValue| {
            let rest = origin.as_bytes();
            let rest = rest.strip_prefix(b"http://").or_else(|| rest.strip_prefix(b"https://"));
            rest.is_some_and(|rest| rest.eq_ignore_ascii_case(host.as_bytes()))
        };
        let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
        if origin.is_none_or(own) && matches!(site, None | Some(b"same-origin" | b"none")) {
            return Ok(());
        }
        Err(Problem::new(&FORBIDDEN, "a page of another origin may not change anything here"))
    }

    /// Returns whether an `Origin` is one that may read and write.
    pub fn names(&self, origin: Option<&HeaderValue>) -> bool {
        origin.is_some_and(|origin| self.origins.iter().any(|own| own.as_bytes() == origin.as_bytes()))
    }

    fn admit_token(&self, request: &Request) -> Result<(), Problem> {
        let Some(expected) = &self.token else { return Ok(()) };
        if is_open(request.uri().path()) {
            return Ok(());
        }
        let given = request.headers().get(header::AUTHORIZATION).and_then(bearer).map(hash);
        match given {
            Some(given) if bool::from(given.ct_eq(expected)) => Ok(()),
            Some(_) => Err(Problem::new(&UNAUTHORIZED, "the token is not the right one")),
            None => Err(Problem::new(&UNAUTHORIZED, "this server wants a token: Authorization: Bearer TOKEN")),
        }
    }
}

/// Returns whether a path is served without a token.
fn is_open(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz")
        || site::NAMES.contains(&path)
        || path.starts_with("/assets/")
        || path.starts_with("/problems/")
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Splits `name:port`, or returns `None` for what is neither a name nor a bracketed address.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let name_ends = authority.rfind(']').map_or(0, |at| at + 1);
    match authority[name_ends..].find(':') {
        None => Some((authority, None)),
        Some(at) => {
            let (name, port) = authority.split_at(name_ends + at);
            let digits = &port[1..];
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            Some((name, Some(digits.parse().ok().filter(|_| plain)?)))
        }
    }
}

fn foreign(host: &str) -> Problem {
    let detail = format!("this server does not answer as {host:?}; --allow-host NAME lets it");
    Problem::new(&HOST_NOT_ALLOWED, detail)
}
