//! What peers that take nothing cost those beside them.

use super::common::{ASKED, LIMIT, Outcome, device};
use super::managed::Managed;
use super::options::Effort;
use super::plan::median;
use super::tools::Tools;
use hsms_std::Config;
use hsms_std::core::wire::Header;
use hsms_std::manager::{Error, Peer};
use std::fmt;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// So many take nothing.
const DEAD: usize = 8;

/// Octets of each text that is sent to them, and more of these than can wait anywhere.
const TEXT: usize = 64 * 1024;
const MOST_TEXTS: usize = 4_096;

/// What was measured.
pub(crate) struct Beside {
    pub(crate) connections: usize,
    /// Octets that wait for one of the dead, at least.
    waiting: usize,
    /// Requests answered in a second.
    alone: f64,
    beside: f64,
    pub(crate) ratio: f64,
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Beside { connections, waiting, alone, beside, ratio } = self;
        write!(
            f,
            "Requests answered in a second by {connections} tools: {alone:.0} alone, {beside:.0} beside {DEAD} peers that are SELECTED and read \
             nothing, with {waiting} octets and more waiting for each; the median of the rounds' ratios is {ratio:.3}."
        )
    }
}

/// A manager with so many busy peers, and another that has the dead ones too; a round of one follows on a round of the other.
pub(crate) fn measure(connections: usize, effort: Effort) -> Outcome<Beside> {
    let tools = Tools::start()?;
    let [alone, beside] = [with(&tools, connections)?, with(&tools, connections)?];
    let dead = Dead::start(&beside)?;
    let (mut rates, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds() {
        let rate = |managed: &Managed| managed.rate(effort.warm_up(), effort.span());
        let round = (rate(&alone)?, rate(&beside)?);
        ratios.push(round.1 / round.0);
        rates.push(round);
    }
    let waiting = dead.waiting()?;
    alone.stop()?;
    beside.stop()?;
    Ok(Beside {
        connections,
        waiting,
        alone: median(rates.iter().map(|(alone, _)| *alone)),
        beside: median(rates.iter().map(|(_, beside)| *beside)),
        ratio: median(ratios.into_iter()),
    })
}

fn with(tools: &Tools, connections: usize) -> Outcome<Managed> {
    let mut managed = Managed::start()?;
    managed.add(&tools.addresses, connections, None)?;
    managed.select_all()?;
    Ok(managed)
}

/// They answer Select.req, and that is all.
struct Dead {
    peers: Vec<Peer>,
    /// Open, and nobody reads from them.
    _streams: Vec<TcpStream>,
}

impl Dead {
    /// Selected, and sent as much as can wait for them.
    fn start(managed: &Managed) -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let accepting = thread::spawn(move || (0..DEAD).map(|_| answer_select(&listener)).collect::<Outcome<Vec<_>>>());
        // A linktest would find out that they are dead.
        let config = Config::host(device()?).with_linktest_period(Duration::ZERO).map_err(|error| error.to_string())?;
        let mut peers = Vec::new();
        for number in 0..DEAD {
            let peer = managed.one(&format!("dead {number}"), address, config)?;
            peer.enable()?;
            peers.push(peer);
        }
        for peer in &peers {
            peer.selected().wait(LIMIT)?;
        }
        let streams = accepting.join().map_err(|_| "whoever answered Select.req has panicked")??;
        let dead = Dead { peers, _streams: streams };
        dead.waiting()?;
        Ok(dead)
    }

    /// The fewest octets that wait for one of them, when nothing more can.
    fn waiting(&self) -> Outcome<usize> {
        let each = self.peers.iter().map(fill).collect::<Outcome<Vec<_>>>()?;
        each.into_iter().min().ok_or_else(|| "there is no peer".into())
    }
}

fn answer_select(listener: &TcpListener) -> Outcome<TcpStream> {
    let (mut stream, _) = listener.accept()?;
    let mut request = [0; 14];
    stream.read_exact(&mut request)?;
    let Some((_, header)) = request.split_last_chunk::<10>() else { return Err("no header".into()) };
    stream.write_all(&Header::select_rsp(Header::decode(header).system).encode_alone())?;
    Ok(stream)
}

/// Sends until nothing more may wait: gives the octets that do.
fn fill(peer: &Peer) -> Outcome<usize> {
    for _ in 0..MOST_TEXTS {
        match peer.send(ASKED, vec![0; TEXT]).wait(LIMIT) {
            Ok(_) => {}
            Err(Error::OutputFull { waiting }) => return Ok(waiting),
            Err(error) => return Err(error.into()),
        }
    }
    Err(format!("{} takes what it is sent", peer.name()).into())
}
