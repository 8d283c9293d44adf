//! `ovl-server`: from the command line to a running server and its end.

use std::{
    ffi::OsString,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, builder::BoolishValueParser};
use tokio::runtime::Runtime;
use tracing::level_filters::LevelFilter;

#[cfg(not(target_os = "linux"))]
use super::no_mount as live;
use super::{
    banner,
    exit::{Failure, code},
    flags::{StackArgs, bytes},
    parse, service, signals,
    stack::Opened,
};
#[cfg(target_os = "linux")]
use crate::mount::live;
use crate::{
    accept::{Address, Held, Limits, Listener, Server, Timeouts},
    app::App,
    events::Events,
    guard::Guard,
    settings::Settings,
    state::State,
    time,
};

const EXAMPLES: &str = "\
Examples:
  ovl-server --lower site.zip --upper ./changes
        Serve an archive; keep every change in the directory ./changes.
  ovl-server --lower patch.zip --lower base.zip --lower ./folder
        Three layers, patch.zip on top; read-only, since there is no upper.
  ovl-server --lower base.zip --upper mem: --listen 127.0.0.1:0 --ready-file url.txt
        A throw-away upper on a free port; the address is in url.txt when the server is ready.
  ovl-server --lower base.zip --upper ./changes --mount /mnt/work
        Also a file system, at /mnt/work, as long as the server runs (Linux).
  OVL_TOKEN=$(cat token) ovl-server --lower base.zip --listen 0.0.0.0:8080
        For other machines: then a token is needed.

Then try:
  curl 'http://127.0.0.1:8080/v1/entries?list=true'
  curl -T new.txt http://127.0.0.1:8080/v1/files/new.txt
  curl http://127.0.0.1:8080/v1/changes

Every flag can also be an environment variable (OVL_LISTEN, ...) or a line of the configuration file
(listen = \"...\"); a flag wins over the environment, the environment over the file.
`ovl config show --origin` tells what holds.

Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 conflict or mount in use, 5 read-only or permission,
6 corrupt layer, 7 port busy, 8 upper in use, 9 wrong form of the upper, 74 I/O,
130/143 stopped at once by a second signal.";

/// Serves layers as one tree over HTTP; what is changed goes to the upper layer, the others stay as they are.
#[derive(Parser, Clone, Debug)]
#[command(name = "ovl-server", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct ServeArgs {
    /// The layers.
    #[command(flatten)]
    pub stack: StackArgs,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// How the server answers.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// Where to listen: IP:PORT (port 0 takes a free one) or unix:PATH; a socket that systemd passes is stronger.
    #[arg(long, value_name = "ADDRESS", env = "OVL_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: Address,
    /// A file that receives the address once the server is ready.
    #[arg(long, value_name = "FILE", env = "OVL_READY_FILE")]
    pub ready_file: Option<PathBuf>,
    /// A host name under which the server answers besides its own; may be repeated.
    #[arg(long, value_name = "NAME", env = "OVL_ALLOW_HOST", value_delimiter = '\n')]
    pub allow_host: Vec<String>,
    /// A file with the token that every request must carry (or give it as OVL_TOKEN).
    #[arg(long, value_name = "FILE", env = "OVL_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// Serves other machines without a token: everyone who reaches the address may change everything.
    #[arg(long, env = "OVL_NO_AUTH", conflicts_with = "token_file", value_parser = BoolishValueParser::new())]
    pub no_auth: bool,
    /// An origin (`https://example.org`) whose pages may read and write; may be repeated.
    #[arg(long, value_name = "ORIGIN", env = "OVL_CORS_ORIGIN", value_delimiter = '\n')]
    pub cors_origin: Vec<String>,
    /// The largest body that may be uploaded: bytes, or with K, M, G.
    #[arg(long, value_name = "BYTES", env = "OVL_MAX_BODY", default_value = "16G", value_parser = bytes)]
    pub max_body: u64,
    /// Refuses writes without If-Match or If-None-Match.
    #[arg(long, env = "OVL_REQUIRE_PRECONDITIONS", value_parser = BoolishValueParser::new())]
    pub require_preconditions: bool,
    /// Opens the layers, prints the stack and ends.
    #[arg(long)]
    pub dry_run: bool,
    /// What to log: error, warn, info, debug, or parts such as access=info.
    #[arg(long, value_name = "FILTER", env = "OVL_LOG", default_value = "warn")]
    pub log: String,
    /// Says nothing at the start and the end but failures.
    #[arg(long, short)]
    pub quiet: bool,
    /// Logs more than --log says: -v every request, -vv how it was answered.
    #[arg(long, short, action = ArgAction::Count)]
    pub verbose: u8,
    /// How log lines look.
    #[arg(long, value_name = "FORMAT", env = "OVL_LOG_FORMAT", default_value = "text", value_parser = ["text", "json"])]
    pub log_format: String,
    /// The mount.
    #[command(flatten)]
    pub mount: live::MountArgs,
}

/// Runs the program with the arguments of its process.
pub fn main() -> ExitCode {
    let outcome = parse(std::env::args_os().collect()).and_then(run);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report("ovl-server"),
    }
}

/// Reads flags, environment and configuration file.
fn parse(args: Vec<OsString>) -> Result<ServeArgs, Failure> {
    let command = ServeArgs::command();
    let parsed = parse::parse(command.clone(), &command, args)?;
    ServeArgs::from_arg_matches(&parsed.matches).map_err(|error| parse::mistake(&error))
}

/// Opens the stack and serves it until a signal.
///
/// # Errors
/// What opening the stack and mounting it refuses, an address that is taken (7), a token that cannot be read, and a
/// mount that is still used at the end (4).
pub fn run(mut args: ServeArgs) -> Result<(), Failure> {
    start_log(&args.server)?;
    let held = held(&mut args.server)?;
    let token = token(&args.server)?;
    refuse_open_door(&args.server, token.is_some())?;
    let nonce = time::nonce();
    let settings = settings(&args.server);
    let events = Events::new(nonce, settings.events_kept);
    let runtime = Runtime::new().map_err(|error| Failure::new(code::IO, format!("cannot start: {error}")))?;
    // Before anything is made for it: a start that is refused leaves nothing.
    let listener = match args.server.dry_run {
        true => None,
        false => Some(runtime.block_on(listen(&args.server, held))?),
    };
    let (opened, live) = live::open(&args.server.mount, &args.stack, nonce, events.observer(), args.server.dry_run)?;
    let Some(listener) = listener else {
        print!("{}", banner::stack(&opened));
        return Ok(());
    };
    let served = runtime.block_on(serve(&args.server, listener, opened, settings, events, token, live.at_once()));
    runtime.shutdown_background();
    served.and(live.end())
}

/// Takes the socket that was passed to the process, and its address for the one in `args`.
fn held(args: &mut ServerArgs) -> Result<Option<Held>, Failure> {
    let unusable = |error| Failure::usage(format!("cannot use the passed socket: {error}; pass one, TCP or Unix"));
    let held = Held::take().map_err(unusable)?;
    if let Some(held) = &held {
        args.listen = held.address().map_err(unusable)?;
    }
    Ok(held)
}

/// Takes the address, or the socket that was passed.
async fn listen(args: &ServerArgs, held: Option<Held>) -> Result<Listener, Failure> {
    let listener = match held {
        Some(held) => held.listen(),
        None => Listener::bind(&args.listen).await,
    };
    listener.map_err(|error| cannot_listen(&args.listen, error))
}

async fn serve(
    args: &ServerArgs,
    mut listener: Listener,
    opened: Opened,
    settings: Settings,
    events: Arc<Events>,
    token: Option<String>,
    unmount: impl Fn() + Send + 'static,
) -> Result<(), Failure> {
    let bound = listener.bound().map_err(|error| cannot_listen(&args.listen, error))?;
    let url = bound.map_or_else(|| args.listen.to_string(), |bound| format!("http://{bound}"));
    let text = format!("{}{}", banner::stack(&opened), banner::address(&url, token.is_some()));
    let app = App::new(guard(args, bound, token.as_deref()), State::new(&opened, settings, events));
    let server = Server::new(app, Timeouts::default(), Limits::default());
    let stop = signals::stop(args.quiet, unmount);
    announce(args.ready_file.as_deref(), &url)?;
    if !args.quiet {
        eprint!("{text}");
    }
    service::ready();
    server.run(&mut listener, stop).await;
    retract(args.ready_file.as_deref());
    Ok(())
}

fn settings(args: &ServerArgs) -> Settings {
    let (uid, gid) = owner();
    let (max_body, require_preconditions) = (args.max_body, args.require_preconditions);
    Settings { max_body, require_preconditions, uid, gid, ..Settings::default() }
}

#[cfg(unix)]
pub(crate) fn owner() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

#[cfg(not(unix))]
pub(crate) fn owner() -> (u32, u32) {
    (0, 0)
}

/// Makes the rules for who may ask: names count where no token stands behind them (trust T20).
fn guard(args: &ServerArgs, bound: Option<SocketAddr>, token: Option<&str>) -> Guard {
    let guard = Guard::default().origins(args.cors_origin.clone()).token(token);
    match bound {
        Some(bound) if bound.ip().is_loopback() || args.no_auth || !args.allow_host.is_empty() => {
            guard.hosts(bound, &args.allow_host)
        }
        _ => guard.any_host(),
    }
}

/// Refuses to serve other machines without a token (trust T21).
fn refuse_open_door(args: &ServerArgs, token: bool) -> Result<(), Failure> {
    let public = matches!(&args.listen, Address::Tcp(address) if !address.ip().is_loopback());
    if public && !token && !args.no_auth {
        let address = &args.listen;
        return Err(Failure::usage(format!(
            "{address} can be reached by other machines: give a token with --token-file or OVL_TOKEN, or say --no-auth"
        )));
    }
    Ok(())
}

/// Reads the token from its file or the environment; it is never an argument (trust T23).
fn token(args: &ServerArgs) -> Result<Option<String>, Failure> {
    let token = match &args.token_file {
        Some(path) => {
            let shown = path.display();
            let unreadable =
                |error| Failure::io(&format!("cannot read the token file {shown}"), error, "check --token-file");
            Some(std::fs::read_to_string(path).map_err(unreadable)?)
        }
        None => std::env::var("OVL_TOKEN").ok().filter(|_| !args.no_auth),
    };
    let token = token.map(|token| token.trim().to_owned());
    if token.as_ref().is_some_and(|token| token.len() < 16) {
        let advice = "make one with: head -c 32 /dev/urandom | base64";
        return Err(Failure::usage(format!("the token has fewer than 16 characters; {advice}")));
    }
    Ok(token)
}

fn start_log(args: &ServerArgs) -> Result<(), Failure> {
    let filter = tracing_subscriber::EnvFilter::try_new(&args.log);
    let filter = filter
        .map_err(|error| Failure::usage(format!("--log {}: {error}; say warn, info or access=info", args.log)))?;
    let filter = match args.verbose {
        0 => filter,
        1 => filter.add_directive(LevelFilter::INFO.into()),
        _ => filter.add_directive(LevelFilter::DEBUG.into()),
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false);
    if args.log_format == "json" {
        log.json().init()
    } else {
        log.init()
    }
    Ok(())
}

fn cannot_listen(address: &Address, error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let advice = "stop the other program or choose another --listen (127.0.0.1:0 takes a free port)";
            Failure::new(code::PORT_BUSY, format!("{address} is taken; {advice}"))
        }
        io::ErrorKind::PermissionDenied => {
            Failure::new(code::PERMISSION, format!("may not listen on {address}; choose a port above 1023"))
        }
        _ => Failure::io(&format!("cannot listen on {address}"), error, "choose another --listen"),
    }
}

/// Writes the address into the ready file, in one step.
fn announce(file: Option<&Path>, url: &str) -> Result<(), Failure> {
    let Some(file) = file else { return Ok(()) };
    let part = file.with_extension("part");
    let written = std::fs::write(&part, format!("{url}\n")).and_then(|()| std::fs::rename(&part, file));
    written.map_err(|error| {
        Failure::io(&format!("cannot write the ready file {}", file.display()), error, "check --ready-file")
    })
}

fn retract(file: Option<&Path>) {
    if let Some(file) = file {
        // The server is done either way; a file that someone took away needs no removal.
        drop(std::fs::remove_file(file));
    }
}
