//! Connections of tokio, through `embedded-io-adapters`.

use embedded_io_adapters::tokio_1::FromTokio;
use hsms_embassy::{OpenFailed, Opener};
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

pub type Halves = (FromTokio<OwnedReadHalf>, FromTokio<OwnedWriteHalf>);

pub struct Dial(pub SocketAddr);

impl Opener for Dial {
    type Reader<'t> = FromTokio<OwnedReadHalf>;
    type Writer<'t> = FromTokio<OwnedWriteHalf>;

    async fn open(&mut self) -> Result<Halves, OpenFailed> {
        TcpStream::connect(self.0).await.map(halves).map_err(|_| OpenFailed)
    }

    async fn close(&mut self) {}
}

pub fn halves(stream: TcpStream) -> Halves {
    // What belongs together is written at once.
    let _ = stream.set_nodelay(true);
    let (reader, writer) = stream.into_split();
    (FromTokio::new(reader), FromTokio::new(writer))
}
